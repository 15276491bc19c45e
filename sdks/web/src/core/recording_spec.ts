/** The contents of a recording, written as the canonical JSON of `RecordingSpec`. */
import type { TrackSource } from "./model.js";
import { SOURCE_NAMES, type Fields } from "./recording.js";

/** All fields that are given must match. */
export interface TrackPattern {
  /** With the wildcards `*` and `?`. */
  readonly identity?: string;
  /** The name of the track, with the wildcards `*` and `?`. */
  readonly name?: string;
  readonly sources?: readonly Exclude<TrackSource, "unknown">[];
  readonly trackId?: string;
}

/** A track is recorded if it matches an `include` (or there is none) and no `exclude`. */
export interface TrackSelection {
  readonly include?: readonly TrackPattern[];
  readonly exclude?: readonly TrackPattern[];
  /** Only participants who have set this attribute to `true` or `yes`. */
  readonly consent?: string;
}

export interface RecordingLimits {
  /** Default: a day. */
  readonly maxDurationSeconds?: number;
  /** How long the room may be empty. Default: 60. */
  readonly emptyTimeoutSeconds?: number;
  /** How long the recording may wait for a recorder with capacity. Default: 60. */
  readonly queueTimeoutSeconds?: number;
}

export interface RecordingSpec {
  /** Makes a file for each track; the default if both are false. */
  readonly tracks?: boolean;
  /** Makes a file with audio and video for each participant. */
  readonly participants?: boolean;
  readonly selection?: TrackSelection;
  /** A store of the deployment. Default: its default store. */
  readonly store?: string;
  /** Names of the files, such as `{room}/{date}/{identity}-{source}`. */
  readonly keyTemplate?: string;
  /** The place where a segment must be before the SFU may forget its media. Default: `spool`. */
  readonly durability?: "spool" | "store";
  readonly preferWebm?: boolean;
  /** 2000 to 20000. Default: 6000. */
  readonly segmentMs?: number;
  readonly keepSegments?: boolean;
  /** Keeps the time of pauses in the files, without media. */
  readonly keepPauses?: boolean;
  readonly limits?: RecordingLimits;
  /** How long the recording is kept after its end; 0: for ever. */
  readonly retentionSeconds?: number;
  readonly labels?: Readonly<Record<string, string>>;
}

function patternJson({ sources = [], ...pattern }: TrackPattern): Fields {
  const names = Object.entries(SOURCE_NAMES);
  return { ...pattern, sources: sources.map((source) => names.find(([, one]) => one === source)?.[0]) };
}

export function selectionJson({ include = [], exclude = [], ...selection }: TrackSelection): Fields {
  return { ...selection, include: include.map(patternJson), exclude: exclude.map(patternJson) };
}

export function specJson({ selection, durability, ...spec }: RecordingSpec): Fields {
  return {
    ...spec,
    ...(selection === undefined ? {} : { selection: selectionJson(selection) }),
    ...(durability === undefined ? {} : { durability: `DURABILITY_${durability.toUpperCase()}` }),
  };
}
