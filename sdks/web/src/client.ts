/** The entry point of the SDK: `new NexusClient({ appId, token })`, then `join`. */
import { NexusError } from "./core/error.js";
import { INITIAL_SLOTS, type Effect, type Input, type Notice } from "./core/session_state.js";
import { requestUrl, sessionUrl } from "./core/server_url.js";
import { readTokenClaims } from "./core/token.js";
import { browserPlatform } from "./edge/browser.js";
import { listDevices, type Device } from "./edge/capture.js";
import { messageCodec, type MessageCodec, type WireFormat } from "./edge/codec.js";
import { NO_TRANSFORM, type MediaTransform } from "./edge/media_transform.js";
import { Peer } from "./edge/peer.js";
import type { Platform } from "./edge/platform.js";
import { SessionRunner } from "./edge/session_runner.js";
import type { LocalTrack } from "./room/local_track.js";
import { Recordings } from "./recordings.js";
import { Publications } from "./room/publications.js";
import { Room } from "./room/room.js";
import { allowedLevel, Telemetry, TelemetryPost, type TelemetryOption } from "./room/telemetry.js";
import { TrackFactory } from "./room/track_factory.js";

export interface NexusClientOptions {
  /** The app's key id. A token of another app fails with `APP_MISMATCH`. */
  readonly appId: string;
  /** A JWT that your server minted for this user and room. */
  readonly token: string;
  /** An http(s) or ws(s) URL. Default: the token's claim `url`, else the page's origin. */
  readonly serverUrl?: string;
  /** Encoding of messages: `binary` (default), or `json`, which can be read in the browser's inspector. */
  readonly wireFormat?: WireFormat;
  /**
   * Whether the SDK measures the call and sends that to the server: `on` (default), `quality` (no events, no audio levels) or
   * `off`. The operator of the server and the token can only lower it.
   */
  readonly telemetry?: TelemetryOption;
  /** The environment; tests pass a fake from `@nexus-rtc/web/testing`. */
  readonly platform?: Platform;
  /** Transforms encoded media; nothing does by default. @internal */
  readonly mediaTransform?: MediaTransform;
}

export interface JoinOptions {
  /** The name for other participants; the token's claim `name` overrides it. */
  readonly name?: string;
  readonly metadata?: string;
  readonly attributes?: Readonly<Record<string, string>>;
  /** Open tracks, which the join publishes without a further round trip. */
  readonly tracks?: readonly LocalTrack[];
  /** Binds cameras and screens that are already published before the page attaches them. Default: true. */
  readonly bindExisting?: boolean;
  /** Cancels the join. */
  readonly signal?: AbortSignal;
}

/** Joins rooms of an app with one token. */
export class NexusClient {
  readonly #options: NexusClientOptions;
  readonly #platform: Platform;
  readonly #telemetryPost: TelemetryPost;

  constructor(options: NexusClientOptions) {
    this.#options = options;
    this.#platform = options.platform ?? browserPlatform;
    this.#telemetryPost = new TelemetryPost(this.#platform);
  }

  /** Lists cameras, microphones and speakers. Their labels are empty until the user has granted access. */
  static async devices(platform: Platform = browserPlatform): Promise<Device[]> {
    return listDevices(platform);
  }

  /** The recordings of the token's room, which need the grant `record`. Throws `TOKEN_INVALID` or `INVALID_ARGUMENT`. */
  get recordings(): Recordings {
    const { token, serverUrl } = this.#options;
    const url = sessionUrl(serverUrl, readTokenClaims(token).url, this.#platform.pageOrigin());
    return new Recordings(this.#platform, url, token);
  }

  /** Joins a room: one round trip to the server. Rejects with a {@link NexusError}. */
  async join(roomId: string, options: JoinOptions = {}): Promise<Room> {
    const { appId, token, serverUrl, wireFormat } = this.#options;
    const claims = readTokenClaims(token);
    if (claims.iss !== appId) {
      const details = { app_id: appId, iss: claims.iss ?? "" };
      throw new NexusError("APP_MISMATCH", "The token was minted for another app than `appId`.", { details });
    }
    const { signal } = options;
    if (signal?.aborted === true) throw aborted(signal);
    const url = sessionUrl(serverUrl, claims.url, this.#platform.pageOrigin());
    const { mediaTransform = NO_TRANSFORM } = this.#options;
    const level = allowedLevel(this.#options.telemetry ?? "on", claims.telemetry);
    const target = { url: requestUrl(url, "/v1/telemetry"), token, room: roomId, level };
    const telemetry = new Telemetry(this.#platform, this.#telemetryPost, target);
    const codec = messageCodec(wireFormat ?? "binary");
    const attempt = new JoinAttempt(this.#platform, mediaTransform, url, codec, roomId, this.recordings, telemetry);
    const abort = (): void => attempt.runner.dispatch({ type: "abort", error: aborted(signal) });
    signal?.addEventListener("abort", abort);
    try {
      return await attempt.run({ ...options, appId, token });
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }
}

const aborted = (signal: AbortSignal | undefined): NexusError =>
  new NexusError("ABORTED", "The join was aborted.", { cause: signal?.reason });

/** One attempt to join: owns connection and session until the room takes them over. */
class JoinAttempt {
  readonly runner: SessionRunner;
  readonly #platform: Platform;
  readonly #peer: Peer;
  readonly #room: string;
  readonly #publications: Publications;
  readonly #recordings: Recordings;
  readonly #telemetry: Telemetry;
  #onNotice: (notice: Notice) => void = () => undefined;

  constructor(
    platform: Platform,
    transform: MediaTransform,
    url: string,
    codec: MessageCodec,
    room: string,
    recordings: Recordings,
    telemetry: Telemetry,
  ) {
    this.#platform = platform;
    this.#telemetry = telemetry;
    this.#recordings = recordings;
    this.#room = room;
    this.#peer = new Peer(platform, (state) => this.runner.dispatch({ type: "media", state }), transform);
    this.#peer.onReached = (step) => telemetry.reached(step);
    const observe = (step: Input | Effect): void => telemetry.observe(step);
    this.runner = new SessionRunner(platform, this.#peer, codec, url, (notice) => this.#onNotice(notice), observe);
    this.#publications = new Publications({ platform, peer: this.#peer, runner: this.runner });
  }

  run(options: JoinOptions & { readonly appId: string; readonly token: string }): Promise<Room> {
    this.#peer.addSlots(INITIAL_SLOTS);
    for (const track of options.tracks ?? []) this.#publications.include(track);
    return new Promise((resolve, reject) => {
      this.#onNotice = (notice) => {
        if (notice.type === "closed") {
          this.#publications.abandon();
          reject(notice.error ?? new NexusError("CLOSED", "The room was left."));
        }
        if (notice.type === "joined") resolve(this.#open());
      };
      this.runner.join({
        token: options.token,
        room: this.#room,
        appId: options.appId,
        name: options.name ?? "",
        metadata: options.metadata ?? "",
        attributes: options.attributes ?? {},
        bindExisting: options.bindExisting ?? true,
        browser: this.#telemetry.enabled ? this.#platform.browser() : null,
      });
    });
  }

  #open(): Room {
    const { runner } = this;
    const [platform, peer, publications] = [this.#platform, this.#peer, this.#publications];
    const factory = new TrackFactory(platform);
    const [recordings, telemetry] = [this.#recordings, this.#telemetry];
    const room = new Room({ platform, peer, runner, factory, name: this.#room, publications, recordings, telemetry });
    this.#onNotice = (notice) => room.handle(notice);
    return room;
  }
}
