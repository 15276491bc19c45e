/** Translates between messages on the wire and the types of the SDK. Only this file uses enum numbers. */
import {
  Codec as WireCodec,
  ConnectionQuality as WireQuality,
  DisconnectReason as WireReason,
  ErrorCode,
  PauseReason as WirePauseReason,
  TrackKind as WireKind,
  TrackSource as WireSource,
} from "../wire/schema.gen.js";
import { enumNames } from "../wire/table.js";
import type {
  WireError,
  WireGrants,
  WireParticipant,
  WirePublication,
  WireRoom,
  WireSlotTable,
  WireTrack,
  WireLayerDemand,
} from "../wire/messages.js";
import { NexusError, type NexusErrorCode } from "./error.js";
import type {
  Codec,
  ConnectionQuality,
  DisconnectReason,
  Grants,
  LayerDemand,
  Mid,
  ParticipantDescription,
  ParticipantId,
  PauseReason,
  Publication,
  RoomActivity,
  SlotTable,
  TrackDescription,
  TrackId,
  TrackSource,
} from "./model.js";

/** The numbers of an enum; the tables below must contain them all. */
type Value<Enum> = Enum[keyof Enum];

const SOURCES: Readonly<Record<Value<typeof WireSource>, TrackSource>> = {
  [WireSource.UNSPECIFIED]: "unknown",
  [WireSource.MICROPHONE]: "microphone",
  [WireSource.CAMERA]: "camera",
  [WireSource.SCREEN]: "screen",
  [WireSource.SCREEN_AUDIO]: "screen-audio",
};

const CODECS: Readonly<Record<Value<typeof WireCodec>, Codec>> = {
  [WireCodec.UNSPECIFIED]: "unknown",
  [WireCodec.OPUS]: "opus",
  [WireCodec.VP8]: "vp8",
  [WireCodec.VP9]: "vp9",
  [WireCodec.H264]: "h264",
  [WireCodec.AV1]: "av1",
};

const REASONS: Readonly<Record<Value<typeof WireReason>, DisconnectReason>> = {
  [WireReason.UNSPECIFIED]: "signaling-lost",
  [WireReason.CLIENT_LEFT]: "client-left",
  [WireReason.REPLACED]: "replaced",
  [WireReason.REMOVED]: "removed",
  [WireReason.ROOM_CLOSED]: "room-closed",
  [WireReason.SERVER_SHUTDOWN]: "server-shutdown",
  [WireReason.MEDIA_FAILED]: "media-failed",
  [WireReason.SIGNALING_LOST]: "signaling-lost",
  [WireReason.PROTOCOL_ERROR]: "protocol-error",
  [WireReason.TOKEN_REJECTED]: "token-rejected",
};

const QUALITIES: Readonly<Record<Value<typeof WireQuality>, ConnectionQuality>> = {
  [WireQuality.UNSPECIFIED]: "unknown",
  [WireQuality.LOST]: "lost",
  [WireQuality.POOR]: "poor",
  [WireQuality.GOOD]: "good",
  [WireQuality.EXCELLENT]: "excellent",
};

const PAUSE_REASONS: Readonly<Record<Value<typeof WirePauseReason>, PauseReason>> = {
  [WirePauseReason.UNSPECIFIED]: "unknown",
  [WirePauseReason.BANDWIDTH]: "bandwidth",
  [WirePauseReason.UNSUPPORTED_CODEC]: "unsupported-codec",
};

/** The reason for each close code of the WebSocket (docs/architecture/contracts.md). */
const CLOSE_CODES: Readonly<Record<number, DisconnectReason>> = {
  1000: "client-left",
  1001: "server-shutdown",
  1009: "protocol-error",
  4000: "protocol-error",
  4001: "token-rejected",
  4002: "replaced",
  4003: "removed",
  4004: "room-closed",
  4005: "media-failed",
  4006: "protocol-error",
  4007: "signaling-lost",
  4008: "join-failed",
};

// A newer server may send numbers that this version does not know.
function known<Meaning>(table: Readonly<Record<number, Meaning>>, key: number, fallback: Meaning): Meaning {
  return table[key] ?? fallback;
}

