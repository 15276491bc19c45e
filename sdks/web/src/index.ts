/**
 * Nexus RTC in the browser: join a room, publish tracks, and attach the tracks of other participants.
 *
 * @packageDocumentation
 */
export { NexusClient, type JoinOptions, type NexusClientOptions } from "./client.js";
export { NexusError } from "./core/error.js";
export type { ClientErrorCode, NexusErrorCode, NexusErrorOptions, ServerErrorCode } from "./core/error.js";
export { Emitter, type EventMap, type Standing } from "./core/emitter.js";
export type { EncodingStats, MediaStats } from "./core/media_stats.js";
export type {
  Codec,
  ConnectionQuality,
  DisconnectReason,
  Grants,
  ParticipantId,
  PauseReason,
  TrackId,
  TrackKind,
  TrackSource,
  VideoCodec,
  VideoLayer,
} from "./core/model.js";
export type { Resolution } from "./core/presets.js";
export type { Quality, QualityLevel } from "./core/quality.js";
export type { Browser, ConnectionState } from "./core/session_state.js";
export { SDK_VERSION } from "./core/version.js";
export type { CameraOptions, Device, MicrophoneOptions, ScreenOptions } from "./edge/capture.js";
export type { WireFormat } from "./edge/codec.js";
export type { DeviceAccess, PageChange, PeerConnection, Platform, Socket, SocketHandlers } from "./edge/platform.js";
export type { ElementView } from "./edge/element_view.js";
export type { NamedCodec } from "./core/codec_choice.js";
export { LocalTrack, type LocalTrackEvents, type MuteOptions } from "./room/local_track.js";
export { LocalParticipant, type LocalParticipantEvents } from "./room/local_participant.js";
export { Participant } from "./room/participant.js";
export { RemoteParticipant, RemoteTrack, type RemoteParticipantEvents, type RemoteTrackEvents } from "./room/remote_participant.js";
export { createCameraVideoTrack, createCustomTrack, createMicrophoneAudioTrack, createScreenTracks } from "./open_tracks.js";
export type { VideoLayerLimit } from "./room/remote_view.js";
export { Recordings, type ListOptions, type RecordingPage, type StartOptions } from "./recordings.js";
export type { Marker, Playback, PlaybackLink, RecordedFile, Recording, RecordingState } from "./core/recording.js";
export type { RecordingLimits, RecordingSpec, TrackPattern, TrackSelection } from "./core/recording_spec.js";
export { Room } from "./room/room.js";
export type { ActiveSpeaker, RoomEvents } from "./room/room_events.js";
export type { DataDestination, DataInfo, PublishDataOptions } from "./room/room_data.js";
export type { RoomStats, TrackStats } from "./room/stats.js";
export type { TelemetryOption } from "./room/telemetry.js";
export type {
  CameraTrackOptions,
  CustomTrackOptions,
  MicrophoneTrackOptions,
  SoundOptions,
  ScreenTrackOptions,
  ScreenTracks,
} from "./room/track_factory.js";
