/** The level of a score, and the worst of several; `scores.ts` computes scores. */

export type QualityLevel = "good" | "ok" | "poor";

export interface Quality {
  /** A mean opinion score from 1 to about 4.5 (docs/reference/scores.md). */
  readonly score: number;
  readonly level: QualityLevel;
}

/** Lowest score at which users are satisfied, or some are not: 70 and 50 on the scale of ITU-T G.107. */
const GOOD = 3.6;
const OK = 2.58;

/** Null for a score that is not known. */
export const qualityOf = (score: number | null): Quality | null =>
  score === null ? null : { score, level: score >= GOOD ? "good" : score >= OK ? "ok" : "poor" };

/** The worst of several; null for none. */
export function worstQuality(qualities: Iterable<Quality>): Quality | null {
  let worst: Quality | null = null;
  for (const quality of qualities) if (worst === null || quality.score < worst.score) worst = quality;
  return worst;
}
