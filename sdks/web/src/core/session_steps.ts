/** A step of a session (the new state with its effects), and functions that build and combine steps. */
import type { Effect, Notice, OpenRequest, Request, SessionState } from "./session_state.js";

/** The new state and the effects to perform. */
export type Step = readonly [SessionState, readonly Effect[]];

export const REQUEST_TIMEOUT_MS = 15_000;

/** Sends a request and records its purpose. */
export function send(state: SessionState, request: Request, open: OpenRequest): Step {
  const requestId = state.nextRequestId;
  const requests = new Map(state.requests).set(requestId, open);
  return [{ ...state, requests, nextRequestId: requestId + 1 }, [{ type: "send", requestId, request }]];
}

/** Applies one change after another. */
export function chain([state, effects]: Step, change: (state: SessionState) => Step): Step {
  const [next, more] = change(state);
  return [next, [...effects, ...more]];
}

export function notify(notice: Notice): Effect {
  return { type: "notify", notice };
}
