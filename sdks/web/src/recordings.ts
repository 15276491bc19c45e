/** Recordings over HTTP, with the token of a participant who has the grant `record` (docs/reference/recordings.md). */
import { NexusError } from "./core/error.js";
import {
  errorOf,
  fieldsOf,
  playbackOf,
  recordingOf,
  recordingsOf,
  textOf,
  type Fields,
  type Playback,
  type Recording,
} from "./core/recording.js";
import { selectionJson, specJson, type RecordingLimits, type RecordingSpec, type TrackSelection } from "./core/recording_spec.js";
import { requestUrl } from "./core/server_url.js";
import type { Platform } from "./edge/platform.js";

const PATH = "/v1/recordings";
/** How long a request may take. */
const TIMEOUT_MS = 15_000;

export interface StartOptions extends RecordingSpec {
  /** A second start with the same id returns the first recording. */
  readonly requestId?: string;
}

export interface ListOptions {
  /** Created at or after this time, in milliseconds since the Unix epoch. */
  readonly fromMs?: number;
  /** Created before this time. */
  readonly toMs?: number;
  /** Default: 50; at most 500. */
  readonly pageSize?: number;
  /** The `nextPageToken` of the page before. */
  readonly pageToken?: string;
}

export interface RecordingPage {
  /** Newest first. */
  readonly recordings: readonly Recording[];
  /** Empty on the last page. */
  readonly nextPageToken: string;
}

/** The recordings of the token's room. Every method rejects with a {@link NexusError}. */
export class Recordings {
  readonly #platform: Platform;
  readonly #sessionUrl: string;
  readonly #token: string;

  /** @internal */
  constructor(platform: Platform, sessionUrl: string, token: string) {
    this.#platform = platform;
    this.#sessionUrl = sessionUrl;
    this.#token = token;
  }

  /** Starts a recording of the room. It runs as soon as a recorder has taken it. */
  async start({ requestId, ...spec }: StartOptions = {}): Promise<Recording> {
    return this.#one("POST", "", { spec: specJson(spec), ...(requestId === undefined ? {} : { requestId }) });
  }

  /** Stops a recording. Its files are made afterwards. */
  async stop(id: string): Promise<Recording> {
    return this.#one("POST", `${pathOf(id)}/stop`);
  }

  /** Pauses a recording: nothing is received until it is resumed. */
  async pause(id: string): Promise<Recording> {
    return this.#one("POST", `${pathOf(id)}/pause`);
  }

  async resume(id: string): Promise<Recording> {
    return this.#one("POST", `${pathOf(id)}/resume`);
  }

  /** Adds a marker of at most 256 bytes, at the present time unless `atMs` is given. */
  async addMarker(id: string, name: string, atMs = 0): Promise<Recording> {
    return this.#one("POST", `${pathOf(id)}/markers`, { name, atMs });
  }

  /** Replaces what is given. `expiresAtMs` 0: never. */
  async update(
    id: string,
    { selection, ...change }: {
      readonly selection?: TrackSelection;
      readonly limits?: RecordingLimits;
      readonly expiresAtMs?: number;
      readonly hold?: boolean;
    },
  ): Promise<Recording> {
    return this.#one("PATCH", pathOf(id), { ...change, ...(selection === undefined ? {} : { selection: selectionJson(selection) }) });
  }

  async get(id: string): Promise<Recording> {
    return this.#one("GET", pathOf(id));
  }

  async list({ fromMs, toMs, pageSize, pageToken }: ListOptions = {}): Promise<RecordingPage> {
    const query = { from_ms: fromMs, to_ms: toMs, page_size: pageSize, page_token: pageToken };
    const answer = await this.#send("GET", queryOf(query));
    return { recordings: recordingsOf(answer), nextPageToken: textOf(answer["nextPageToken"]) };
  }

  /** Stops a recording if it runs, and deletes its files, segments and manifest. */
  async delete(id: string): Promise<Recording> {
    return this.#one("DELETE", pathOf(id));
  }

  /** Makes links to the files. With `download` a browser saves a file in place of playing it. */
  async playback(id: string, options: { readonly download?: boolean; readonly expiresInSeconds?: number } = {}): Promise<Playback> {
    const query = queryOf({ download: options.download, expires_in_seconds: options.expiresInSeconds });
    return playbackOf(await this.#send("GET", `${pathOf(id)}/playback${query}`));
  }

  async #one(method: string, path: string, body?: Fields): Promise<Recording> {
    return recordingOf((await this.#send(method, path, body))["recording"]);
  }

  async #send(method: string, path: string, body?: Fields): Promise<Fields> {
    const headers = { authorization: `Bearer ${this.#token}`, ...(body === undefined ? {} : { "content-type": "application/json" }) };
    const aborter = new AbortController();
    const cancel = this.#platform.setTimer(TIMEOUT_MS, () => aborter.abort());
    let ok: boolean;
    let answer: unknown;
    try {
      const json = body === undefined ? null : JSON.stringify(body);
      const url = requestUrl(this.#sessionUrl, PATH + path);
      const response = await this.#platform.fetch(url, { method, headers, body: json, signal: aborter.signal });
      ok = response.ok;
      // A proxy in front of the server may answer with something else than JSON.
      answer = await response.json().catch((cause: unknown) => {
        if (ok || aborter.signal.aborted) throw cause;
        return { message: `The server answered with status ${response.status}.` };
      });
    } catch (cause) {
      if (aborter.signal.aborted) throw new NexusError("TIMEOUT", "The server did not answer in time.", { cause });
      throw NexusError.from(cause, "CONNECTION_FAILED", "The request failed");
    } finally {
      cancel();
    }
    if (!ok) throw errorOf(answer);
    return fieldsOf(answer);
  }
}

/** Throws `INVALID_ARGUMENT` for an empty id, which would name the list. */
function pathOf(id: string): string {
  if (id === "") throw new NexusError("INVALID_ARGUMENT", "The id of a recording must not be empty.", { details: { field: "id" } });
  return `/${encodeURIComponent(id)}`;
}

function queryOf(parameters: Readonly<Record<string, string | number | boolean | undefined>>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined && value !== "") query.set(name, String(value));
  const text = query.toString();
  return text === "" ? "" : `?${text}`;
}
