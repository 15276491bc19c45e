/**
 * The video tracks that the page shows, and the requests that get them bound to slots.
 *
 * The SFU owns the slot table; the page only asks. One request is in flight at a time. A track that was refused for lack of
 * a slot is requested again when a newer table has a free one. A track that the page no longer shows keeps its slot for a
 * grace period, because pages remove elements and put them back (a layout that changes, a component that renders again).
 */
import type { SlotTable, TrackId } from "./model.js";

/** How long a slot outlives the last element. */
export const RELEASE_GRACE_MS = 2_000;
/** How long the page has to attach a track that the server bound at join. */
export const JOIN_GRACE_MS = 10_000;
/** Maximum number of tracks shown: far above the 25 pairs of a connection, beyond which the server refuses. */
const MAX_SHOWN = 500;

export interface Bindings {
  readonly shown: ReadonlySet<TrackId>;
  /** When to release the slots of bound tracks that are not shown. */
  readonly releaseAtMs: ReadonlyMap<TrackId, number>;
  /** Tracks refused for lack of a slot, and the table's revision at that time. */
  readonly refused: ReadonlyMap<TrackId, number>;
  readonly inFlight: boolean;
}

export interface BindRequest {
  readonly bind: readonly TrackId[];
  readonly unbind: readonly TrackId[];
}

const NONE: ReadonlySet<TrackId> = new Set();

export const NO_BINDINGS: Bindings = { shown: new Set(), releaseAtMs: new Map(), refused: new Map(), inFlight: false };

/** The page shows the track from now on. */
export function bind(bindings: Bindings, id: TrackId): Bindings {
  if (bindings.shown.size >= MAX_SHOWN) return bindings;
  const shown = new Set(bindings.shown).add(id);
  return { ...bindings, shown, releaseAtMs: without(bindings.releaseAtMs, id) };
}

/** The page no longer shows the track. */
export function unbind(bindings: Bindings, id: TrackId, nowMs: number): Bindings {
  const releaseAtMs = new Map(bindings.releaseAtMs).set(id, nowMs + RELEASE_GRACE_MS);
  return { ...drop(bindings, id), releaseAtMs };
}

/** The track is unpublished: the server releases its slot by itself. */
export function forget(bindings: Bindings, id: TrackId): Bindings {
  return { ...drop(bindings, id), releaseAtMs: without(bindings.releaseAtMs, id) };
}

/** Starts the grace period of every track that a new table binds and the page does not show. */
export function applyTable(bindings: Bindings, table: SlotTable, nowMs: number, graceMs = RELEASE_GRACE_MS): Bindings {
  const releaseAtMs = new Map<TrackId, number>();
  for (const id of boundTracks(table)) {
    if (!bindings.shown.has(id)) releaseAtMs.set(id, bindings.releaseAtMs.get(id) ?? nowMs + graceMs);
  }
  return { ...bindings, releaseAtMs };
}

/**
 * The request to send now; null when there is none, or an answer is awaited. `undecodable`: the tracks that no slot
 * decodes, according to the server.
 */
export function nextRequest(
  bindings: Bindings,
  table: SlotTable,
  nowMs: number,
  undecodable: ReadonlySet<TrackId> = NONE,
): BindRequest | null {
  if (bindings.inFlight) return null;
  const bound = boundTracks(table);
  const missing = [...bindings.shown].filter((id) => !bound.has(id) && !undecodable.has(id));
  const request = {
    bind: missing.filter((id) => mayRequest(bindings, table, id)),
    unbind: [...bindings.releaseAtMs].filter(([id, at]) => bound.has(id) && at <= nowMs).map(([id]) => id),
  };
  return request.bind.length + request.unbind.length === 0 ? null : request;
}

export function requested(bindings: Bindings): Bindings {
  return { ...bindings, inFlight: true };
}

export function answered(bindings: Bindings, unplaced: readonly TrackId[], table: SlotTable): Bindings {
  const refused = new Map([...bindings.refused].filter(([id]) => bindings.shown.has(id)));
  for (const id of unplaced) refused.set(id, table.revision);
  return { ...bindings, refused, inFlight: false };
}

export function nextDeadline(
  bindings: Bindings,
  table: SlotTable,
  nowMs: number,
  undecodable: ReadonlySet<TrackId> = NONE,
): number | null {
  if (bindings.inFlight) return null;
  if (nextRequest(bindings, table, nowMs, undecodable) !== null) return nowMs;
  const bound = boundTracks(table);
  const due = [...bindings.releaseAtMs].filter(([id]) => bound.has(id)).map(([, at]) => at);
  return due.length === 0 ? null : Math.min(...due);
}

function mayRequest(bindings: Bindings, table: SlotTable, id: TrackId): boolean {
  const refusedAt = bindings.refused.get(id);
  if (refusedAt === undefined) return true;
  return table.revision > refusedAt && table.slots.some((slot) => slot.kind === "video" && slot.trackId === null);
}

function boundTracks(table: SlotTable): ReadonlySet<TrackId> {
  return new Set(table.slots.flatMap((slot) => (slot.kind === "video" && slot.trackId !== null ? [slot.trackId] : [])));
}

function drop(bindings: Bindings, id: TrackId): Bindings {
  const shown = new Set(bindings.shown);
  shown.delete(id);
  return { ...bindings, shown, refused: without(bindings.refused, id) };
}

function without<Value>(map: ReadonlyMap<TrackId, Value>, id: TrackId): ReadonlyMap<TrackId, Value> {
  const copy = new Map(map);
  copy.delete(id);
  return copy;
}
