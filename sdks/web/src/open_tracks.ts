/** Opens devices without a room, for a preview before joining. The methods `create…` of a room do the same. */
import { browserPlatform } from "./edge/browser.js";
import type { Platform } from "./edge/platform.js";
import type { LocalTrack } from "./room/local_track.js";
import {
  TrackFactory,
  type CameraTrackOptions,
  type CustomTrackOptions,
  type MicrophoneTrackOptions,
  type ScreenTrackOptions,
  type ScreenTracks,
} from "./room/track_factory.js";

/** Opens a camera. */
export async function createCameraVideoTrack(
  options: CameraTrackOptions = {},
  platform: Platform = browserPlatform,
): Promise<LocalTrack> {
  return new TrackFactory(platform).camera(options);
}

/** Opens a microphone. */
export async function createMicrophoneAudioTrack(
  options: MicrophoneTrackOptions = {},
  platform: Platform = browserPlatform,
): Promise<LocalTrack> {
  return new TrackFactory(platform).microphone(options);
}

/** Lets the user choose a screen, window or tab. */
export async function createScreenTracks(
  options: ScreenTrackOptions = {},
  platform: Platform = browserPlatform,
): Promise<ScreenTracks> {
  return new TrackFactory(platform).screen(options);
}

/** Makes a track of any `MediaStreamTrack`: of a canvas, a file or an audio graph. */
export function createCustomTrack(
  track: MediaStreamTrack,
  options: CustomTrackOptions = {},
  platform: Platform = browserPlatform,
): LocalTrack {
  return new TrackFactory(platform).custom(track, options);
}
