/**
 * The layer demand of local tracks, and the remote tracks that are paused. State only; `session_watching.ts` has the rules.
 */
import type { LayerDemand, PauseReason, TrackId } from "./model.js";

export interface Watching {
  /** By local track; the server has not sent any yet for a track without an entry. */
  readonly demands: ReadonlyMap<TrackId, LayerDemand>;
  /** Remote tracks that were requested and of which nothing is sent. */
  readonly paused: ReadonlyMap<TrackId, PauseReason>;
}

export const NOTHING_WATCHED: Watching = { demands: new Map(), paused: new Map() };

/** The track is unpublished: its listeners need no notice that it resumes. */
export function forgetPaused(watching: Watching, id: TrackId): Watching {
  if (!watching.paused.has(id)) return watching;
  const paused = new Map(watching.paused);
  paused.delete(id);
  return { ...watching, paused };
}

/** Tracks that must not be requested: the server binds them by itself once they can be decoded. */
export function undecodable({ paused }: Watching): ReadonlySet<TrackId> {
  return new Set([...paused].flatMap(([id, reason]) => (reason === "unsupported-codec" ? [id] : [])));
}
