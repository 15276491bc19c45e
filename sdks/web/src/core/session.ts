/**
 * The rules of a session: `reduce(state, input, now) -> [state, effects]`; `now` is on a monotonic clock.
 *
 * Joining costs one round trip: the offer is created while the WebSocket opens, `join` carries it, and its response carries
 * everything else. Afterwards re-offers are serialised, the tracks that the page shows become slot requests, and pings keep
 * the session alive. `edge/` performs the effects: there are no sockets, timers or RTCPeerConnections here.
 */
import type { JoinResponse, RoomEvent, RoomSnapshot, ServerMessage } from "../wire/messages.js";
import * as bindings from "./bindings.js";
import { NexusError } from "./error.js";
import type { DisconnectReason, Offer } from "./model.js";
import { follow, isLost, nextPathDeadline, restartIfDue } from "./media_path.js";
import { answerApplied, answerFailed, negotiate, offerCreated, offerFailed, offerReplied } from "./negotiation.js";
import { applyRoomEvent, applySnapshot, EMPTY_ROSTER, type WholeRoom } from "./roster.js";
import {
  connectionState,
  MAX_SLOTS,
  type Effect,
  type Input,
  type JoinDetails,
  type Notice,
  type OpenRequest,
  type Request,
  type SessionState,
} from "./session_state.js";
import { applyTable, bindingsAnswered, notifySlots, requestBindings } from "./session_slots.js";
import { chain, notify, REQUEST_TIMEOUT_MS, send, type Step } from "./session_steps.js";
import { readActivity, readCloseCode, readError, readGrants, readParticipant, readReason, writePublication } from "./vocabulary.js";
import { SDK_NAME, SDK_VERSION } from "./version.js";
import { forgetUnbound, requestViews, viewsAnswered, watchingEvent, watchingSnapshot } from "./session_watching.js";
import * as views from "./views.js";
import { forgetPaused, undecodable } from "./watching.js";

/** How long the server may take to answer a join, from `join()` on, including the opening of the WebSocket. */
const JOIN_TIMEOUT_MS = 15_000;
/** Silence, in ping intervals, after which the server counts as lost; the server uses the same for clients. */
const SILENCE_FACTOR = 3;
const DEFAULT_PING_INTERVAL_MS = 10_000;
/** Maximum number of requests of the page in flight. */
const MAX_OPEN_REQUESTS = 256;

export function reduce(state: SessionState, input: Input, nowMs: number): Step {
  if (state.phase.name === "closed") return afterClose(state, input);
  const [next, effects] = react(state, input, nowMs);
  const after = connectionState(next);
  // The notice "closed" comes with the close itself.
  if (after === connectionState(state) || after === "closed") return [next, effects];
  return [next, [...effects, notify({ type: "connection-state", state: after })]];
}

function react(state: SessionState, input: Input, nowMs: number): Step {
  switch (input.type) {
    case "join":
      return startJoin(state, input.details, nowMs);
    case "offer-created":
      return state.phase.name === "preparing"
        ? joinWhenReady({ ...state, phase: { ...state.phase, offer: input.offer } })
        : reoffer(state, input.offer, nowMs);
    case "socket-open":
      return state.phase.name === "preparing"
        ? joinWhenReady({ ...state, phase: { ...state.phase, socketOpen: true } })
        : [state, []];
    case "socket-closed":
      return socketClosed(state, input.code);
    case "message":
      return receive({ ...state, lastHeardMs: nowMs }, input.message, nowMs);
    case "undecodable": {
      const error = new NexusError("INVALID_MESSAGE", "The server sent an invalid message.", { cause: input.cause });
      return close(state, "protocol-error", error, 4000);
    }
    case "offer-failed":
      return isJoining(state) ? close(state, "join-failed", input.error, 1000) : offerFailed(state, input.error);
    case "answer-applied":
      return state.phase.name === "applying" ? joined(state, state.phase.pingIntervalMs, nowMs) : answerApplied(state);
    case "answer-failed":
      return isJoining(state) ? close(state, "join-failed", input.error, 1000) : answerFailed(state, input.error);
    case "media":
      return media(state, input.state, nowMs);
    case "negotiate":
      return negotiate(state, [input.key]);
    case "call":
      return call(state, input.key, input.request, nowMs);
    case "bind":
      return [{ ...state, bindings: bindings.bind(state.bindings, input.trackId) }, []];
    case "unbind":
      return [{ ...state, bindings: bindings.unbind(state.bindings, input.trackId, nowMs) }, []];
    case "view":
      return [{ ...state, views: views.setView(state.views, input.trackId, input.view, nowMs) }, []];
    case "telemetry": {
      // It has no reply, and so no id.
      const request = { case: "telemetry", value: input.telemetry } as const;
      return [state, state.phase.name === "joined" ? [{ type: "send", requestId: 0, request }] : []];
    }
    case "leave":
      return leave(state, nowMs);
    case "abort":
      return close(state, "client-left", input.error, 1000);
    case "tick":
      return tick(state, nowMs);
  }
}

