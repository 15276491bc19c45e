/** Tracks that the page shows are requested, wait for free slots, and keep their slots for a grace period. */
import { describe, expect, it } from "vitest";
import type { Mid, SlotTable, TrackId } from "./model.js";
import { answered, applyTable, bind, forget, JOIN_GRACE_MS, nextDeadline, nextRequest, NO_BINDINGS, RELEASE_GRACE_MS, requested, unbind } from "./bindings.js";

const id = (name: string): TrackId => name as TrackId;
const table = (revision: number, ...bound: (string | null)[]): SlotTable => ({
  revision,
  slots: bound.map((trackId, index) => ({ mid: String(index) as Mid, kind: "video", pair: index, trackId: trackId as TrackId | null })),
});

describe("a track that the page shows", () => {
  it("is requested at once, and not again while the answer is awaited", () => {
    const bindings = bind(NO_BINDINGS, id("A"));
    expect(nextDeadline(bindings, table(1, null), 50)).toBe(50);
    expect(nextRequest(bindings, table(1, null), 50)).toEqual({ bind: ["A"], unbind: [] });
    expect(nextRequest(requested(bindings), table(1, null), 50)).toBeNull();
  });

  it("needs no request when it is bound already", () => {
    expect(nextRequest(bind(NO_BINDINGS, id("A")), table(1, "A"), 0)).toBeNull();
  });

  it("waits after a refusal for a newer table with a free slot", () => {
    const refused = answered(requested(bind(NO_BINDINGS, id("A"))), [id("A")], table(3, "B"));
    expect(nextRequest(refused, table(3, null), 0)).toBeNull();
    expect(nextRequest(refused, table(4, "B"), 0)).toBeNull();
    expect(nextRequest(refused, table(4, null), 0)).toEqual({ bind: ["A"], unbind: [] });
  });

  it("releases its slot after a grace period when it is no longer shown", () => {
    const bindings = unbind(bind(NO_BINDINGS, id("A")), id("A"), 100);
    expect(nextRequest(bindings, table(1, "A"), 100)).toBeNull();
    expect(nextDeadline(bindings, table(1, "A"), 100)).toBe(100 + RELEASE_GRACE_MS);
    expect(nextRequest(bindings, table(1, "A"), 100 + RELEASE_GRACE_MS)).toEqual({ bind: [], unbind: ["A"] });
  });

  it("keeps its slot when it is shown again within the grace period", () => {
    const bindings = bind(unbind(bind(NO_BINDINGS, id("A")), id("A"), 100), id("A"));
    expect(nextRequest(bindings, table(1, "A"), 1e9)).toBeNull();
  });

  it("is forgotten when it is unpublished", () => {
    expect(nextRequest(forget(bind(NO_BINDINGS, id("A")), id("A")), table(1, null), 0)).toBeNull();
  });
});

it("releases later what the join bound and the page never attached", () => {
  const bindings = applyTable(NO_BINDINGS, table(1, "A"), 0, JOIN_GRACE_MS);
  expect(nextRequest(bindings, table(1, "A"), JOIN_GRACE_MS - 1)).toBeNull();
  expect(nextRequest(bindings, table(1, "A"), JOIN_GRACE_MS)).toEqual({ bind: [], unbind: ["A"] });
});
