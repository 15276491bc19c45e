/**
 * Re-offers (RFC 9429), one at a time: changes that arrive during a negotiation go into the next one together. Each caller
 * waits under a key for the negotiation that includes its change.
 */
import type { OfferResponse } from "../wire/messages.js";
import type { NexusError } from "./error.js";
import { takeRestart } from "./media_path.js";
import type { Effect, Key, Negotiation, SessionState } from "./session_state.js";
import { notify, type Step } from "./session_steps.js";
import { readTrack } from "./vocabulary.js";

export function negotiate(state: SessionState, keys: readonly Key[]): Step {
  const { negotiation } = state;
  if (negotiation.name !== "idle") {
    return [{ ...state, negotiation: { ...negotiation, again: [...(negotiation.again ?? []), ...keys] } }, []];
  }
  const [path, iceRestart] = takeRestart(state.path);
  const offer: Effect = { type: "create-offer", slotCount: state.slotCount, initial: false, iceRestart };
  return [{ ...state, path, negotiation: { name: "offering", keys, again: null } }, [offer]];
}

/** The state once the offer can be sent; false if none was awaited. */
export function offerCreated(state: SessionState): readonly [SessionState, boolean] {
  if (state.negotiation.name !== "offering") return [state, false];
  return [{ ...state, negotiation: { ...state.negotiation, name: "awaiting" } }, true];
}

export function offerReplied(state: SessionState, response: OfferResponse): Step {
  if (state.negotiation.name !== "awaiting") return [state, []];
  const tracks = response.tracks.map(readTrack);
  const own = state.roster.own === null ? null : { ...state.roster.own, tracks };
  const next: SessionState = {
    ...state,
    roster: { ...state.roster, own },
    negotiation: { ...state.negotiation, name: "applying" },
  };
  return [next, [{ type: "apply-answer", sdp: response.sdp, iceServers: null }]];
}

export function answerApplied(state: SessionState): Step {
  const { negotiation } = state;
  if (negotiation.name !== "applying") return [state, []];
  const value = state.roster.own?.tracks ?? [];
  const settled = negotiation.keys.map((key): Effect => ({ type: "resolve", key, value }));
  const slots = notify({ type: "slots", slots: state.slots });
  return goOn(state, negotiation, [slots, ...settled]);
}

export function offerFailed(state: SessionState, error: NexusError): Step {
  return fail(state, error, []);
}

/** The server refused the offer, or the browser the answer. */
export function answerFailed(state: SessionState, error: NexusError): Step {
  return fail(state, error, [{ type: "roll-back" }]);
}

function fail(state: SessionState, error: NexusError, effects: readonly Effect[]): Step {
  const { negotiation } = state;
  if (negotiation.name === "idle") return [state, []];
  const rejected = negotiation.keys.map((key): Effect => ({ type: "reject", key, error }));
  const unawaited: Effect[] = negotiation.keys.length > 0 ? [] : [notify({ type: "error", error })];
  return goOn(state, negotiation, [...effects, ...rejected, ...unawaited]);
}

function goOn(state: SessionState, done: Exclude<Negotiation, { name: "idle" }>, effects: readonly Effect[]): Step {
  const idle: SessionState = { ...state, negotiation: { name: "idle" } };
  if (done.again === null) return [idle, effects];
  const [next, more] = negotiate(idle, done.again);
  return [next, [...effects, ...more]];
}
