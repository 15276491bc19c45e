/** The rules for layer demand, paused tracks and views in a session. */
import type { RoomEvent, RoomSnapshot, WireLayerDemand } from "../wire/messages.js";
import type { NexusError } from "./error.js";
import type { PauseReason, TrackId } from "./model.js";
import { notify, REQUEST_TIMEOUT_MS, send, type Step } from "./session_steps.js";
import type { Effect, OpenRequest, SessionState } from "./session_state.js";
import { readPauseReason, readLayerDemand } from "./vocabulary.js";
import * as views from "./views.js";

type WatchingEvent = Extract<RoomEvent["event"], { case: "layerDemandChanged" | "trackPaused" | "trackResumed" }>;

export function watchingEvent(state: SessionState, event: WatchingEvent): Step {
  if (event.case === "layerDemandChanged") return setDemands(state, event.value.demands);
  const paused = new Map(state.watching.paused);
  const id = event.value.trackId as TrackId;
  if (event.case === "trackPaused") paused.set(id, readPauseReason(event.value.reason));
  else paused.delete(id);
  return pause(state, paused);
}

export function watchingSnapshot(state: SessionState, { layerDemands, pausedTracks }: RoomSnapshot): Step {
  const [next, effects] = setDemands(state, layerDemands);
  const paused = pausedTracks.map(({ trackId, reason }) => [trackId as TrackId, readPauseReason(reason)] as const);
  const [last, more] = pause(next, new Map(paused));
  return [last, [...effects, ...more]];
}

/** A track that has lost its slot is no longer paused, but not requested. An undecodable track never had a slot. */
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

/** A rejected view is not sent again until it changes: the video arrives all the same, if not in the best size. */
export function viewsAnswered(state: SessionState, error: NexusError | null): Step {
  const effects = error === null ? [] : [notify({ type: "error", error })];
  return [{ ...state, views: views.answered(state.views) }, effects];
}

function setDemands(state: SessionState, tracks: readonly WireLayerDemand[]): Step {
  const demands = new Map(state.watching.demands);
  const effects: Effect[] = [];
  for (const track of tracks) {
    const [trackId, demand] = [track.trackId as TrackId, readLayerDemand(track)];
    demands.set(trackId, demand);
    effects.push(notify({ type: "layer-demand", trackId, demand }));
  }
  return [{ ...state, watching: { ...state.watching, demands } }, whenJoined(state, effects)];
}

function pause(state: SessionState, paused: ReadonlyMap<TrackId, PauseReason>): Step {
  const before = state.watching.paused;
  const changed = [...paused].filter(([id, reason]) => before.get(id) !== reason);
  const effects = [
    ...changed.map(([trackId, reason]) => notify({ type: "track-paused", trackId, reason })),
    ...[...before.keys()].filter((id) => !paused.has(id)).map((trackId) => notify({ type: "track-resumed", trackId })),
  ];
  return [{ ...state, watching: { ...state.watching, paused } }, whenJoined(state, effects)];
}

/** There are no listeners before "joined"; the room then reads the state itself. */
const whenJoined = (state: SessionState, effects: Effect[]): Effect[] => (state.phase.name === "joined" ? effects : []);
