/** Opens cameras, microphones and screens, and translates the browser's errors into those of the SDK. */
import { NexusError, type NexusErrorCode } from "../core/error.js";
import { CAMERA_PRESETS, SCREEN_PRESET, type Resolution } from "../core/presets.js";
import type { DeviceAccess, Platform } from "./platform.js";

export interface CameraOptions {
  /** Default: 720p. */
  readonly resolution?: Resolution;
  readonly deviceId?: string;
  readonly facing?: "user" | "environment";
}

export interface MicrophoneOptions {
  readonly deviceId?: string;
  /** Default of all three: true. Music is better without them. */
  readonly echoCancellation?: boolean;
  readonly noiseSuppression?: boolean;
  readonly autoGainControl?: boolean;
}

export interface ScreenOptions {
  /** Audio of the tab or system, where the browser can capture it. Default: true. */
  readonly audio?: boolean;
}

/** A camera, microphone or speaker. */
export interface Device {
  readonly id: string;
  readonly kind: "camera" | "microphone" | "speaker";
  /** Empty until the user has granted access. */
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

/** The video of a screen, and its audio if the user shared it. */
export async function captureScreen(
  platform: Platform,
  options: ScreenOptions,
): Promise<{ readonly video: MediaStreamTrack; readonly audio: MediaStreamTrack | null }> {
  const { width, height, framesPerSecond } = SCREEN_PRESET;
  const video = { width: { max: width }, height: { max: height }, frameRate: { max: framesPerSecond } };
  const constraints = { video, audio: options.audio ?? true };
  const stream = await request("screen", () => access(platform).getDisplayMedia(constraints));
  const screen = first(stream, "video");
  // Keeps text sharp and lowers the frame rate instead (W3C mst-content-hint).
  screen.contentHint = "detail";
  return { video: screen, audio: stream.getAudioTracks()[0] ?? null };
}

function access(platform: Platform): DeviceAccess {
  const devices = platform.devices();
  if (devices !== null) return devices;
  throw new NexusError("UNSUPPORTED", "This page has no access to devices: it must be served over https or from localhost.");
}

interface Refusal {
  readonly code: NexusErrorCode;
  readonly reason: string;
  /** 0 if the same request will not succeed later. */
  readonly retryAfterMs: number;
}

const refusal = (code: NexusErrorCode, reason: string, retryAfterMs = 0): Refusal => ({ code, reason, retryAfterMs });

/** By the name of the `DOMException` (W3C mediacapture-main section 10.2 and screen-capture section 5.1). */
const REFUSALS: Readonly<Record<string, Refusal>> = {
  NotAllowedError: refusal("DEVICE_DENIED", "the user or the system denied access"),
  SecurityError: refusal("DEVICE_DENIED", "the page's permissions policy does not allow it"),
  NotFoundError: refusal("DEVICE_NOT_FOUND", "there is no such device"),
  OverconstrainedError: refusal("DEVICE_NOT_FOUND", "no device has the requested properties"),
  NotReadableError: refusal("DEVICE_IN_USE", "another program may be using it"),
  AbortError: refusal("DEVICE_IN_USE", "the system stopped it"),
  TimeoutError: refusal("DEVICE_TIMEOUT", "it did not start in time", 1_000),
  InvalidStateError: refusal("PAGE_INACTIVE", "the page is not active, or a screen was not requested from a click or key press"),
};
const UNKNOWN_REFUSAL = refusal("UNSUPPORTED", "the browser does not support it");

async function request(what: string, ask: () => Promise<MediaStream>): Promise<MediaStream> {
  try {
    return await ask();
  } catch (cause) {
    if (cause instanceof NexusError) throw cause;
    const { name, message } = cause instanceof Error ? cause : { name: "", message: "" };
    const { code, reason, retryAfterMs } = REFUSALS[name] ?? UNKNOWN_REFUSAL;
    const detail = message === "" ? "" : ` (${message})`;
    throw new NexusError(code, `The ${what} could not be opened: ${reason}${detail}.`, { cause, retryAfterMs });
  }
}

function first(stream: MediaStream, kind: "audio" | "video"): MediaStreamTrack {
  const [track] = kind === "audio" ? stream.getAudioTracks() : stream.getVideoTracks();
  if (track === undefined) throw new NexusError("DEVICE_NOT_FOUND", `The browser returned no ${kind} track.`);
  return track;
}
