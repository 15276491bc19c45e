/** The slot table of a session: the newest one counts, and the tracks that the page shows become bind requests. */
import type { ServerMessage, WireSlotTable } from "../wire/messages.js";
import * as bindings from "./bindings.js";
import type { NexusError } from "./error.js";
import type { TrackId } from "./model.js";
import { forgetUnbound } from "./session_watching.js";
import { chain, notify, REQUEST_TIMEOUT_MS, send, type Step } from "./session_steps.js";
import type { Effect, OpenRequest, SessionState } from "./session_state.js";
import { readSlotTable } from "./vocabulary.js";
import { undecodable } from "./watching.js";

export function applyTable(state: SessionState, table: WireSlotTable | undefined, nowMs: number, graceMs?: number): SessionState {
  if (table === undefined) return state;
  const slots = readSlotTable(table);
  // "A reader ignores a table older than the one it has."
  if (slots.revision < state.slots.revision) return state;
  return { ...state, slots, bindings: bindings.applyTable(state.bindings, slots, nowMs, graceMs) };
}

export function notifySlots(before: SessionState, after: SessionState): Effect[] {
  if (after.slots === before.slots || after.phase.name !== "joined") return [];
  return [notify({ type: "slots", slots: after.slots })];
}

export function requestBindings(state: SessionState, nowMs: number): Step {
  const request = bindings.nextRequest(state.bindings, state.slots, nowMs, undecodable(state.watching));
  if (request === null) return [state, []];
  const value = { bindTrackIds: request.bind, unbindTrackIds: request.unbind };
  const open: OpenRequest = { purpose: { name: "slots" }, deadlineMs: nowMs + REQUEST_TIMEOUT_MS };
  return send({ ...state, bindings: bindings.requested(state.bindings) }, { case: "updateSlots", value }, open);
}

export function bindingsAnswered(
  state: SessionState,
  body: ServerMessage["body"] | undefined,
  error: NexusError | null,
  nowMs: number,
): Step {
  const response = body?.case === "updateSlots" ? body.value : undefined;
  const next = applyTable(state, response?.slots, nowMs);
  // After an error every unbound track counts as refused: otherwise the same request would be sent forever.
  const unplaced = error === null ? (response?.unplacedTrackIds ?? []) : [...state.bindings.shown];
  const settled = { ...next, bindings: bindings.answered(next.bindings, unplaced as TrackId[], next.slots) };
  const failure = error === null ? [] : [notify({ type: "error", error })];
  return chain([settled, [...notifySlots(state, next), ...failure]], forgetUnbound);
}
