/**
 * The values that describe a call: participants, tracks, publications and slots.
 *
 * They mirror `nexus.types.v1`, with string unions in place of enum numbers so that generated code stays out of the public
 * API. They are independent of sockets, of WebRTC and of the page.
 */

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

/** `PA_…`: one session of an identity. */
export type ParticipantId = Branded<"ParticipantId">;
/** `TR_…`: one published track. */
export type TrackId = Branded<"TrackId">;
/** The identification tag of a media section (RFC 9143). */
export type Mid = Branded<"Mid">;

/** The medium of a track. */
export type TrackKind = "audio" | "video";
/** The source of a track. */
export type TrackSource = "microphone" | "camera" | "screen" | "screen-audio" | "unknown";
/** A video codec that a track can prefer. */
export type VideoCodec = "vp8" | "vp9" | "h264" | "av1";
/** The codec that a track is sent with. */
export type Codec = VideoCodec | "opus" | "unknown";

/** One encoding of a simulcast, or one spatial layer of a scalable track. */
export interface VideoLayer {
  /** The RID of a simulcast encoding (RFC 8851), else empty. */
  readonly rid: string;
  /** In pixels; 0 when unknown. */
  readonly width: number;
  readonly height: number;
  /** Maximum bit rate up to this layer; 0 when unknown. */
  readonly maxBitrateBps: number;
}

/** A layer of a local track. @internal */
export interface PublishedLayer extends VideoLayer {
  /** Not sent at present: the source has too few pixels for it. */
  readonly inactive: boolean;
}

/** The layers of a local track that any subscriber can use. @internal */
export interface LayerDemand {
  readonly watched: boolean;
  readonly maxSpatial: number;
  readonly maxTemporal: number;
}

/** The quality of a participant's connection, as the server rates it. */
export type ConnectionQuality = "unknown" | "lost" | "poor" | "good" | "excellent";

/** A published track as the server describes it. */
export interface TrackDescription {
  readonly id: TrackId;
  /** The CSRC of each of the track's packets (RFC 3550 section 5.1). */
  readonly number: number;
  readonly participantId: ParticipantId;
  readonly kind: TrackKind;
  readonly source: TrackSource;
  readonly name: string;
  readonly codec: Codec;
  readonly muted: boolean;
  /** In pixels; 0 when unknown. */
  readonly width: number;
  readonly height: number;
  /** The publisher's section; empty for remote tracks. */
  readonly mid: Mid;
  /** The layers that are sent, low to high; empty for one encoding without spatial layers. */
  readonly layers: readonly VideoLayer[];
}

/** A participant as the server describes it. */
export interface ParticipantDescription {
  readonly id: ParticipantId;
  readonly identity: string;
  readonly name: string;
  readonly metadata: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly joinedAtMs: number;
  readonly tracks: readonly TrackDescription[];
  readonly connectionQuality: ConnectionQuality;
}

/** The services that work on the room at present, which all participants have to know. @internal */
export interface RoomActivity {
  readonly recording: boolean;
  readonly transcribing: boolean;
}

/** The rights that the token grants. */
export interface Grants {
  readonly create: boolean;
  readonly publish: boolean;
  readonly subscribe: boolean;
  readonly data: boolean;
  readonly hidden: boolean;
  readonly recorder: boolean;
  readonly admin: boolean;
  readonly record: boolean;
  readonly transcribe: boolean;
}

/** A receive-only section into which the SFU puts one track at a time. */
export interface Slot {
  readonly mid: Mid;
  readonly kind: TrackKind;
  /** The slots of a pair share an msid; -1 for an audio slot without a pair. */
  readonly pair: number;
  /** The track that is bound to a video slot; null for audio. */
  readonly trackId: TrackId | null;
}

export interface SlotTable {
  readonly revision: number;
  readonly slots: readonly Slot[];
}

export interface Speaker {
  readonly participantId: ParticipantId;
  readonly trackId: TrackId;
  /** RFC 6464: 0 is loudest, -127 is silence. */
  readonly levelDbov: number;
}

/**
 * The reason why the server sends nothing of a track. `unsupported-codec`: this browser did not offer to decode the
 * publisher's codec. `bandwidth`: the connection does not carry even the lowest layer.
 */
export type PauseReason = "bandwidth" | "unsupported-codec" | "unknown";

/** Why a session ended. */
export type DisconnectReason =
  | "client-left"
  | "replaced"
  | "removed"
  | "room-closed"
  | "server-shutdown"
  | "media-failed"
  | "signaling-lost"
  | "protocol-error"
  | "token-rejected"
  | "join-failed";

/** A track as a section of an offer publishes it. */
export interface Publication {
  readonly mid: Mid;
  readonly source: TrackSource;
  readonly name: string;
  readonly muted: boolean;
  readonly width: number;
  readonly height: number;
  readonly preferredCodec: Codec;
  /** Low to high. */
  readonly layers: readonly PublishedLayer[];
  /** The mode of a scalable stream (W3C webrtc-svc), else empty. */
  readonly scalabilityMode: string;
}

/** An SDP offer (RFC 8866) and the publications of its sections. */
export interface Offer {
  readonly sdp: string;
  readonly publications: readonly Publication[];
}

/** The number of slots that an offer has to contain. */
export interface SlotCount {
  readonly pairs: number;
  readonly audioSlots: number;
}
