/** Replays the transcripts of proto/vectors/session against the session core; their README says how. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import type { Mid, Publication, TrackId } from "../src/core/model.js";
import { nextDeadline, reduce } from "../src/core/session.js";
import { NEW_SESSION, type Effect, type Input, type Notice, type Request } from "../src/core/session_state.js";
import { DEFAULT_VIEW } from "../src/core/views.js";
import { decodeJson, encodeJson } from "../src/wire/json.js";
import type { ServerMessage } from "../src/wire/messages.js";
import type { AnyMessage } from "../src/wire/table.js";

const VECTORS = fileURLToPath(new URL("../../../proto/vectors/session/", import.meta.url));
/** Members of a request that depend on the client. */
const CLIENTS_OWN = new Set(["sdp", "token", "client", "sentAtMs"]);
/** Maximum number of deadlines that pass before the SDK must have sent a request. */
const MAX_TICKS = 10;

interface Action {
  readonly join?: { readonly room: string; readonly bindExisting: boolean };
  readonly publish?: readonly unknown[];
  readonly attach?: readonly string[];
  readonly detach?: readonly string[];
  readonly view?: { readonly trackId: string };
  readonly leave?: object;
  readonly elapseMs?: number;
}
interface Step {
  readonly app?: Action;
  readonly client?: Readonly<Record<string, unknown>>;
  readonly server?: Readonly<Record<string, unknown>>;
  readonly events?: readonly string[];
  readonly state?: unknown;
}

const without = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(without);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).flatMap(([key, one]) => (CLIENTS_OWN.has(key) ? [] : [[key, without(one)]])));
};

/** A notice as a transcript has it, and the participant or track that it is about. */
function described(notice: Notice): readonly [line: string, subject: string] {
  switch (notice.type) {
    case "participant-joined":
    case "participant-updated":
      return [`${notice.type} ${notice.participant.id}`, notice.participant.id];
    case "participant-left":
      return [`${notice.type} ${notice.id}`, notice.id];
    case "track-published":
    case "track-unpublished":
    case "track-updated":
      return [`${notice.type} ${notice.track.id}`, notice.track.id];
    case "track-muted":
      return [`track-${notice.track.muted ? "muted" : "unmuted"} ${notice.track.id}`, notice.track.id];
    case "track-paused":
      return [`${notice.type} ${notice.trackId} ${notice.reason}`, notice.trackId];
    case "track-resumed":
      return [`${notice.type} ${notice.trackId}`, notice.trackId];
    case "layer-demand":
      return [`${notice.type} ${notice.trackId} ${notice.demand.watched ? notice.demand.maxSpatial : "none"}`, ""];
    case "connection-quality":
      return [`${notice.type} ${notice.id} ${notice.quality}`, notice.id];
    case "active-speakers":
      return [[notice.type, ...notice.speakers.map((one) => one.participantId)].join(" "), ""];
    case "recording-changed":
      return [`${notice.type} ${notice.recording}`, ""];
    case "transcribing-changed":
      return [`${notice.type} ${notice.transcribing}`, ""];
    case "closed": {
      const refused = notice.reason === "join-failed" || notice.reason === "protocol-error";
      const reason = notice.reason.replaceAll("-", "_").toUpperCase();
      return [`ended ${refused ? (notice.error?.code ?? "") : reason}`, ""];
    }
    default:
      return ["", ""];
  }
}

