/**
 * Which layers of one's own tracks any subscriber can use, and which subscribed tracks the server sends nothing of at
 * present. State only; `session_watching.ts` has the rules.
 */
import type { PauseReason, TrackId, WantedLayers } from "./model.js";

export interface Watching {
  /** Of one's own tracks; nothing was said yet of those that are not there. */
  readonly wanted: ReadonlyMap<TrackId, WantedLayers>;
  /** Tracks of others of which nothing comes, though they were asked for. */
  readonly paused: ReadonlyMap<TrackId, PauseReason>;
}

export const NOTHING_WATCHED: Watching = { wanted: new Map(), paused: new Map() };

/** The track is gone, which its listeners are told anyway. */
export function forgetPaused(watching: Watching, id: TrackId): Watching {
  if (!watching.paused.has(id)) return watching;
  const paused = new Map(watching.paused);
  paused.delete(id);
  return { ...watching, paused };
}

/** Tracks for which no slot is to be asked: the server binds them itself when that changes. */
export function undecodable({ paused }: Watching): ReadonlySet<TrackId> {
  return new Set([...paused].flatMap(([id, reason]) => (reason === "unsupported-codec" ? [id] : [])));
}
