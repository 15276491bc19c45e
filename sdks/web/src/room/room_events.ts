/** The events of a room. */
import type { NexusError } from "../core/error.js";
import type { ConnectionQuality, DisconnectReason, PauseReason, TrackId } from "../core/model.js";
import type { ConnectionState } from "../core/session_state.js";
import type { Device } from "../edge/capture.js";
import type { LocalParticipant } from "./local_participant.js";
import type { RemoteParticipant, RemoteTrack } from "./remote_participant.js";
import type { DataInfo } from "./room_data.js";

/** A participant that is speaking. */
export interface ActiveSpeaker {
  readonly participant: RemoteParticipant | LocalParticipant;
  readonly trackId: TrackId;
  /** RFC 6464: 0 is loudest, -127 is silence. */
  readonly levelDbov: number;
}

export type RoomEvents = {
  /** A participant joined. A listener that is added later is called for those that are already there. */
  "participant-joined": [participant: RemoteParticipant];
  "participant-left": [participant: RemoteParticipant, reason: DisconnectReason];
  /** Name, metadata or attributes of a participant have changed, including the local one. */
  "participant-updated": [participant: RemoteParticipant | LocalParticipant];
  /** A remote track was published. A listener that is added later is called for those that are already there. */
  "track-published": [track: RemoteTrack, participant: RemoteParticipant];
  "track-unpublished": [track: RemoteTrack, participant: RemoteParticipant];
  "track-muted": [track: RemoteTrack, muted: boolean];
  /** The server sends nothing of a track: bandwidth is short, or this browser cannot decode it. */
  "track-paused": [track: RemoteTrack, participant: RemoteParticipant, reason: PauseReason];
  /** The server sends a paused track again. */
  "track-resumed": [track: RemoteTrack, participant: RemoteParticipant];
  /** The quality of a participant's connection has changed, including the local one. */
  "connection-quality": [participant: RemoteParticipant | LocalParticipant, quality: ConnectionQuality];
  /** Loudest first; empty if no participant speaks. A listener that is added while participants speak is called. */
  "active-speakers": [speakers: readonly ActiveSpeaker[]];
  /**
   * The recording of the room has started or resumed, or it has paused or stopped. A listener that is added while the room is
   * recorded is called, so that it never has to ask first.
   */
  "recording-changed": [recording: boolean];
  /** The transcription of the room has started or stopped. A listener that is added while it runs is called. */
  "transcribing-changed": [transcribing: boolean];
  /** A participant or the server has sent a message; text is a string. */
  data: [payload: Uint8Array | string, info: DataInfo];
  "connection-state": [state: ConnectionState];
  /** A failure that no call is waiting for. */
  error: [error: NexusError];
  /** The session has ended; the error is null after `leave()`. */
  disconnected: [reason: DisconnectReason, error: NexusError | null];
  /**
   * The browser blocks audio until the user interacts with the page: call `startAudio()` from a click. A listener that is
   * added while audio is blocked is called.
   */
  "autoplay-blocked": [];
  /** A device was connected or removed. */
  "devices-changed": [devices: readonly Device[]];
};
