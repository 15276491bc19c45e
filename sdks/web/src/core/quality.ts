/**
 * Rates the quality of a track from 1 (unusable) to 5 (excellent), from the stats of one interval.
 *
 *   quality = 5 − 20 · loss − max(0, delay − 100) / 100 − 2 · frozen,   clamped to 1 … 5
 *
 * `loss` is the fraction of packets lost (0 to 1), `delay` is half the round-trip time plus twice the jitter in milliseconds
 * (the delay of a jitter buffer), `frozen` is the fraction of the interval in which the video was frozen. 5 % loss, or 200 ms
 * of delay, cost one point. The level is `good` from 4, `ok` from 2.5, else `poor`.
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

/** The worst of several; null for none. */
export function worstQuality(qualities: Iterable<Quality>): Quality | null {
  let worst: Quality | null = null;
  for (const quality of qualities) if (worst === null || quality.score < worst.score) worst = quality;
  return worst;
}
