/**
 * Which video tracks the page wants to see, and what to ask the SFU for so that it gets them.
 *
 * A wish is not a slot: the SFU owns the slot table. One request is under way at a time; what was refused for want of a
 * slot is asked for again when the table has changed and has room. A track that is no longer wanted keeps its slot for a
 * grace, because pages take elements away and put them back (a layout that changes, a component that renders again).
 */
import type { SlotTable, TrackId } from "./model.js";

/** How long a slot outlives the last element. */
export const RELEASE_GRACE_MS = 2_000;
/** The same for what the server bound by itself at join and nobody has attached. */
export const JOIN_GRACE_MS = 10_000;
/** Far above the 25 pairs of a connection; a page that wants more is told so by the server. */
const MAX_WISHES = 500;

export interface Wishes {
  readonly wanted: ReadonlySet<TrackId>;
  /** When the slot of a track that nobody wants is to be given back. */
  readonly releaseAtMs: ReadonlyMap<TrackId, number>;
  /** Refused for want of a slot, and the table's revision at that time. */
  readonly refused: ReadonlyMap<TrackId, number>;
  readonly underWay: boolean;
}

export interface SlotsWish {
  readonly bind: readonly TrackId[];
  readonly unbind: readonly TrackId[];
}

const NONE: ReadonlySet<TrackId> = new Set();

export const NO_WISHES: Wishes = { wanted: new Set(), releaseAtMs: new Map(), refused: new Map(), underWay: false };

export function want(wishes: Wishes, id: TrackId): Wishes {
  if (wishes.wanted.size >= MAX_WISHES) return wishes;
  const wanted = new Set(wishes.wanted).add(id);
  return { ...wishes, wanted, releaseAtMs: without(wishes.releaseAtMs, id) };
}

export function unwant(wishes: Wishes, id: TrackId, nowMs: number): Wishes {
  const releaseAtMs = new Map(wishes.releaseAtMs).set(id, nowMs + RELEASE_GRACE_MS);
  return { ...drop(wishes, id), releaseAtMs };
}

/** The track is gone: its slot is free without our word. */
export function forget(wishes: Wishes, id: TrackId): Wishes {
  return { ...drop(wishes, id), releaseAtMs: without(wishes.releaseAtMs, id) };
}

/** A new table: what is bound and wanted by nobody is given back after a grace. */
export function seeTable(wishes: Wishes, table: SlotTable, nowMs: number, graceMs = RELEASE_GRACE_MS): Wishes {
  const releaseAtMs = new Map<TrackId, number>();
  for (const id of boundTracks(table)) {
    if (!wishes.wanted.has(id)) releaseAtMs.set(id, wishes.releaseAtMs.get(id) ?? nowMs + graceMs);
  }
  return { ...wishes, releaseAtMs };
}

/**
 * What to ask for now; null when there is nothing, or an answer is awaited. `undecodable`: what the server has said that
 * no slot decodes.
 */
export function nextRequest(
  wishes: Wishes,
  table: SlotTable,
  nowMs: number,
  undecodable: ReadonlySet<TrackId> = NONE,
): SlotsWish | null {
  if (wishes.underWay) return null;
  const bound = boundTracks(table);
  const bind = [...wishes.wanted].filter((id) => !bound.has(id) && !undecodable.has(id) && mayAsk(wishes, table, id));
  const unbind = [...wishes.releaseAtMs].filter(([id, at]) => bound.has(id) && at <= nowMs).map(([id]) => id);
  return bind.length + unbind.length === 0 ? null : { bind, unbind };
}

export function requested(wishes: Wishes): Wishes {
  return { ...wishes, underWay: true };
}

export function answered(wishes: Wishes, unplaced: readonly TrackId[], table: SlotTable): Wishes {
  const refused = new Map([...wishes.refused].filter(([id]) => wishes.wanted.has(id)));
  for (const id of unplaced) refused.set(id, table.revision);
  return { ...wishes, refused, underWay: false };
}

export function nextWishDeadline(
  wishes: Wishes,
  table: SlotTable,
  nowMs: number,
  undecodable: ReadonlySet<TrackId> = NONE,
): number | null {
  if (wishes.underWay) return null;
  if (nextRequest(wishes, table, nowMs, undecodable) !== null) return nowMs;
  const bound = boundTracks(table);
  const due = [...wishes.releaseAtMs].filter(([id]) => bound.has(id)).map(([, at]) => at);
  return due.length === 0 ? null : Math.min(...due);
}

function mayAsk(wishes: Wishes, table: SlotTable, id: TrackId): boolean {
  const refusedAt = wishes.refused.get(id);
  if (refusedAt === undefined) return true;
  return table.revision > refusedAt && table.slots.some((slot) => slot.kind === "video" && slot.trackId === null);
}

function boundTracks(table: SlotTable): ReadonlySet<TrackId> {
  return new Set(table.slots.flatMap((slot) => (slot.kind === "video" && slot.trackId !== null ? [slot.trackId] : [])));
}

function drop(wishes: Wishes, id: TrackId): Wishes {
  const wanted = new Set(wishes.wanted);
  wanted.delete(id);
  return { ...wishes, wanted, refused: without(wishes.refused, id) };
}

function without<Value>(map: ReadonlyMap<TrackId, Value>, id: TrackId): ReadonlyMap<TrackId, Value> {
  const copy = new Map(map);
  copy.delete(id);
  return copy;
}
