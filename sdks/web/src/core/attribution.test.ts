/** A slot is attributed to a track only while the slot table and the CSRC of its packets agree. */
import { describe, expect, it } from "vitest";
import { carriers, NOTHING_ATTRIBUTED, readSlot, type Attribution } from "./attribution.js";
import type { Mid, Slot, TrackDescription, TrackId } from "./model.js";

const video = (mid: string, trackId: string | null): Slot => ({ mid: mid as Mid, kind: "video", pair: 0, trackId: trackId as TrackId | null });
const audio = (mid: string): Slot => ({ mid: mid as Mid, kind: "audio", pair: -1, trackId: null });
const track = (id: string, number: number, kind: "audio" | "video"): [number, TrackDescription] => [
  number,
  { id: id as TrackId, number, kind } as TrackDescription,
];

const TRACKS = new Map([track("A", 1, "video"), track("B", 2, "video"), track("microphone", 3, "audio")]);

function attributed(slots: readonly Slot[], ...readings: readonly (readonly [string, number, number])[]): Record<string, string> {
  let attribution: Attribution = { ...NOTHING_ATTRIBUTED, table: { revision: 1, slots }, tracks: TRACKS };
  for (const [mid, number, playedAtMs] of readings) {
    attribution = readSlot(attribution, { mid: mid as Mid, number, playedAtMs });
  }
  return Object.fromEntries(carriers(attribution));
}

describe("a video slot", () => {
  it("that has never carried media is attributed to the bound track", () => {
    expect(attributed([video("1", "A")])).toEqual({ A: "1" });
  });

  it("is not attributed while table and CSRC differ", () => {
    expect(attributed([video("1", "B")], ["1", 1, 10])).toEqual({});
    expect(attributed([video("1", null)], ["1", 1, 10])).toEqual({});
  });

  it("is attributed to the new track from its first CSRC on", () => {
    expect(attributed([video("1", "B")], ["1", 1, 10], ["1", 2, 20])).toEqual({ B: "1" });
  });

  it("is not attributed to an unknown number", () => {
    expect(attributed([video("1", "A")], ["1", 77, 10])).toEqual({});
  });

  it("is never attributed to an audio track", () => {
    expect(attributed([video("1", "microphone")], ["1", 3, 10])).toEqual({});
  });
});

describe("an audio slot", () => {
  it("is attributed to the track of its CSRC", () => {
    expect(attributed([audio("0")], ["0", 3, 10])).toEqual({ microphone: "0" });
    expect(attributed([audio("0")])).toEqual({});
  });

  it("loses a track to the slot that played it later", () => {
    expect(attributed([audio("0"), audio("2")], ["0", 3, 10], ["2", 3, 20])).toEqual({ microphone: "2" });
    expect(attributed([audio("0"), audio("2")], ["0", 3, 30], ["2", 3, 20])).toEqual({ microphone: "0" });
  });
});
