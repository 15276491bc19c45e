import { expect, it } from "vitest";
import { rateQuality, worstQuality } from "./quality.js";

const PERFECT = { lossRatio: 0, rttMs: 20, jitterMs: 2, frozenRatio: 0 };

it.each([
  ["a clean path", {}, 5, "good"],
  ["5 % loss", { lossRatio: 0.05 }, 4, "good"],
  ["10 % loss", { lossRatio: 0.1 }, 3, "ok"],
  ["20 % loss", { lossRatio: 0.2 }, 1, "poor"],
  ["600 ms of round-trip time", { rttMs: 600, jitterMs: 0 }, 3, "ok"],
  ["a frozen video", { frozenRatio: 1 }, 3, "ok"],
  ["everything at once", { lossRatio: 0.5, rttMs: 2000, jitterMs: 200, frozenRatio: 1 }, 1, "poor"],
])("%s", (_, factors, score, level) => {
  const quality = rateQuality({ ...PERFECT, ...factors });
  expect(quality.score).toBeCloseTo(score, 6);
  expect(quality.level).toBe(level);
});

it("finds the worst of several", () => {
  const [good, poor] = [rateQuality(PERFECT), rateQuality({ ...PERFECT, lossRatio: 0.5 })];
  expect(worstQuality([good, poor, good])).toBe(poor);
  expect(worstQuality([])).toBeNull();
});
