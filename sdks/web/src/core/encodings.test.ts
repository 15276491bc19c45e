/** The encodings planned for a source, their adjustment to another size, and layers without demand. */
import { describe, expect, it } from "vitest";
import { encodingPlans, isTaken, refit, demandedEncodings, type EncodingPlan, type VideoSource } from "./encodings.js";
import type { LayerDemand } from "./model.js";

const camera: VideoSource = {
  source: "camera",
  codec: "vp8",
  width: 1280,
  height: 720,
  maxBitrateBps: 1_700_000,
  layered: true,
};
const first = (source: VideoSource): EncodingPlan => {
  const [plan] = encodingPlans(source);
  if (plan === undefined) throw new Error("no plan");
  return plan;
};
const demand = (maxSpatial: number, watched = true): LayerDemand => ({ watched, maxSpatial, maxTemporal: 2 });

describe("a camera", () => {
  it.each(["vp8", "h264"] as const)("is simulcast, low to high, with %s", (codec) => {
    const { encodings, layers, scalabilityMode } = first({ ...camera, codec });
    expect(encodings.map(({ rid, scaleResolutionDownBy }) => [rid, scaleResolutionDownBy])).toEqual([["q", 4], ["h", 2], ["f", 1]]);
    expect(encodings.map(({ maxBitrate }) => maxBitrate)).toEqual([153_000, 510_000, 1_700_000]);
    expect(layers.map(({ rid, width, height }) => [rid, width, height])).toEqual([
      ["q", 320, 180],
      ["h", 640, 360],
      ["f", 1280, 720],
    ]);
    expect(scalabilityMode).toBe("");
  });

  it.each(["vp9", "av1"] as const)("is scalable with %s", (codec) => {
    const plan = first({ ...camera, codec });
    expect(plan.encodings).toEqual([{ maxBitrate: 1_700_000, scalabilityMode: "L3T3_KEY" }]);
    expect(plan.layers.map(({ rid, width }) => [rid, width])).toEqual([["", 320], ["", 640], ["", 1280]]);
    expect(encodingPlans({ ...camera, codec }).map((one) => one.scalabilityMode)).toEqual(["L3T3_KEY", "L3T3", "L1T3", ""]);
  });

  it.each([
    [1920, 1080, 3],
    [960, 540, 3],
    [640, 360, 2],
    [320, 180, 1],
    [0, 0, 3],
  ])("of %i × %i has %i encodings", (width, height, count) => {
    expect(first({ ...camera, width, height }).encodings).toHaveLength(count);
  });

  it("can have a single encoding", () => {
    expect(encodingPlans({ ...camera, layered: false })).toEqual([
      { encodings: [{ maxBitrate: 1_700_000 }], layers: [], scalabilityMode: "" },
    ]);
  });

  it("gives the lowest layer a minimum bit rate", () => {
    expect(first({ ...camera, maxBitrateBps: 300_000 }).encodings[0]?.maxBitrate).toBe(60_000);
  });
});

it("a screen has one size, and temporal layers where they can be distinguished", () => {
  expect(first({ ...camera, source: "screen" }).encodings).toEqual([{ maxBitrate: 1_700_000, scalabilityMode: "L1T3" }]);
  expect(first({ ...camera, source: "screen", codec: "h264" }).encodings).toEqual([{ maxBitrate: 1_700_000 }]);
});

it("ends every list of plans with one that any browser accepts", () => {
  for (const codec of ["vp8", "h264", "vp9", "av1"] as const) {
    expect(encodingPlans({ ...camera, codec }).at(-1)?.encodings).toEqual([{ maxBitrate: 1_700_000 }]);
  }
});

it("notices a plan that a browser did not apply", () => {
  const plan = first({ ...camera, codec: "vp9" });
  expect(isTaken(plan, [{ scalabilityMode: "L3T3_KEY" }])).toBe(true);
  expect(isTaken(plan, [{}])).toBe(false);
  expect(isTaken(first(camera), [{ rid: "q" }])).toBe(false);
});

