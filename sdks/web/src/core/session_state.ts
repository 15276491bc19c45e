/** State, inputs and effects of a session; `session.ts` has the rules. */
import type { ClientMessage, IceServer, ServerMessage, WireTelemetry } from "../wire/messages.js";
import { NO_BINDINGS, type Bindings } from "./bindings.js";
import type { NexusError } from "./error.js";
import type { DisconnectReason, Grants, LayerDemand, Offer, PauseReason, SlotCount, SlotTable, TrackDescription, TrackId } from "./model.js";
import { UNPROVED, type MediaPath, type MediaState } from "./media_path.js";
import { EMPTY_ROSTER, type Roster, type RosterNotice } from "./roster.js";
import { NO_VIEWS, type View, type Views } from "./views.js";
import { NOTHING_WATCHED, type Watching } from "./watching.js";

/** Identifies the promise that an effect settles. */
export type Key = number;

/** The members of a `join` request besides the offer. */
export interface JoinDetails {
  readonly token: string;
  readonly room: string;
  readonly appId: string;
  readonly name: string;
  readonly metadata: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly bindExisting: boolean;
  /** Unless telemetry is off. */
  readonly browser: Browser | null;
}

/** A browser's family and major version; an unknown one is empty and 0. */
export interface Browser {
  readonly browser: string;
  readonly browserVersion: number;
}

/** The phase of a session. A session is never resumed: after `closed`, the page joins again. */
type Phase =
  | { readonly name: "idle" }
  /** The offer is created while the WebSocket opens; `join` is sent once both are ready. */
  | {
      readonly name: "preparing";
      readonly details: JoinDetails;
      readonly offer: Offer | null;
      readonly socketOpen: boolean;
      readonly deadlineMs: number;
    }
  | { readonly name: "joining"; readonly deadlineMs: number }
  /** The answer is being applied. */
  | { readonly name: "applying"; readonly pingIntervalMs: number }
  | { readonly name: "joined"; readonly pingIntervalMs: number; readonly nextPingMs: number }
  | { readonly name: "closed"; readonly reason: DisconnectReason; readonly error: NexusError | null };

/** Re-offers, one at a time; changes that arrive during one wait in `again`. */
export type Negotiation =
  | { readonly name: "idle" }
  | {
      readonly name: "offering" | "awaiting" | "applying";
      readonly keys: readonly Key[];
      readonly again: readonly Key[] | null;
    };

export type Request = NonNullable<ClientMessage["request"]>;
export type Reply = ServerMessage["body"];

/** The purpose of a request. */
type Purpose =
  | { readonly name: "join" }
  | { readonly name: "offer" }
  | { readonly name: "slots" }
  | { readonly name: "view" }
  | { readonly name: "ping" }
  | { readonly name: "call"; readonly key: Key };

export interface OpenRequest {
  readonly purpose: Purpose;
  readonly deadlineMs: number;
}

/** The state of a session for the page: media may be interrupted and return; `closed` is final. */
export type ConnectionState = "connecting" | "connected" | "interrupted" | "closed";

export interface SessionState {
  readonly phase: Phase;
  readonly nextRequestId: number;
  readonly requests: ReadonlyMap<number, OpenRequest>;
  readonly roster: Roster;
  readonly slots: SlotTable;
  readonly bindings: Bindings;
  readonly views: Views;
  readonly watching: Watching;
  readonly negotiation: Negotiation;
  readonly slotCount: SlotCount;
  readonly media: MediaState;
  readonly path: MediaPath;
  readonly grants: Grants | null;
  readonly roomId: string;
  /** The highest level of telemetry that the server allows, as in `TelemetryLevel`. */
  readonly telemetryLevel: number;
  readonly lastHeardMs: number;
  readonly rttMs: number | null;
}

export type Input =
  | { readonly type: "join"; readonly details: JoinDetails }
  | { readonly type: "offer-created"; readonly offer: Offer }
  | { readonly type: "offer-failed"; readonly error: NexusError }
  | { readonly type: "answer-applied" }
  | { readonly type: "answer-failed"; readonly error: NexusError }
  | { readonly type: "socket-open" }
  | { readonly type: "socket-closed"; readonly code: number }
  | { readonly type: "message"; readonly message: ServerMessage }
  | { readonly type: "undecodable"; readonly cause: unknown }
  | { readonly type: "media"; readonly state: MediaState }
  | { readonly type: "negotiate"; readonly key: Key }
  | { readonly type: "call"; readonly key: Key; readonly request: Request }
  | { readonly type: "bind" | "unbind"; readonly trackId: TrackId }
  | { readonly type: "view"; readonly trackId: TrackId; readonly view: View }
  | { readonly type: "telemetry"; readonly telemetry: WireTelemetry }
  | { readonly type: "leave" }
  | { readonly type: "abort"; readonly error: NexusError }
  | { readonly type: "tick" };

export type Notice =
  | RosterNotice
  | { readonly type: "joined" }
  | { readonly type: "slots"; readonly slots: SlotTable }
  | { readonly type: "layer-demand"; readonly trackId: TrackId; readonly demand: LayerDemand }
  | { readonly type: "track-paused"; readonly trackId: TrackId; readonly reason: PauseReason }
  | { readonly type: "track-resumed"; readonly trackId: TrackId }
  | { readonly type: "telemetry-stored"; readonly number: number; readonly resend: boolean }
  | { readonly type: "connection-state"; readonly state: ConnectionState }
  | { readonly type: "error"; readonly error: NexusError }
  | { readonly type: "closed"; readonly reason: DisconnectReason; readonly error: NexusError | null };

export type Effect =
  | { readonly type: "open-socket" }
  | { readonly type: "create-offer"; readonly slotCount: SlotCount; readonly initial: boolean; readonly iceRestart: boolean }
  | { readonly type: "send"; readonly requestId: number; readonly request: Request }
  | {
      readonly type: "apply-answer";
      readonly sdp: string;
      /** Only with the first answer. */
      readonly iceServers: readonly IceServer[] | null;
    }
  /** Rolls the local offer back after it was rejected. */
  | { readonly type: "roll-back" }
  | { readonly type: "close"; readonly code: number }
  | { readonly type: "resolve"; readonly key: Key; readonly value: Reply | readonly TrackDescription[] }
  | { readonly type: "reject"; readonly key: Key; readonly error: NexusError }
  | { readonly type: "notify"; readonly notice: Notice };

export const INITIAL_SLOTS: SlotCount = { pairs: 4, audioSlots: 3 };
/** Maximum number of slots of a connection; the server gets no more if it requests more. */
export const MAX_SLOTS: SlotCount = { pairs: 25, audioSlots: 25 };

export const NEW_SESSION: SessionState = {
  phase: { name: "idle" },
  nextRequestId: 1,
  requests: new Map(),
  roster: EMPTY_ROSTER,
  slots: { revision: 0, slots: [] },
  bindings: NO_BINDINGS,
  views: NO_VIEWS,
  watching: NOTHING_WATCHED,
  negotiation: { name: "idle" },
  slotCount: INITIAL_SLOTS,
  media: "new",
  path: UNPROVED,
  grants: null,
  roomId: "",
  telemetryLevel: 0,
  lastHeardMs: 0,
  rttMs: null,
};

export function connectionState(state: SessionState): ConnectionState {
  if (state.phase.name === "closed") return "closed";
  if (state.phase.name !== "joined") return "connecting";
  switch (state.media) {
    case "connected":
      return "connected";
    case "disconnected":
    case "failed":
    case "closed":
      return "interrupted";
    case "new":
    case "connecting":
      return "connecting";
  }
}
