/** The slot table of a session: the newest counts, and wishes for video become requests. */
import type { ServerMessage, WireSlotTable } from "../wire/messages.js";
import type { NexusError } from "./error.js";
import type { TrackId } from "./model.js";
import { forgetUnbound } from "./session_watching.js";
import { chain, notify, REQUEST_TIMEOUT_MS, send, type Step } from "./session_steps.js";
import type { Effect, OpenRequest, SessionState } from "./session_state.js";
import { readSlotTable } from "./vocabulary.js";
import { undecodable } from "./watching.js";
import * as wishes from "./wishes.js";

export function seeTable(state: SessionState, table: WireSlotTable | undefined, nowMs: number, graceMs?: number): SessionState {
  if (table === undefined) return state;
  const slots = readSlotTable(table);
  // "A reader ignores a table older than the one it has."
  if (slots.revision < state.slots.revision) return state;
  return { ...state, slots, wishes: wishes.seeTable(state.wishes, slots, nowMs, graceMs) };
}

export function tellSlots(before: SessionState, after: SessionState): Effect[] {
  if (after.slots === before.slots || after.phase.name !== "joined") return [];
  return [notify({ type: "slots", slots: after.slots })];
}

export function askForSlots(state: SessionState, nowMs: number): Step {
  const wish = wishes.nextRequest(state.wishes, state.slots, nowMs, undecodable(state.watching));
  if (wish === null) return [state, []];
  const value = { bindTrackIds: wish.bind, unbindTrackIds: wish.unbind };
  const open: OpenRequest = { purpose: { name: "slots" }, deadlineMs: nowMs + REQUEST_TIMEOUT_MS };
  return send({ ...state, wishes: wishes.requested(state.wishes) }, { case: "slots", value }, open);
}

export function slotsAnswered(
  state: SessionState,
  body: ServerMessage["body"] | undefined,
  error: NexusError | null,
  nowMs: number,
): Step {
  const response = body?.case === "slots" ? body.value : undefined;
  const next = seeTable(state, response?.slots, nowMs);
  // After an error everything still unbound counts as refused, or the same request would be sent for ever.
  const unplaced = error === null ? (response?.unplacedTrackIds ?? []) : [...state.wishes.wanted];
  const settled = { ...next, wishes: wishes.answered(next.wishes, unplaced as TrackId[], next.slots) };
  const told: Step = [settled, [...tellSlots(state, next), ...(error === null ? [] : [notify({ type: "error", error })])]];
  return chain(told, forgetUnbound);
}