/** The time of the next "tick" that `reduce` needs; null if nothing is due. */
export function nextDeadline(state: SessionState, nowMs: number): number | null {
  const due: number[] = [...state.requests.values()].map((request) => request.deadlineMs);
  const { phase } = state;
  if (phase.name === "preparing" || phase.name === "joining") due.push(phase.deadlineMs);
  if (phase.name === "joined") {
    due.push(phase.nextPingMs, state.lastHeardMs + SILENCE_FACTOR * phase.pingIntervalMs);
    const binding = bindings.nextDeadline(state.bindings, state.slots, nowMs, undecodable(state.watching));
    if (binding !== null) due.push(binding);
    const path = nextPathDeadline(state.path);
    if (path !== null) due.push(path);
    const view = views.nextDeadline(state.views);
    if (view !== null) due.push(view);
  }
  return due.length === 0 ? null : Math.min(...due);
}

// Joining

function startJoin(state: SessionState, details: JoinDetails, nowMs: number): Step {
  if (state.phase.name !== "idle") return [state, []];
  const deadlineMs = nowMs + JOIN_TIMEOUT_MS;
  const phase = { name: "preparing", details, offer: null, socketOpen: false, deadlineMs } as const;
  const offer: Effect = { type: "create-offer", slotCount: state.slotCount, initial: true, iceRestart: false };
  return [{ ...state, phase }, [{ type: "open-socket" }, offer]];
}

function joinWhenReady(state: SessionState): Step {
  const { phase } = state;
  if (phase.name !== "preparing" || phase.offer === null || !phase.socketOpen) return [state, []];
  const { bindExisting, attributes, browser, ...details } = phase.details;
  const value = {
    ...details,
    attributes: { ...attributes },
    sdp: phase.offer.sdp,
    publications: phase.offer.publications.map(writePublication),
    client: { sdk: SDK_NAME, version: SDK_VERSION, ...browser },
    bindExisting,
  };
  const next: SessionState = { ...state, phase: { name: "joining", deadlineMs: phase.deadlineMs } };
  const open: OpenRequest = { purpose: { name: "join" }, deadlineMs: phase.deadlineMs };
  return send(next, { case: "join", value }, open);
}

function joinAnswered(state: SessionState, response: JoinResponse, nowMs: number): Step {
  if (state.phase.name !== "joining" || response.participant === undefined) return [state, []];
  const own = readParticipant(response.participant);
  const base = { ...state, roster: { ...EMPTY_ROSTER, own } };
  const [roster] = applySnapshot(base.roster, wholeRoom(response));
  const pingIntervalMs = response.pingIntervalMs || DEFAULT_PING_INTERVAL_MS;
  const seated = applyTable({ ...base, roster }, response.slots, nowMs, bindings.JOIN_GRACE_MS);
  const next: SessionState = {
    ...seated,
    phase: { name: "applying", pingIntervalMs },
    grants: readGrants(response.grants),
    roomId: response.room?.id ?? "",
    telemetryLevel: response.telemetry,
  };
  return [next, [{ type: "apply-answer", sdp: response.sdp, iceServers: response.iceServers }]];
}

function joined(state: SessionState, pingIntervalMs: number, nowMs: number): Step {
  const phase = { name: "joined", pingIntervalMs, nextPingMs: nowMs + pingIntervalMs } as const;
  return [{ ...state, phase, lastHeardMs: nowMs }, [notify({ type: "joined" })]];
}

const isJoining = (state: SessionState): boolean => state.phase.name !== "joined";

// Messages

function receive(state: SessionState, message: ServerMessage, nowMs: number): Step {
  const { body, requestId } = message;
  if (requestId !== 0) return reply(state, requestId, body, nowMs);
  switch (body.case) {
    case "event":
      return roomEvent(state, body.value, nowMs);
    case "snapshot":
      return snapshot(state, body.value, nowMs);
    case "telemetryStored":
      return [state, [notify({ type: "telemetry-stored", number: body.value.number, resend: body.value.resend })]];
    case "disconnected": {
      const reason = readReason(body.value.reason);
      const error = new NexusError("CLOSED", body.value.message || "The server ended the session.", {
        details: { reason, can_rejoin: String(body.value.canRejoin) },
      });
      return close(state, reason, error, 1000);
    }
    case "error": {
      const error = readError(body.value);
      if (body.value.fatal) return close(state, isJoining(state) ? "join-failed" : "protocol-error", error, 1000);
      return [state, [notify({ type: "error", error })]];
    }
    default:
      return [state, []];
  }
}

