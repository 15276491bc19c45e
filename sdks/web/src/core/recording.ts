/** Recordings as pages see them, read from the canonical JSON of `nexus.recorder.v1` (docs/reference/recordings.md). */
import { NexusError, type NexusErrorCode } from "./error.js";
import type { TrackSource } from "./model.js";

export type RecordingState =
  /** Waits for a recorder with capacity. */
  | "queued"
  | "running"
  /** Nothing is received. */
  | "paused"
  /** Stopped; its files are being made. */
  | "finishing"
  | "completed"
  /** Ended by a failure; what was recorded until then is kept. */
  | "failed"
  | "deleted"
  /** A newer server has more states. */
  | "unknown";

/** Times are in milliseconds since the Unix epoch; 0: not yet, or never. */
export interface Recording {
  readonly id: string;
  readonly room: string;
  readonly state: RecordingState;
  readonly createdAtMs: number;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  /** The identity that started it, or the name of a rule. */
  readonly startedBy: string;
  /** The failure that is being retried, such as the store. */
  readonly degraded: NexusError | null;
  /** Why it failed. */
  readonly error: NexusError | null;
  readonly files: readonly RecordedFile[];
  readonly markers: readonly Marker[];
  readonly expiresAtMs: number;
  /** It is not deleted, neither by a request nor when it expires. */
  readonly hold: boolean;
  /** Bytes in the store. */
  readonly storedBytes: number;
}

export interface RecordedFile {
  /** The name in the store. */
  readonly key: string;
  readonly contentType: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly identity: string;
  readonly sources: readonly TrackSource[];
  /** From the start of the recording to the first media. */
  readonly offsetMs: number;
  readonly durationMs: number;
}

export interface Marker {
  readonly name: string;
  readonly atMs: number;
  /** The position in the files. */
  readonly offsetMs: number;
}

export interface PlaybackLink {
  readonly file: RecordedFile;
  /** Opens the file without a token, until it expires. */
  readonly url: string;
}

export interface Playback {
  readonly links: readonly PlaybackLink[];
  /** Empty if there is no manifest yet. */
  readonly manifestUrl: string;
}

const STATES: Readonly<Record<string, RecordingState>> = {
  RECORDING_STATE_QUEUED: "queued",
  RECORDING_STATE_RUNNING: "running",
  RECORDING_STATE_PAUSED: "paused",
  RECORDING_STATE_FINISHING: "finishing",
  RECORDING_STATE_COMPLETED: "completed",
  RECORDING_STATE_FAILED: "failed",
  RECORDING_STATE_DELETED: "deleted",
};

/** The names of sources in JSON. */
export const SOURCE_NAMES = {
  TRACK_SOURCE_MICROPHONE: "microphone",
  TRACK_SOURCE_CAMERA: "camera",
  TRACK_SOURCE_SCREEN: "screen",
  TRACK_SOURCE_SCREEN_AUDIO: "screen-audio",
} as const satisfies Readonly<Record<string, TrackSource>>;

/** An object of JSON, whose fields are missing when they have their default. */
export type Fields = Readonly<Record<string, unknown>>;

export const fieldsOf = (value: unknown): Fields => (typeof value === "object" && value !== null ? (value as Fields) : {});
export const textOf = (value: unknown): string => (typeof value === "string" ? value : "");
const listOf = (value: unknown): readonly Fields[] => (Array.isArray(value) ? value.map(fieldsOf) : []);

/** A number; JSON has 64-bit numbers as strings. */
function numberOf(value: unknown): number {
  const number = typeof value === "string" || typeof value === "number" ? Number(value) : 0;
  return Number.isFinite(number) ? number : 0;
}

export function errorOf(value: unknown): NexusError {
  const error = fieldsOf(value);
  const details = Object.fromEntries(Object.entries(fieldsOf(error["details"])).map(([name, text]) => [name, textOf(text)]));
  const code = (textOf(error["code"]) || "UNKNOWN") as NexusErrorCode;
  return new NexusError(code, textOf(error["message"]), { details, retryAfterMs: numberOf(error["retryAfterMs"]) });
}

function fileOf(file: Fields): RecordedFile {
  const sources = Array.isArray(file["sources"]) ? file["sources"].map(textOf) : [];
  return {
    key: textOf(file["key"]),
    contentType: textOf(file["contentType"]),
    bytes: numberOf(file["bytes"]),
    sha256: textOf(file["sha256"]),
    identity: textOf(file["identity"]),
    sources: sources.map((name) => (SOURCE_NAMES as Readonly<Record<string, TrackSource>>)[name] ?? "unknown"),
    offsetMs: numberOf(file["offsetMs"]),
    durationMs: numberOf(file["durationMs"]),
  };
}

function markerOf(marker: Fields): Marker {
  return { name: textOf(marker["name"]), atMs: numberOf(marker["atMs"]), offsetMs: numberOf(marker["offsetMs"]) };
}

export function recordingOf(value: unknown): Recording {
  const recording = fieldsOf(value);
  const { degraded, error } = recording;
  return {
    id: textOf(recording["id"]),
    room: textOf(recording["room"]),
    state: STATES[textOf(recording["state"])] ?? "unknown",
    createdAtMs: numberOf(recording["createdAtMs"]),
    startedAtMs: numberOf(recording["startedAtMs"]),
    endedAtMs: numberOf(recording["endedAtMs"]),
    startedBy: textOf(recording["startedBy"]),
    degraded: degraded === undefined ? null : errorOf(fieldsOf(degraded)["error"]),
    error: error === undefined ? null : errorOf(error),
    files: listOf(recording["files"]).map(fileOf),
    markers: listOf(recording["markers"]).map(markerOf),
    expiresAtMs: numberOf(recording["expiresAtMs"]),
    hold: recording["hold"] === true,
    storedBytes: numberOf(recording["storedBytes"]),
  };
}

export function playbackOf(value: Fields): Playback {
  const links = listOf(value["links"]).map((link) => ({ file: fileOf(fieldsOf(link["file"])), url: textOf(link["url"]) }));
  return { links, manifestUrl: textOf(value["manifestUrl"]) };
}

export const recordingsOf = (value: Fields): readonly Recording[] => listOf(value["recordings"]).map(recordingOf);