function wireKey<Meaning>(table: Readonly<Record<number, Meaning>>, meaning: Meaning): number {
  const found = Object.entries(table).find(([, one]) => one === meaning);
  return found === undefined ? 0 : Number(found[0]);
}

export const readReason = (reason: number): DisconnectReason => known(REASONS, reason, "signaling-lost");
export const readCloseCode = (code: number): DisconnectReason => known(CLOSE_CODES, code, "signaling-lost");

const UNSPECIFIED: number = ErrorCode.ERROR_CODE_UNSPECIFIED;

export function readError(error: WireError): NexusError {
  const name = error.code === UNSPECIFIED ? undefined : enumNames("ErrorCode")?.[error.code];
  const code = (name ?? "UNKNOWN") as NexusErrorCode;
  return new NexusError(code, error.message, { details: error.details, retryAfterMs: error.retryAfterMs });
}

const isVideo = (kind: number): boolean => kind === WireKind.VIDEO;

export function readTrack(track: WireTrack): TrackDescription {
  return {
    id: track.id as TrackId,
    number: track.number,
    participantId: track.participantId as ParticipantId,
    kind: isVideo(track.kind) ? "video" : "audio",
    source: known(SOURCES, track.source, "unknown"),
    name: track.name,
    codec: known(CODECS, track.codec, "unknown"),
    muted: track.muted,
    width: track.width,
    height: track.height,
    mid: track.mid as Mid,
    // Inactive layers come after the active ones, so indices keep their meaning.
    layers: track.layers
      .filter(({ inactive }) => !inactive)
      .map(({ rid, width, height, maxBitrateBps }) => ({ rid, width, height, maxBitrateBps })),
  };
}

export const readPauseReason = (reason: number): PauseReason => known(PAUSE_REASONS, reason, "unknown");

export const readQuality = (quality: number): ConnectionQuality => known(QUALITIES, quality, "unknown");

export function readLayerDemand({ watched, maxSpatial, maxTemporal }: WireLayerDemand): LayerDemand {
  return { watched, maxSpatial, maxTemporal };
}

export function readParticipant(participant: WireParticipant): ParticipantDescription {
  return {
    id: participant.id as ParticipantId,
    identity: participant.identity,
    name: participant.name,
    metadata: participant.metadata,
    attributes: { ...participant.attributes },
    joinedAtMs: Number(participant.joinedAtMs),
    tracks: participant.tracks.map(readTrack),
    connectionQuality: readQuality(participant.connectionQuality),
  };
}

export function readSlotTable(table: WireSlotTable): SlotTable {
  return {
    revision: table.revision,
    slots: table.slots.map((slot) => ({
      mid: slot.mid as Mid,
      kind: isVideo(slot.kind) ? "video" : "audio",
      pair: slot.pair,
      trackId: slot.trackId === "" ? null : (slot.trackId as TrackId),
    })),
  };
}

/** An older server does not send the room's activity; there is none then. */
export function readActivity(room: WireRoom | undefined): RoomActivity {
  return { recording: room?.recording ?? false, transcribing: room?.transcribing ?? false };
}

export function readGrants(grants: WireGrants | undefined): Grants {
  const { create, publish, subscribe, data, hidden, recorder, admin, record, transcribe } = grants ?? NO_GRANTS;
  return { create, publish, subscribe, data, hidden, recorder, admin, record, transcribe };
}

const NO_GRANTS: Grants = {
  create: false,
  publish: false,
  subscribe: false,
  data: false,
  hidden: false,
  recorder: false,
  admin: false,
  record: false,
  transcribe: false,
};

export const writeCodec = (codec: Codec): number => wireKey(CODECS, codec);
export const writeSource = (source: TrackSource): number => wireKey(SOURCES, source);

export function writePublication(publication: Publication): WirePublication {
  return {
    ...publication,
    source: writeSource(publication.source),
    preferredCodec: writeCodec(publication.preferredCodec),
    layers: publication.layers.map((layer, spatial) => ({ ...layer, spatial })),
  };
}