function reply(state: SessionState, requestId: number, body: ServerMessage["body"], nowMs: number): Step {
  const open = state.requests.get(requestId);
  // Too late: the request has timed out.
  if (open === undefined) return [state, []];
  const requests = new Map(state.requests);
  requests.delete(requestId);
  return settle({ ...state, requests }, open, body.case === "error" ? readError(body.value) : body, nowMs);
}

function settle(state: SessionState, open: OpenRequest, body: ServerMessage["body"] | NexusError, nowMs: number): Step {
  const error = body instanceof NexusError ? body : null;
  const value = body instanceof NexusError ? undefined : body;
  switch (open.purpose.name) {
    case "join":
      if (error !== null) return close(state, "join-failed", error, 1000);
      return value?.case === "join" ? joinAnswered(state, value.value, nowMs) : [state, []];
    case "offer":
      if (error !== null) return answerFailed(state, error);
      if (value?.case !== "offer") return [state, []];
      return offerReplied(applyTable(state, value.value.slots, nowMs), value.value);
    case "slots":
      return bindingsAnswered(state, value, error, nowMs);
    case "view":
      return viewsAnswered(state, error);
    case "ping":
      if (value?.case !== "ping") return [state, []];
      return [{ ...state, rttMs: Math.max(0, nowMs - Number(value.value.sentAtMs)) }, []];
    case "call": {
      const { key } = open.purpose;
      if (error !== null) return [state, [{ type: "reject", key, error }]];
      const next = value?.case === "updateSubscriptions" ? applyTable(state, value.value.slots, nowMs) : state;
      return [next, [...notifySlots(state, next), { type: "resolve", key, value: value ?? { case: undefined } }]];
    }
  }
}

function roomEvent(state: SessionState, event: RoomEvent, nowMs: number): Step {
  switch (event.event.case) {
    case "slotsChanged": {
      const next = applyTable(state, event.event.value.slots, nowMs);
      return chain([next, notifySlots(state, next)], forgetUnbound);
    }
    case "reofferNeeded": {
      const { pairs, audioSlots } = event.event.value;
      const slotCount = {
        pairs: Math.min(MAX_SLOTS.pairs, Math.max(state.slotCount.pairs, pairs)),
        audioSlots: Math.min(MAX_SLOTS.audioSlots, Math.max(state.slotCount.audioSlots, audioSlots)),
      };
      return negotiate({ ...state, slotCount }, []);
    }
    case "layerDemandChanged":
    case "trackPaused":
    case "trackResumed":
      return watchingEvent(state, event.event);
    default: {
      const [roster, notices] = applyRoomEvent(state.roster, event);
      return rosterChanged({ ...state, roster }, notices);
    }
  }
}

function snapshot(state: SessionState, message: RoomSnapshot, nowMs: number): Step {
  const [roster, notices] = applySnapshot(state.roster, wholeRoom(message));
  const seated = applyTable({ ...state, roster }, message.slots, nowMs);
  const [next, effects] = rosterChanged(seated, notices);
  const step: Step = [next, [...effects, ...notifySlots(state, next)]];
  return chain(step, (now) => watchingSnapshot(now, message));
}

function wholeRoom({ room, participants, revision, activeSpeakers }: JoinResponse | RoomSnapshot): WholeRoom {
  return { participants: participants.map(readParticipant), revision, activity: readActivity(room), speakers: activeSpeakers };
}

function rosterChanged(state: SessionState, notices: readonly Notice[]): Step {
  let [bound, viewed, watching] = [state.bindings, state.views, state.watching];
  for (const notice of notices) {
    if (notice.type !== "track-unpublished") continue;
    bound = bindings.forget(bound, notice.track.id);
    viewed = views.forget(viewed, notice.track.id);
    watching = forgetPaused(watching, notice.track.id);
  }
  // There are no listeners before "joined"; the room then reads the roster itself.
  const effects = state.phase.name === "joined" ? notices.map(notify) : [];
  return [{ ...state, bindings: bound, views: viewed, watching }, effects];
}

// Requests and re-offers of the page

function call(state: SessionState, key: number, request: Request, nowMs: number): Step {
  const refusal =
    state.phase.name !== "joined"
      ? new NexusError("NOT_JOINED", "The room has not been joined.")
      : state.requests.size >= MAX_OPEN_REQUESTS
        ? new NexusError("RATE_LIMITED", "Too many requests are open.")
        : null;
  if (refusal !== null) return [state, [{ type: "reject", key, error: refusal }]];
  return send(state, request, { purpose: { name: "call", key }, deadlineMs: nowMs + REQUEST_TIMEOUT_MS });
}