describe("a source of another size", () => {
  const shape = (plan: EncodingPlan): unknown[] =>
    plan.encodings.map(({ rid, active = true, scaleResolutionDownBy }) => (active ? [rid, scaleResolutionDownBy] : [rid, "off"]));
  const sizes = ({ layers }: EncodingPlan): unknown[] =>
    layers.map(({ rid, width, height, inactive }) => (inactive ? [rid, "inactive"] : [rid, width, height]));

  it.each(["vp8", "h264"] as const)("is sent at full size by the encodings that it has pixels for: %s", (codec) => {
    const small = { ...camera, codec, width: 640, height: 480 };
    const plan = refit(first({ ...camera, codec }), small);
    expect(shape(plan)).toEqual([["q", 2], ["h", 1], ["f", "off"]]);
    expect(sizes(plan)).toEqual([["q", 320, 240], ["h", 640, 480], ["f", "inactive"]]);
    expect(plan.encodings.map(({ maxBitrate }) => maxBitrate)).toEqual([510_000, 1_700_000, 1_700_000]);
    const tiny = refit(plan, { ...small, width: 320, height: 180 });
    expect([shape(tiny), sizes(tiny)]).toEqual([
      [["q", 1], ["h", "off"], ["f", "off"]],
      [["q", 320, 180], ["h", "inactive"], ["f", "inactive"]],
    ]);
    const large = refit(tiny, { ...camera, codec });
    expect([shape(large), sizes(large)]).toEqual([
      [["q", 4], ["h", 2], ["f", 1]],
      [["q", 320, 180], ["h", 640, 360], ["f", 1280, 720]],
    ]);
    expect(large.encodings.map(({ maxBitrate }) => maxBitrate)).toEqual([153_000, 510_000, 1_700_000]);
  });

  it("gets no more encodings than the sender has", () => {
    const plan = refit(first({ ...camera, width: 640, height: 480 }), camera);
    expect([shape(plan), sizes(plan)]).toEqual([[["h", 2], ["f", 1]], [["h", 640, 360], ["f", 1280, 720]]]);
  });

  it("does not change a scalable encoding, but its description", () => {
    const plan = refit(first({ ...camera, codec: "av1" }), { ...camera, codec: "av1", width: 640, height: 480 });
    expect(plan.encodings).toEqual([{ maxBitrate: 1_700_000, scalabilityMode: "L3T3_KEY" }]);
    expect(sizes(plan)).toEqual([["", 320, 240], ["", 640, 480], ["", "inactive"]]);
  });

  it("does not change a single encoding", () => {
    const plan = first({ ...camera, layered: false });
    expect(refit(plan, { ...camera, layered: false, width: 640, height: 480 })).toBe(plan);
  });

  it("switches encodings without pixels off, whatever the demand", () => {
    const plan = refit(first(camera), { ...camera, width: 640, height: 480 });
    const active = (demanded: LayerDemand | null): boolean[] => demandedEncodings(plan, demanded).map((one) => one.active);
    expect([active(null), active(demand(3)), active(demand(0))]).toEqual([
      [true, true, false],
      [true, true, false],
      [true, false, false],
    ]);
  });
});

describe("layers without demand", () => {
  it("are switched off in a simulcast, the highest first", () => {
    const plan = first(camera);
    const active = (demanded: LayerDemand | null): boolean[] => demandedEncodings(plan, demanded).map((one) => one.active);
    expect(active(null)).toEqual([true, true, true]);
    expect(active(demand(2))).toEqual([true, true, true]);
    expect(active(demand(1))).toEqual([true, true, false]);
    expect(active(demand(0))).toEqual([true, false, false]);
    expect(active(demand(0, false))).toEqual([false, false, false]);
  });

  it("are excluded by the bit rate of a scalable stream", () => {
    const plan = first({ ...camera, codec: "av1" });
    expect(demandedEncodings(plan, demand(0))).toEqual([{ active: true, maxBitrate: 153_000 }]);
    expect(demandedEncodings(plan, demand(2))).toEqual([{ active: true, maxBitrate: 1_700_000 }]);
    expect(demandedEncodings(plan, demand(3))).toEqual([{ active: true, maxBitrate: 1_700_000 }]);
    expect(demandedEncodings(plan, demand(0, false))[0]?.active).toBe(false);
  });

  it("do not change a plain stream", () => {
    const plan = first({ ...camera, layered: false });
    expect(demandedEncodings(plan, demand(0))).toEqual([{ active: true, maxBitrate: 1_700_000 }]);
  });
});
