import { describe, expect, it } from "vitest";
import type { Mid, SlotTable, TrackId } from "./model.js";
import { answered, forget, JOIN_GRACE_MS, nextRequest, nextWishDeadline, NO_WISHES, RELEASE_GRACE_MS, requested, seeTable, unwant, want } from "./wishes.js";

const id = (name: string): TrackId => name as TrackId;
const table = (revision: number, ...bound: (string | null)[]): SlotTable => ({
  revision,
  slots: bound.map((trackId, index) => ({ mid: String(index) as Mid, kind: "video", pair: index, trackId: trackId as TrackId | null })),
});

describe("a wish", () => {
  it("is asked for at once, and not again while the answer is awaited", () => {
    const wishes = want(NO_WISHES, id("A"));
    expect(nextWishDeadline(wishes, table(1, null), 50)).toBe(50);
    expect(nextRequest(wishes, table(1, null), 50)).toEqual({ bind: ["A"], unbind: [] });
    expect(nextRequest(requested(wishes), table(1, null), 50)).toBeNull();
  });

  it("that is bound already needs no request", () => {
    expect(nextRequest(want(NO_WISHES, id("A")), table(1, "A"), 0)).toBeNull();
  });

  it("that was refused waits for a newer table with room", () => {
    const refused = answered(requested(want(NO_WISHES, id("A"))), [id("A")], table(3, "B"));
    expect(nextRequest(refused, table(3, null), 0)).toBeNull();
    expect(nextRequest(refused, table(4, "B"), 0)).toBeNull();
    expect(nextRequest(refused, table(4, null), 0)).toEqual({ bind: ["A"], unbind: [] });
  });

  it("taken back gives the slot up after a grace", () => {
    const wishes = unwant(want(NO_WISHES, id("A")), id("A"), 100);
    expect(nextRequest(wishes, table(1, "A"), 100)).toBeNull();
    expect(nextWishDeadline(wishes, table(1, "A"), 100)).toBe(100 + RELEASE_GRACE_MS);
    expect(nextRequest(wishes, table(1, "A"), 100 + RELEASE_GRACE_MS)).toEqual({ bind: [], unbind: ["A"] });
  });

  it("taken back and renewed within the grace keeps its slot", () => {
    const wishes = want(unwant(want(NO_WISHES, id("A")), id("A"), 100), id("A"));
    expect(nextRequest(wishes, table(1, "A"), 1e9)).toBeNull();
  });

  it("for a track that is gone is forgotten", () => {
    expect(nextRequest(forget(want(NO_WISHES, id("A")), id("A")), table(1, null), 0)).toBeNull();
  });
});

it("what the join bound and nobody attached is given back later", () => {
  const wishes = seeTable(NO_WISHES, table(1, "A"), 0, JOIN_GRACE_MS);
  expect(nextRequest(wishes, table(1, "A"), JOIN_GRACE_MS - 1)).toBeNull();
  expect(nextRequest(wishes, table(1, "A"), JOIN_GRACE_MS)).toEqual({ bind: [], unbind: ["A"] });
});
