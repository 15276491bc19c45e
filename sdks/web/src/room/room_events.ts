/** What a room tells its listeners. */
import type { NexusError } from "../core/error.js";
import type { ConnectionQuality, DisconnectReason, PauseReason, TrackId } from "../core/model.js";
import type { ConnectionState } from "../core/session_state.js";
import type { Device } from "../edge/capture.js";
import type { LocalParticipant } from "./local_participant.js";
import type { RemoteParticipant, RemoteTrack } from "./remote_participant.js";
import type { DataInfo } from "./room_data.js";

/** Somebody who speaks just now. */
export interface ActiveSpeaker {
  readonly participant: RemoteParticipant | LocalParticipant;
  readonly trackId: TrackId;
  /** RFC 6464: 0 is loudest, -127 is silence. */
  readonly levelDbov: number;
}

export type RoomEvents = {
  /** Somebody is there. A listener that comes late is told of those that are there already. */
  "participant-joined": [participant: RemoteParticipant];
  "participant-left": [participant: RemoteParticipant, reason: DisconnectReason];
  /** Name, metadata or attributes of somebody have changed, one's own included. */
  "participant-updated": [participant: RemoteParticipant | LocalParticipant];
  /** A track of somebody else is there. A late listener is told of those that are there already. */
  "track-published": [track: RemoteTrack, participant: RemoteParticipant];
  "track-unpublished": [track: RemoteTrack, participant: RemoteParticipant];
  "track-muted": [track: RemoteTrack, muted: boolean];
  /** Nothing of a track comes: for want of bandwidth, or because this browser cannot decode it. */
  "track-paused": [track: RemoteTrack, participant: RemoteParticipant, reason: PauseReason];
  /** What kept the picture away does so no longer. */
  "track-resumed": [track: RemoteTrack, participant: RemoteParticipant];
  /** Somebody's connection has become better or worse, one's own included. */
  "connection-quality": [participant: RemoteParticipant | LocalParticipant, quality: ConnectionQuality];
  /** Loudest first; empty when nobody speaks. A listener that comes late is told who speaks already. */
  "active-speakers": [speakers: readonly ActiveSpeaker[]];
  /** Somebody, or the server, has sent a message; text comes as a string. */
  data: [payload: Uint8Array | string, info: DataInfo];
  "connection-state": [state: ConnectionState];
  /** Something failed that no call of yours is waiting for. */
  error: [error: NexusError];
  /** The room is over for us; the error says more unless we left. */
  disconnected: [reason: DisconnectReason, error: NexusError | null];
  /**
   * The browser holds sound back until the page is touched: call `startAudio()` from a click. A listener that comes late
   * is told while it is so.
   */
  "autoplay-blocked": [];
  /** A device was plugged in or out. */
  "devices-changed": [devices: readonly Device[]];
};
