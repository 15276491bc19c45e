/** What is watched, in a session: one's own layers that others want, pictures that are paused, views to tell. */
import type { RoomEvent, RoomSnapshot, WireLayerDemand } from "../wire/messages.js";
import type { NexusError } from "./error.js";
import type { PauseReason, TrackId } from "./model.js";
import { notify, REQUEST_TIMEOUT_MS, send, type Step } from "./session_steps.js";
import type { Effect, OpenRequest, SessionState } from "./session_state.js";
import { readPauseReason, readWanted } from "./vocabulary.js";
import * as views from "./views.js";

type WatchingEvent = Extract<RoomEvent["event"], { case: "layerDemandChanged" | "trackPaused" | "trackResumed" }>;

export function watchingEvent(state: SessionState, event: WatchingEvent): Step {
  if (event.case === "layerDemandChanged") return want(state, event.value.demands);
  const paused = new Map(state.watching.paused);
  const id = event.value.trackId as TrackId;
  if (event.case === "trackPaused") paused.set(id, readPauseReason(event.value.reason));
  else paused.delete(id);
  return pause(state, paused);
}

export function watchingSnapshot(state: SessionState, { layerDemands, pausedTracks }: RoomSnapshot): Step {
  const [next, effects] = want(state, layerDemands);
  const paused = pausedTracks.map(({ trackId, reason }) => [trackId as TrackId, readPauseReason(reason)] as const);
  const [last, more] = pause(next, new Map(paused));
  return [last, [...effects, ...more]];
}

/** A track that has lost its slot is not slow, it is not asked for. One that cannot be decoded never had any. */
export function forgetUnbound(state: SessionState): Step {
  const bound = new Set(state.slots.slots.map((slot) => slot.trackId));
  const kept = [...state.watching.paused].filter(([id, reason]) => bound.has(id) || reason === "unsupported-codec");
  return kept.length === state.watching.paused.size ? [state, []] : pause(state, new Map(kept));
}

export function requestViews(state: SessionState, nowMs: number): Step {
  const changed = views.nextRequest(state.views, nowMs);
  if (changed === null) return [state, []];
  const value = { views: [...changed].map(([trackId, view]) => ({ trackId, ...view })) };
  const open: OpenRequest = { purpose: { name: "view" }, deadlineMs: nowMs + REQUEST_TIMEOUT_MS };
  return send({ ...state, views: views.requested(state.views, changed) }, { case: "updateView", value }, open);
}

/** A view that was refused is not told again before it changes: the picture comes, if not in the best size. */
export function viewsAnswered(state: SessionState, error: NexusError | null): Step {
  const effects = error === null ? [] : [notify({ type: "error", error })];
  return [{ ...state, views: views.answered(state.views) }, effects];
}

function want(state: SessionState, tracks: readonly WireLayerDemand[]): Step {
  const wanted = new Map(state.watching.wanted);
  const effects: Effect[] = [];
  for (const track of tracks) {
    const [trackId, layers] = [track.trackId as TrackId, readWanted(track)];
    wanted.set(trackId, layers);
    effects.push(notify({ type: "layers-wanted", trackId, layers }));
  }
  return [{ ...state, watching: { ...state.watching, wanted } }, told(state, effects)];
}

function pause(state: SessionState, paused: ReadonlyMap<TrackId, PauseReason>): Step {
  const before = state.watching.paused;
  const news = [...paused].filter(([id, reason]) => before.get(id) !== reason);
  const effects = [
    ...news.map(([trackId, reason]) => notify({ type: "track-paused", trackId, reason })),
    ...[...before.keys()].filter((id) => !paused.has(id)).map((trackId) => notify({ type: "track-resumed", trackId })),
  ];
  return [{ ...state, watching: { ...state.watching, paused } }, told(state, effects)];
}

/** Before "joined" nobody listens yet; the room reads the state then. */
const told = (state: SessionState, effects: Effect[]): Effect[] => (state.phase.name === "joined" ? effects : []);
