/**
 * One number for how a track does, from 1 (unusable) to 5 (excellent), out of one interval of statistics.
 *
 *   quality = 5 − 20 · loss − max(0, delay − 100) / 100 − 2 · frozen,   held between 1 and 5
 *
 * `loss` is the share of packets lost (0 to 1), `delay` is half the round trip plus twice the jitter in milliseconds
 * (what a jitter buffer has to wait), `frozen` the share of the interval in which the picture stood still. So 5 % loss, or
 * 200 ms of delay, cost one point. A badge says `good` from 4, `ok` from 2.5, else `poor`.
 */

export type QualityLevel = "good" | "ok" | "poor";

export interface Quality {
  /** 1 to 5. */
  readonly score: number;
  readonly level: QualityLevel;
}

export interface QualityFactors {
  readonly lossRatio: number;
  readonly rttMs: number;
  readonly jitterMs: number;
  readonly frozenRatio: number;
}

export function rateQuality({ lossRatio, rttMs, jitterMs, frozenRatio }: QualityFactors): Quality {
  const delayMs = rttMs / 2 + 2 * jitterMs;
  const raw = 5 - 20 * lossRatio - Math.max(0, delayMs - 100) / 100 - 2 * frozenRatio;
  const score = Math.min(5, Math.max(1, raw));
  return { score, level: score >= 4 ? "good" : score >= 2.5 ? "ok" : "poor" };
}

/** The worst of several, null for none. */
export function worstQuality(qualities: Iterable<Quality>): Quality | null {
  let worst: Quality | null = null;
  for (const quality of qualities) if (worst === null || quality.score < worst.score) worst = quality;
  return worst;
}
