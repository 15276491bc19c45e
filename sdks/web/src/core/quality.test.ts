import { expect, it } from "vitest";
import { qualityOf, worstQuality } from "./quality.js";

it.each([
  [4.4, "good"],
  [3.6, "good"],
  [3.59, "ok"],
  [2.58, "ok"],
  [1, "poor"],
])("a score of %d is %s", (score, level) => {
  expect(qualityOf(score)).toEqual({ score, level });
});

it("has no level without a score", () => {
  expect(qualityOf(null)).toBeNull();
});

it("finds the worst of several", () => {
  const [good, poor] = [{ score: 4, level: "good" }, { score: 1, level: "poor" }] as const;
  expect(worstQuality([good, poor, good])).toBe(poor);
  expect(worstQuality([])).toBeNull();
});
