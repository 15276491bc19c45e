/**
 * The nouns of a call as the SDK speaks of them: plain, frozen facts about rooms, people, tracks and slots.
 *
 * They mirror `nexus.types.v1`, with string unions in place of numbers so that generated code stays out of the public
 * surface. Nothing here knows of sockets, of WebRTC or of the page.
 */

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

/** `PA_…`: one session of an identity. */
export type ParticipantId = Branded<"ParticipantId">;
/** `TR_…`: one published track. */
export type TrackId = Branded<"TrackId">;
/** The identification tag of a media section (RFC 9143). */
export type Mid = Branded<"Mid">;

/** What a track carries. */
export type TrackKind = "audio" | "video";
/** Where a track comes from. */
export type TrackSource = "microphone" | "camera" | "screen" | "screen-audio" | "unknown";
/** A video codec that can be asked for. */
export type VideoCodec = "vp8" | "vp9" | "h264" | "av1";
/** The codec that a track is sent with. */
export type Codec = VideoCodec | "opus" | "unknown";

/** One encoding of a simulcast, or one spatial layer of a scalable track. */
export interface VideoLayer {
  /** Of a simulcast by rid (RFC 8851); else empty. */
  readonly rid: string;
  /** In pixels; 0 when unknown. */
  readonly width: number;
  readonly height: number;
  /** What it costs to receive up to this layer, at most; 0 when unknown. */
  readonly maxBitrateBps: number;
}

/** A layer of what one publishes oneself. @internal */
export interface PublishedLayer extends VideoLayer {
  /** Not sent at present: the source has too few pixels for it. */
  readonly inactive: boolean;
}

/** What of a track of one's own is watched by anybody. @internal */
export interface WantedLayers {
  readonly watched: boolean;
  readonly maxSpatial: number;
  readonly maxTemporal: number;
}

/** How a participant's connection does, as the server measures it. */
export type ConnectionQuality = "unknown" | "lost" | "poor" | "good" | "excellent";

/** A published track as the server describes it. */
export interface TrackDescription {
  readonly id: TrackId;
  /** Stands in the CSRC of each of the track's packets (RFC 3550 section 5.1). */
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
  /** The publisher's own media section; empty for tracks of others. */
  readonly mid: Mid;
  /** Those that are sent, low to high; empty for one encoding without spatial layers. */
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

/** What the token allows. */
export interface Grants {
  readonly create: boolean;
  readonly publish: boolean;
  readonly subscribe: boolean;
  readonly data: boolean;
  readonly hidden: boolean;
  readonly recorder: boolean;
  readonly admin: boolean;
}

/** A receive-only media section through which the SFU sends one source at a time. */
export interface Slot {
  readonly mid: Mid;
  readonly kind: TrackKind;
  /** Slots of one pair share an msid; -1 for an audio slot on its own. */
  readonly pair: number;
  /** Video only: the track that was asked for. */
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
 * Why nothing of a track comes. `unsupported-codec`: this browser did not offer to decode what the publisher sends, so the
 * server sends it nothing. `bandwidth`: one's own does not hold even the lowest layer.
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

/** What a media section of an offer publishes. */
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
  /** Of a scalable stream (W3C webrtc-svc); else empty. */
  readonly scalabilityMode: string;
}

/** An offer (RFC 8866) with what its sections publish. */
export interface Offer {
  readonly sdp: string;
  readonly publications: readonly Publication[];
}

/** How many receive-only sections an offer should hold in all. */
export interface SlotCount {
  readonly pairs: number;
  readonly audioSlots: number;
}