function reoffer(state: SessionState, offer: Offer, nowMs: number): Step {
  const [next, accepted] = offerCreated(state);
  if (!accepted) return [state, []];
  const value = { sdp: offer.sdp, publications: offer.publications.map(writePublication) };
  return send(next, { case: "offer", value }, { purpose: { name: "offer" }, deadlineMs: nowMs + REQUEST_TIMEOUT_MS });
}

// Time

function tick(state: SessionState, nowMs: number): Step {
  const { phase } = state;
  if ((phase.name === "preparing" || phase.name === "joining") && phase.deadlineMs <= nowMs) {
    return close(state, "join-failed", new NexusError("TIMEOUT", "The server did not answer in time."), 1000);
  }
  if (phase.name !== "joined") return [state, []];
  if (nowMs - state.lastHeardMs >= SILENCE_FACTOR * phase.pingIntervalMs) {
    return close(state, "signaling-lost", new NexusError("TIMEOUT", "The server stopped responding."), 4007);
  }
  if (isLost(state.path, nowMs)) return mediaFailed(state);
  let step = expire(state, nowMs);
  const path = restartIfDue(state.path, nowMs);
  if (path !== null) step = chain(step, (now) => negotiate({ ...now, path }, []));
  if (phase.nextPingMs <= nowMs) step = chain(step, (now) => ping(now, nowMs));
  step = chain(step, (now) => requestBindings(now, nowMs));
  return chain(step, (now) => requestViews(now, nowMs));
}

function expire(state: SessionState, nowMs: number): Step {
  let step: Step = [state, []];
  for (const [id, open] of state.requests) {
    if (open.deadlineMs > nowMs) continue;
    const error = new NexusError("TIMEOUT", "The server did not answer in time.");
    step = chain(step, (now) => {
      const requests = new Map(now.requests);
      requests.delete(id);
      return settle({ ...now, requests }, open, error, nowMs);
    });
  }
  return step;
}

function ping(state: SessionState, nowMs: number): Step {
  if (state.phase.name !== "joined") return [state, []];
  const phase = { ...state.phase, nextPingMs: nowMs + state.phase.pingIntervalMs };
  const value = { sentAtMs: BigInt(Math.round(nowMs)) };
  const open: OpenRequest = { purpose: { name: "ping" }, deadlineMs: nowMs + REQUEST_TIMEOUT_MS };
  return send({ ...state, phase }, { case: "ping", value }, open);
}

// The end

function leave(state: SessionState, nowMs: number): Step {
  const farewell =
    state.phase.name === "joined"
      ? send(state, { case: "leave", value: {} }, { purpose: { name: "ping" }, deadlineMs: nowMs })
      : ([state, []] as const);
  return chain(farewell, (now) => close(now, "client-left", null, 1000));
}

function media(state: SessionState, mediaState: SessionState["media"], nowMs: number): Step {
  const next = { ...state, media: mediaState, path: follow(state.path, mediaState, nowMs) };
  return mediaState === "failed" && next.path.name === "unproved" ? mediaFailed(next) : [next, []];
}

function mediaFailed(state: SessionState): Step {
  return close(state, "media-failed", new NexusError("MEDIA_FAILED", "The media connection failed."), 1000);
}

function socketClosed(state: SessionState, code: number): Step {
  const reason = isJoining(state) ? "join-failed" : readCloseCode(code);
  const message = isJoining(state) ? "The server could not be reached." : "The connection to the server was lost.";
  return close(state, reason, new NexusError("CONNECTION_FAILED", message, { details: { code: String(code) } }), 1000);
}

function close(state: SessionState, reason: DisconnectReason, error: NexusError | null, code: number): Step {
  const closed = error ?? new NexusError("CLOSED", "The room was left.");
  const keys = [...state.requests.values()].flatMap(({ purpose }) => (purpose.name === "call" ? [purpose.key] : []));
  if (state.negotiation.name !== "idle") keys.push(...state.negotiation.keys, ...(state.negotiation.again ?? []));
  const next: SessionState = {
    ...state,
    phase: { name: "closed", reason, error },
    requests: new Map(),
    negotiation: { name: "idle" },
  };
  const rejections = keys.map((key): Effect => ({ type: "reject", key, error: closed }));
  const notices = [notify({ type: "connection-state", state: "closed" }), notify({ type: "closed", reason, error })];
  return [next, [{ type: "close", code }, ...rejections, ...notices]];
}

function afterClose(state: SessionState, input: Input): Step {
  if (input.type !== "call" && input.type !== "negotiate") return [state, []];
  const error = new NexusError("CLOSED", "The room has been left.");
  return [state, [{ type: "reject", key: input.key, error }]];
}
