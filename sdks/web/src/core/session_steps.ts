/** What the rules of a session are put together from. */
import type { Effect, Notice, OpenRequest, Request, SessionState } from "./session_state.js";

/** The state afterwards, and what is to be done. */
export type Step = readonly [SessionState, readonly Effect[]];

export const REQUEST_TIMEOUT_MS = 15_000;

/** Sends a request and remembers what its answer is for. */
export function send(state: SessionState, request: Request, open: OpenRequest): Step {
  const requestId = state.nextRequestId;
  const requests = new Map(state.requests).set(requestId, open);
  return [{ ...state, requests, nextRequestId: requestId + 1 }, [{ type: "send", requestId, request }]];
}

/** One change after another. */
export function chain([state, effects]: Step, change: (state: SessionState) => Step): Step {
  const [next, more] = change(state);
  return [next, [...effects, ...more]];
}

export function notify(notice: Notice): Effect {
  return { type: "notify", notice };
}