/** A session without sockets and media, driven by a transcript. */
class Replay {
  #state = NEW_SESSION;
  #nowMs = 1_000;
  #sent: unknown[] = [];
  #lines: string[] = [];
  #offerWanted = false;
  #expected: unknown = {
    participants: {},
    slots: {},
    speakers: [],
    paused: {},
    room: { recording: false, transcribing: false },
  };
  #left = false;

  run(steps: readonly Step[]): void {
    for (const step of steps) {
      if (step.client !== undefined) this.#client(step.app ?? {}, step.client);
      if (step.server !== undefined) this.#server(step);
    }
    expect(this.#sent).toEqual([]);
  }

  /** The application acts; the SDK must send this request. */
  #client(action: Action, expected: Readonly<Record<string, unknown>>): void {
    this.#nowMs += action.elapseMs ?? 0;
    for (const input of inputs(action, expected)) this.#dispatch(input);
    if (this.#offerWanted) this.#offer(expected);
    for (let ticks = 0; this.#sent.length === 0 && ticks < MAX_TICKS; ticks += 1) {
      this.#nowMs = Math.max(this.#nowMs, nextDeadline(this.#state, this.#nowMs) ?? this.#nowMs);
      this.#dispatch({ type: "tick" });
    }
    expect(this.#sent.map(without)).toEqual([without(expected)]);
    this.#sent = [];
    this.#left ||= action.leave !== undefined;
  }

  /** The server sends this message; the SDK must report these events and have this state. */
  #server({ server, events = [], state = this.#expected }: Step): void {
    const message = decodeJson("ServerMessage", JSON.stringify(server)) as unknown as ServerMessage;
    this.#dispatch({ type: "message", message });
    // This SDK reports the end as soon as the page leaves.
    const lines = this.#left ? [] : this.#lines;
    if (message.body.case !== "join") expect([...lines].sort()).toEqual((this.#left ? [] : [...events]).sort());
    if (this.#left) expect(this.#lines).toEqual(["ended CLIENT_LEFT"]);
    else this.#lines = [];
    expect(this.#snapshot()).toEqual(state);
    this.#expected = state;
  }

  #dispatch(input: Input): void {
    const [state, effects] = reduce(this.#state, input, this.#nowMs);
    this.#state = state;
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: Effect): void {
    switch (effect.type) {
      case "open-socket":
        return this.#dispatch({ type: "socket-open" });
      case "create-offer":
        this.#offerWanted = true;
        return;
      case "apply-answer":
        return this.#dispatch({ type: "answer-applied" });
      case "send": {
        const message = { requestId: effect.requestId, request: effect.request } as unknown as AnyMessage;
        this.#sent.push(JSON.parse(encodeJson("ClientMessage", message)));
        return;
      }
      case "reject":
        if (this.#state.phase.name !== "closed") this.#lines.push(`refused ${effect.error.code}`);
        return;
      case "notify": {
        const { notice } = effect;
        const [line, subject] = described(notice);
        // Events about the local participant are left to the SDK.
        if (line !== "" && !this.#isOwn(subject)) this.#lines.push(line);
        // The room reports the tracks of a new participant.
        if (notice.type === "participant-joined") this.#lines.push(...notice.participant.tracks.map(({ id }) => `track-published ${id}`));
        return;
      }
    }
  }

  #offer(expected: Readonly<Record<string, unknown>>): void {
    this.#offerWanted = false;
    const body = (expected["join"] ?? expected["offer"]) as { publications?: readonly Record<string, unknown>[] };
    this.#dispatch({ type: "offer-created", offer: { sdp: "v=0", publications: (body.publications ?? []).map(publication) } });
  }

  #isOwn(subject: string): boolean {
    const { own } = this.#state.roster;
    return own !== null && (own.id === subject || own.tracks.some((track) => track.id === subject));
  }

  #snapshot(): unknown {
    const { roster, slots, watching } = this.#state;
    const participants = [...roster.others.values()].map(({ id, identity, name, attributes, tracks }) => {
      const described = tracks.map(({ id: trackId, kind, source, codec, muted }) => [trackId, { kind, source, codec, muted }] as const);
      return [id, { identity, name, attributes, tracks: Object.fromEntries(described) }] as const;
    });
    return {
      participants: Object.fromEntries(participants),
      slots: Object.fromEntries(slots.slots.flatMap(({ mid, trackId }) => (trackId === null ? [] : [[mid, trackId]]))),
      speakers: roster.speaking.speakers.map((one) => one.participantId),
      paused: Object.fromEntries(watching.paused),
      room: roster.activity,
    };
  }
}

/** An action of the application, as inputs of the core. */
function inputs(action: Action, expected: Readonly<Record<string, unknown>>): Input[] {
  if (action.join !== undefined) {
    const details = { ...action.join, token: "", appId: "", name: "", metadata: "", attributes: {}, browser: null };
    return [{ type: "join", details }];
  }
  if (action.publish !== undefined) return [{ type: "negotiate", key: 1 }];
  if (action.attach !== undefined) return action.attach.map((id) => ({ type: "bind", trackId: id as TrackId }));
  if (action.detach !== undefined) return action.detach.map((id) => ({ type: "unbind", trackId: id as TrackId }));
  if (action.view !== undefined) {
    const { trackId, ...view } = action.view;
    return [{ type: "view", trackId: trackId as TrackId, view: { ...DEFAULT_VIEW, ...view } }];
  }
  if (action.leave !== undefined) return [{ type: "leave" }];
  if (action.elapseMs !== undefined || Object.keys(action).length === 0) return [];
  const { request } = decodeJson("ClientMessage", JSON.stringify(expected)) as unknown as { request: Request };
  return [{ type: "call", key: 1, request }];
}

function publication(wire: Readonly<Record<string, unknown>>): Publication {
  return {
    mid: wire["mid"] as Mid,
    source: wire["source"] === "TRACK_SOURCE_CAMERA" ? "camera" : "microphone",
    name: "",
    muted: wire["muted"] === true,
    width: (wire["width"] ?? 0) as number,
    height: (wire["height"] ?? 0) as number,
    preferredCodec: "unknown",
    layers: [],
    scalabilityMode: "",
  };
}

describe("the session follows the transcript", () => {
  for (const file of readdirSync(VECTORS).filter((name) => name.endsWith(".json"))) {
    const transcript = JSON.parse(readFileSync(VECTORS + file, "utf8")) as { description: string; steps: Step[] };
    it(`${file}: ${transcript.description}`, () => new Replay().run(transcript.steps));
  }
});
