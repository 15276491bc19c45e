/** Scores agree with the shared vectors and with PESQ, and nothing that goes wrong raises one. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { audioScore, videoScore, type AudioCounters, type VideoCounters } from "./scores.js";

interface Vector {
  readonly name: string;
  readonly counters: Readonly<Record<string, unknown>>;
  readonly score: number | null;
}
const vectors = (name: string): Vector[] =>
  JSON.parse(readFileSync(fileURLToPath(new URL(`../../../../proto/vectors/scores/${name}.json`, import.meta.url)), "utf8")) as Vector[];
const camel = (counters: Vector["counters"]): unknown =>
  Object.fromEntries(Object.entries(counters).map(([name, value]) => [name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()), value]));

function agree(actual: number | null, expected: number | null): void {
  if (actual === null || expected === null) expect(actual).toBe(expected);
  else expect(actual).toBeCloseTo(expected, 8);
}

describe("the shared vectors", () => {
  it.each(vectors("audio").map((one) => [one.name, one] as const))("of audio: %s", (_name, { counters, score }) => {
    agree(audioScore(camel(counters) as AudioCounters), score);
  });

  it.each(vectors("video").map((one) => [one.name, one] as const))("of video: %s", (_name, { counters, score }) => {
    agree(videoScore(camel(counters) as VideoCounters), score);
  });
});

// PESQ of Opus in packets of 20 ms, with random loss: measured without FEC and with it.
const PESQ = [
  [0, 4.38, 4.38, 0.2],
  [1.9, 3.82, 4.25, 0.2],
  [5.3, 3.1, 3.98, 0.2],
  [12.1, 2.26, 3.6, 0.2],
  [19.6, 1.86, 2.95, 0.3],
] as const;

it.each(PESQ)("is near PESQ at %d %% of random loss", (percent, plain, redundant, within) => {
  const counters = { samples: 48_000, concealedSamples: 480 * percent, concealmentEvents: 50, delayMs: 0 };
  expect(Math.abs((audioScore({ ...counters, redundant: false }) ?? 0) - plain)).toBeLessThanOrEqual(within);
  expect(Math.abs((audioScore({ ...counters, redundant: true }) ?? 0) - redundant)).toBeLessThanOrEqual(within);
});

describe("nothing that goes wrong raises the score", () => {
  const video = fc.record({
    codec: fc.constantFrom("vp8", "vp9", "h264", "av1", "unknown"),
    intervalMs: fc.integer({ min: 500, max: 4000 }),
    bytes: fc.integer({ min: 1, max: 1_000_000 }),
    frames: fc.integer({ min: 1, max: 240 }),
    lossRatio: fc.double({ min: 0, max: 1, noNaN: true }),
    framesDropped: fc.integer({ min: 0, max: 60 }),
    freezeMs: fc.integer({ min: 0, max: 4000 }),
    width: fc.integer({ min: 16, max: 3840 }),
    height: fc.integer({ min: 16, max: 2160 }),
    quantizer: fc.option(fc.double({ min: 0, max: 255, noNaN: true })),
    shownWidth: fc.integer({ min: 0, max: 3840 }),
    shownHeight: fc.integer({ min: 0, max: 2160 }),
  }) as fc.Arbitrary<VideoCounters>;
  const worse: readonly [string, (counters: VideoCounters) => VideoCounters][] = [
    ["a lost packet", (one) => ({ ...one, lossRatio: Math.min(1, one.lossRatio + 0.01) })],
    ["a longer freeze", (one) => ({ ...one, freezeMs: one.freezeMs + 100 })],
    ["a dropped frame", (one) => ({ ...one, framesDropped: one.framesDropped + 1, frames: Math.max(1, one.frames - 1) })],
    ["a frame that never came", (one) => ({ ...one, frames: Math.max(1, one.frames - 1) })],
    ["a larger element", (one) => ({ ...one, shownWidth: one.shownWidth * 2, shownHeight: one.shownHeight * 2 })],
  ];

  it.each(worse)("of video: %s", (_name, worsen) => {
    fc.assert(
      fc.property(video, (one) => {
        const [before, after] = [videoScore(one), videoScore(worsen(one))];
        expect(after ?? 0).toBeLessThanOrEqual((before ?? 5) + 1e-9);
      }),
      { numRuns: 2000 },
    );
  });

  it("of audio: more concealment, more delay", () => {
    const audio = fc.record({
      samples: fc.integer({ min: 1, max: 200_000 }),
      concealedSamples: fc.integer({ min: 0, max: 200_000 }),
      concealmentEvents: fc.integer({ min: 0, max: 200 }),
      redundant: fc.boolean(),
      delayMs: fc.double({ min: 0, max: 5000, noNaN: true }),
    });
    fc.assert(
      fc.property(audio, (one) => {
        const before = audioScore(one) ?? 5;
        expect(audioScore({ ...one, delayMs: one.delayMs + 10 })).toBeLessThanOrEqual(before + 1e-9);
        expect(audioScore({ ...one, concealedSamples: one.concealedSamples + 960 })).toBeLessThanOrEqual(before + 1e-9);
        expect(before).toBeGreaterThanOrEqual(1);
        expect(before).toBeLessThanOrEqual(4.5);
      }),
      { numRuns: 2000 },
    );
  });
});
