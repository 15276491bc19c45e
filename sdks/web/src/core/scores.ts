/**
 * Scores of a second of audio or video, from 1 (unusable) to about 4.5, which docs/reference/scores.md describes. The QoE
 * service computes the same scores of the same counters; proto/vectors/scores holds both to the same results.
 */
import type { Codec } from "./model.js";

export interface AudioCounters {
  /** Samples that were played, concealed ones among them. */
  readonly samples: number;
  /** The part of these that was concealed, and not by silence. */
  readonly concealedSamples: number;
  readonly concealmentEvents: number;
  /** Redundancy (FEC, RED) arrived. */
  readonly redundant: boolean;
  /** From the sender to the ear, as far as it is known. */
  readonly delayMs: number;
}

export interface VideoCounters {
  readonly codec: Codec;
  readonly intervalMs: number;
  readonly bytes: number;
  readonly frames: number;
  /** Share of packets that were lost and not repaired, 0 to 1. */
  readonly lossRatio: number;
  readonly framesDropped: number;
  readonly freezeMs: number;
  readonly width: number;
  readonly height: number;
  /** The mean quantizer on the codec's own scale; null if it is unknown. */
  readonly quantizer: number | null;
  /** The size at which the video is shown; 0 if it is unknown. */
  readonly shownWidth: number;
  readonly shownHeight: number;
}

/** Rating factor without impairments, from the default values of ITU-T G.107. */
const R_UNIMPAIRED = 93.2;
/** Robustness of Opus against lost packets of 20 ms, without and with redundancy. Fitted to PESQ; the ITU has no values. */
const ROBUSTNESS = 10.5;
const ROBUSTNESS_REDUNDANT = 34;
/** Samples of a packet of 20 ms at 48 kHz. */
const PACKET_SAMPLES = 960;
/** Rate in frames a second above which more frames are no better. */
const FULL_RATE = 25;
/** Largest quantizer of each codec. */
const MAX_QUANTIZER: Partial<Record<Codec, number>> = { vp8: 127, vp9: 255, av1: 255, h264: 51 };
/** How many bits VP8 needs for the quality that the codec reaches with one. */
const EFFICIENCY: Partial<Record<Codec, number>> = { vp8: 1, h264: 1.05, vp9: 1.4, av1: 1.7 };

const clamp = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));

/** The mean opinion score of audio (E-model, ITU-T G.107); null if nothing was played. */
export function audioScore({ samples, concealedSamples, concealmentEvents, redundant, delayMs }: AudioCounters): number | null {
  if (!(samples > 0)) return null;
  const share = clamp(concealedSamples / samples, 0, 1);
  const meanBurst = Math.max(1, concealedSamples / PACKET_SAMPLES / Math.max(1, concealmentEvents));
  // Bursts as long as those of independent losses have the ratio 1 (G.107, section 7.5). Above a half, the ratio would fall.
  const burstRatio = Math.max(1, meanBurst * (1 - Math.min(0.5, share)));
  const lossPercent = 100 * share;
  const robustness = redundant ? ROBUSTNESS_REDUNDANT : ROBUSTNESS;
  const equipment = (95 * lossPercent) / (lossPercent / burstRatio + robustness);
  return meanOpinion(R_UNIMPAIRED - delayImpairment(delayMs) - equipment);
}

/** Idd of G.107, section 7.3. */
function delayImpairment(delayMs: number): number {
  if (!(delayMs > 100)) return 0;
  const x = Math.log2(delayMs / 100);
  return 25 * ((1 + x ** 6) ** (1 / 6) - 3 * (1 + (x / 3) ** 6) ** (1 / 6) + 2);
}

/** G.107, annex B. */
function meanOpinion(rating: number): number {
  const r = clamp(rating, 0, 100);
  // The cubic falls below 1 for the smallest ratings.
  return Math.max(1, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6);
}

/** The score of video; null if nothing was decoded and nothing is known about a standstill. */
export function videoScore(counters: VideoCounters): number | null {
  const { intervalMs, frames, width, height, freezeMs, framesDropped, lossRatio } = counters;
  if (!(intervalMs > 0)) return null;
  const frozen = clamp(freezeMs / intervalMs, 0, 1);
  if (frames <= 0 || width <= 0 || height <= 0) return freezeMs > 0 ? 1 : null;
  const rate = (1000 * frames) / intervalMs;
  // The loss of a frame costs smoothness.
  const motion = clamp(rate / FULL_RATE, 0, 1) ** 0.35;
  const whole = (1 - 0.5 * clamp(framesDropped / (frames + framesDropped), 0, 1)) * (1 - clamp(5 * lossRatio, 0, 0.8));
  return 1 + 3.5 * picture(counters, rate) * sharpness(counters) * motion * whole * (1 - frozen);
}

/** The quality of the pictures as they were encoded, 0 to 1: by the quantizer if it is known, else by the bits of a pixel. */
function picture({ codec, bytes, frames, width, height, quantizer }: VideoCounters, rate: number): number {
  const largest = MAX_QUANTIZER[codec];
  if (quantizer !== null && largest !== undefined) return 1 - clamp(quantizer / largest, 0, 1) ** 1.5;
  const pixels = width * height;
  const bitsPerSecond = ((8 * bytes * rate) / frames) * (EFFICIENCY[codec] ?? 1);
  // A large picture has more that is easy to predict. The exponents of the rate here and in `videoScore` make that fewer
  // frames at the same bitrate, each of which is better, never have a higher score.
  const needed = 0.45 * pixels * (clamp(rate, 5, FULL_RATE) / 15) ** 0.4 * ((640 * 360) / pixels) ** 0.25;
  return 1 - Math.exp(-1.6 * Math.max(0, bitsPerSecond / needed) ** 0.7);
}

/** How far the decoded size satisfies the size that is shown, 0 to 1. */
function sharpness({ width, height, shownWidth, shownHeight }: VideoCounters): number {
  if (shownWidth <= 0 || shownHeight <= 0) return 1;
  // A picture that keeps its shape in an element of another shape fills one of its sides.
  const scale = Math.min(shownWidth / width, shownHeight / height);
  return scale <= 1 ? 1 : scale ** -0.4;
}
