/** Cameras, microphones and screens: asks the browser and says in our words why it refused. */
import { NexusError, type NexusErrorCode } from "../core/error.js";
import { CAMERA_PRESETS, SCREEN_PRESET, type Resolution } from "../core/presets.js";
import type { DeviceAccess, Platform } from "./platform.js";

export interface CameraOptions {
  /** 720p unless told. */
  readonly resolution?: Resolution;
  readonly deviceId?: string;
  readonly facing?: "user" | "environment";
}

export interface MicrophoneOptions {
  readonly deviceId?: string;
  /** All three are on unless told; switch them off for music. */
  readonly echoCancellation?: boolean;
  readonly noiseSuppression?: boolean;
  readonly autoGainControl?: boolean;
}

export interface ScreenOptions {
  /** Sound of the tab or system, where the browser can; on unless told. */
  readonly audio?: boolean;
}

/** A camera, microphone or loudspeaker. */
export interface Device {
  readonly id: string;
  readonly kind: "camera" | "microphone" | "speaker";
  /** Empty until the person has allowed access. */
  readonly label: string;
  readonly groupId: string;
}

const DEVICE_KINDS: Readonly<Record<MediaDeviceKind, Device["kind"]>> = {
  videoinput: "camera",
  audioinput: "microphone",
  audiooutput: "speaker",
};

export async function listDevices(platform: Platform): Promise<Device[]> {
  const found = await access(platform).enumerateDevices();
  return found.map(({ deviceId, kind, label, groupId }) => ({ id: deviceId, kind: DEVICE_KINDS[kind], label, groupId }));
}

export async function captureCamera(platform: Platform, options: CameraOptions): Promise<MediaStreamTrack> {
  const { width, height, framesPerSecond } = CAMERA_PRESETS[options.resolution ?? "720p"];
  const video: MediaTrackConstraints = {
    width: { ideal: width },
    height: { ideal: height },
    frameRate: { ideal: framesPerSecond },
    ...(options.deviceId === undefined ? {} : { deviceId: { exact: options.deviceId } }),
    ...(options.facing === undefined ? {} : { facingMode: options.facing }),
  };
  const track = first(await request("camera", () => access(platform).getUserMedia({ video })), "video");
  track.contentHint = "motion";
  return track;
}

export async function captureMicrophone(platform: Platform, options: MicrophoneOptions): Promise<MediaStreamTrack> {
  const audio: MediaTrackConstraints = {
    echoCancellation: options.echoCancellation ?? true,
    noiseSuppression: options.noiseSuppression ?? true,
    autoGainControl: options.autoGainControl ?? true,
    ...(options.deviceId === undefined ? {} : { deviceId: { exact: options.deviceId } }),
  };
  return first(await request("microphone", () => access(platform).getUserMedia({ audio })), "audio");
}

/** The picture, and the sound when the person shared it. */
export async function captureScreen(
  platform: Platform,
  options: ScreenOptions,
): Promise<{ readonly video: MediaStreamTrack; readonly audio: MediaStreamTrack | null }> {
  const { width, height, framesPerSecond } = SCREEN_PRESET;
  const video = { width: { max: width }, height: { max: height }, frameRate: { max: framesPerSecond } };
  const constraints = { video, audio: options.audio ?? true };
  const stream = await request("screen", () => access(platform).getDisplayMedia(constraints));
  const picture = first(stream, "video");
  // Keeps text sharp and lets the frame rate fall instead (W3C mst-content-hint).
  picture.contentHint = "detail";
  return { video: picture, audio: stream.getAudioTracks()[0] ?? null };
}

function access(platform: Platform): DeviceAccess {
  const devices = platform.devices();
  if (devices !== null) return devices;
  throw new NexusError("UNSUPPORTED", "This page has no access to devices: it must be served over https or localhost.");
}

const REFUSALS: Readonly<Record<string, NexusErrorCode>> = {
  NotAllowedError: "DEVICE_DENIED",
  SecurityError: "DEVICE_DENIED",
  NotFoundError: "DEVICE_NOT_FOUND",
  OverconstrainedError: "DEVICE_NOT_FOUND",
  NotReadableError: "DEVICE_IN_USE",
  AbortError: "DEVICE_IN_USE",
};

async function request(what: string, ask: () => Promise<MediaStream>): Promise<MediaStream> {
  try {
    return await ask();
  } catch (cause) {
    const name = cause instanceof Error ? cause.name : "";
    throw NexusError.from(cause, REFUSALS[name] ?? "UNSUPPORTED", `The ${what} could not be opened`);
  }
}

function first(stream: MediaStream, kind: "audio" | "video"): MediaStreamTrack {
  const [track] = kind === "audio" ? stream.getAudioTracks() : stream.getVideoTracks();
  if (track === undefined) throw new NexusError("DEVICE_NOT_FOUND", `The browser gave no ${kind} track.`);
  return track;
}
