/**
 * Telemetry of one attempt to join and of the participant that it becomes: measures once a second, records events, keeps all
 * of it until the server has stored it, and reports over HTTP what a session cannot carry any more.
 */
import { NexusError } from "../core/error.js";
import type { StatsReport } from "../core/media_stats.js";
import type { TrackId } from "../core/model.js";
import type { Effect, Input, Notice } from "../core/session_state.js";
import { measure, named, NOT_MEASURED, type Measured, type MeasuredTrack } from "../core/telemetry.js";
import { TelemetryOutbox } from "../core/telemetry_outbox.js";
import { SDK_NAME, SDK_VERSION } from "../core/version.js";
import type { PageChange, Platform } from "../edge/platform.js";
import { encodeBinary } from "../wire/binary.js";
import type { TelemetryReport, WirePathSample, WireTelemetry, WireTelemetryEvent } from "../wire/messages.js";
import { JoinStep, TelemetryLevel } from "../wire/schema.gen.js";

/** How often the call is measured. */
const INTERVAL_MS = 1_000;
/** Longest interval, while measuring is slow. */
const MAX_INTERVAL_MS = 4_000;
/** Duration of `getStats()` above which the interval doubles; below half of it, the interval halves. */
const SLOW_MS = 50;
/** Maximum number of events in a sample. */
const MAX_EVENTS = 32;
/** Size of a beacon; a browser takes 64 KiB of all of them together (Fetch, section 4.5). */
const BEACON_BYTES = 56 * 1024;
/** Size of a report that is not a beacon. */
const REPORT_BYTES = 240 * 1024;
/** Maximum number of reports that wait for the next join. */
const MAX_UNREPORTED = 8;

/** `on`, `quality` (no events, no audio levels) or `off`. */
export type TelemetryOption = "on" | "quality" | "off";

/** The lower of the page's level and the token's; an unknown claim counts as none. */
export const allowedLevel = (option: TelemetryOption, claim: string | null): number =>
  Math.min(...[option, claim].map((name) => named(TelemetryLevel, name) || TelemetryLevel.ON));

/** Reports over HTTP, and keeps those that failed for the next join. Belongs to a client. @internal */
export class TelemetryPost {
  readonly #platform: Platform;
  readonly #unreported: (readonly [url: string, body: Uint8Array<ArrayBuffer>])[] = [];

  constructor(platform: Platform) {
    this.#platform = platform;
  }

  async send(url: string, token: string, report: TelemetryReport): Promise<void> {
    await this.#post(url, bodyOf(token, report));
  }

  beacon(url: string, token: string, report: TelemetryReport): void {
    this.#platform.sendBeacon(url, bodyOf(token, report));
  }

  /** Sends again what could not be reported before. */
  async retry(): Promise<void> {
    for (const [url, body] of this.#unreported.splice(0)) await this.#post(url, body);
  }

  async #post(url: string, body: Uint8Array<ArrayBuffer>): Promise<void> {
    try {
      // A request of plain text needs no preflight. A page may close while it is on its way.
      const init = { method: "POST", headers: { "Content-Type": "text/plain" }, body, keepalive: body.length <= BEACON_BYTES };
      const { status } = await this.#platform.fetch(url, init);
      if (status < 500) return;
    } catch {
      // The server cannot be reached.
    }
    this.#unreported.push([url, body]);
    if (this.#unreported.length > MAX_UNREPORTED) this.#unreported.shift();
  }
}

/** The token, a line feed, and the report in binary. */
function bodyOf(token: string, report: TelemetryReport): Uint8Array<ArrayBuffer> {
  const [head, tail] = [new TextEncoder().encode(`${token}\n`), encodeBinary("TelemetryReport", report)];
  const body = new Uint8Array(head.length + tail.length);
  body.set(head);
  body.set(tail, head.length);
  return body;
}

/** The join that is measured. */
export interface TelemetryTarget {
  /** The address of reports over HTTP. */
  readonly url: string;
  readonly token: string;
  readonly room: string;
  readonly level: number;
}

/** The parts of a room that are measured. @internal */
export interface TelemetrySource {
  readonly participantId: string;
  /** The level that the server allows. */
  readonly level: number;
  readonly report: () => Promise<StatsReport>;
  readonly tracks: (pageHidden: boolean) => readonly MeasuredTrack[];
  readonly path: () => WirePathSample;
  readonly send: (telemetry: WireTelemetry) => void;
}

/** @internal */
export class Telemetry {
  readonly #platform: Platform;
  readonly #post: TelemetryPost;
  readonly #target: TelemetryTarget;
  readonly #outbox = new TelemetryOutbox();
  readonly #attemptId = crypto.randomUUID();
  readonly #startedMs: number;
  readonly #attachedMs = new Map<TrackId, number>();
  readonly #reached = new Set<number>();
  readonly #unobserve: () => void;
  #events: { readonly atMs: bigint; readonly event: WireTelemetryEvent }[] = [];
  #level: number;
  #source: TelemetrySource | null = null;
  #last = NOT_MEASURED;
  #intervalMs = INTERVAL_MS;
  #cancelTimer: () => void = () => undefined;
  #pageHidden = false;
  #ended = false;
  #iceRestarts = 0;

  constructor(platform: Platform, post: TelemetryPost, target: TelemetryTarget) {
    this.#platform = platform;
    this.#post = post;
    this.#target = target;
    this.#level = target.level;
    this.#startedMs = platform.monotonicMs();
    this.#unobserve = this.enabled ? platform.observePage((change) => this.#pageChanged(change)) : () => undefined;
    this.reached("TOKEN");
  }

  /** Whether the page and the token allow telemetry. */
  get enabled(): boolean {
    return this.#level > TelemetryLevel.OFF;
  }

  reached(step: keyof typeof JoinStep): void {
    if (this.#reached.has(JoinStep[step])) return;
    this.#reached.add(JoinStep[step]);
    this.#record({ case: "joinStep", value: { step: JoinStep[step], afterMs: this.#sinceMs(this.#startedMs) } });
  }

  /** Follows the session: its inputs have the steps of a join, and its effects the errors and the end. */
  observe(step: Input | Effect): void {
    switch (step.type) {
      case "socket-open":
        return this.reached("SOCKET");
      case "message":
        return step.message.body.case === "join" ? this.reached("ANSWER") : undefined;
      case "media":
        if (step.state !== "connected") return;
        this.reached("ICE");
        return this.reached("DTLS");
      case "bind":
        if (!this.#attachedMs.has(step.trackId)) this.#attachedMs.set(step.trackId, this.#platform.monotonicMs());
        return;
      case "unbind":
        return void this.#attachedMs.delete(step.trackId);
      case "create-offer":
        if (step.iceRestart) this.#iceRestarts += 1;
        return;
      case "reject":
        return this.failed(step.error);
      case "notify":
        return this.#handle(step.notice);
    }
  }

  /** The room has been joined: measure it. */
  start(source: TelemetrySource): void {
    this.#level = Math.min(this.#level, source.level);
    if (this.#level <= TelemetryLevel.OFF) return this.#end();
    if (this.#level < TelemetryLevel.ON) this.#events = [];
    this.#source = source;
    this.#last = { ...NOT_MEASURED, atMs: this.#startedMs };
    void this.#post.retry();
    for (const { id, sent } of source.tracks(false)) if (sent) this.#published(id, this.#startedMs);
    this.#schedule();
  }

  #handle(notice: Notice): void {
    if (notice.type === "telemetry-stored") this.#outbox.stored(notice.number, notice.resend);
    if (notice.type === "error") this.failed(notice.error);
    if (notice.type === "closed") this.close(notice.error);
  }

  /** A track has been published. */
  async publishing(trackId: () => TrackId | null, publishing: Promise<void>): Promise<void> {
    const startedMs = this.#platform.monotonicMs();
    await publishing;
    const id = trackId();
    if (id !== null) this.#published(id, startedMs);
  }

  /** Records the error of a call. */
  async watch<Result>(call: Promise<Result>): Promise<Result> {
    try {
      return await call;
    } catch (error) {
      this.failed(error);
      throw error;
    }
  }

  failed(error: unknown): void {
    this.#record({ case: "error", value: { code: error instanceof NexusError ? error.code : "UNKNOWN" } });
  }

  devicesChanged(): void {
    this.#record({ case: "devicesChanged", value: {} });
  }

  autoplayBlocked(): void {
    this.#record({ case: "autoplayBlocked", value: {} });
  }

  /** The first frame of a track was shown. */
  frameShown(trackId: TrackId): void {
    const attachedMs = this.#attachedMs.get(trackId);
    if (attachedMs === undefined || attachedMs === Infinity) return;
    this.#attachedMs.set(trackId, Infinity);
    this.reached("FIRST_PACKET");
    this.reached("FIRST_FRAME");
    this.#record({ case: "firstFrame", value: { trackId, afterMs: this.#sinceMs(attachedMs) } });
  }

  /** The session has ended, or the join has failed. What the server has not stored is reported over HTTP. */
  close(error: NexusError | null): void {
    if (this.#ended || this.#level <= TelemetryLevel.OFF) return this.#end();
    const missing = Object.values(JoinStep).find((step) => step > 0 && step <= JoinStep.DTLS && !this.#reached.has(step));
    const aborted = error === null || error.code === "ABORTED";
    if (missing !== undefined && !aborted) {
      const afterMs = this.#sinceMs(this.#startedMs);
      this.#record({ case: "joinFailed", value: { step: missing, afterMs, code: error.code } });
    } else if (error !== null) this.failed(error);
    this.#flush();
    for (const report of this.#reports(REPORT_BYTES)) void this.#post.send(this.#target.url, this.#target.token, report);
    this.#end();
  }

  #published(trackId: TrackId, startedMs: number): void {
    this.#record({ case: "published", value: { trackId, afterMs: this.#sinceMs(startedMs) } });
  }

  #end(): void {
    this.#ended = true;
    this.#events = [];
    this.#cancelTimer();
    this.#unobserve();
  }

  #pageChanged(change: PageChange): void {
    if (change !== "closing") {
      this.#pageHidden = change === "hidden";
      return this.#record({ case: "pageVisibility", value: { hidden: this.#pageHidden } });
    }
    this.#flush();
    const [report] = this.#reports(BEACON_BYTES - this.#target.token.length).slice(-1);
    if (report !== undefined) this.#post.beacon(this.#target.url, this.#target.token, report);
  }

  #reports(maxBytes: number): TelemetryReport[] {
    const participantId = this.#source?.participantId ?? "";
    const client = { sdk: SDK_NAME, version: SDK_VERSION, ...this.#platform.browser() };
    const common = { room: this.#target.room, participantId, attemptId: this.#attemptId, client, level: this.#level };
    return this.#outbox.remaining(maxBytes).map((telemetry) => ({ ...common, telemetry }));
  }

  #record(event: WireTelemetryEvent): void {
    if (this.#ended || this.#level < TelemetryLevel.ON || this.#events.length >= MAX_EVENTS) return;
    this.#events.push({ atMs: BigInt(Math.round(this.#platform.monotonicMs())), event });
  }

  /** Adds the events that no measurement has taken. */
  #flush(): void {
    if (this.#events.length > 0) this.#add({ sample: {}, series: [], next: this.#last });
  }

  #add({ sample, series, next }: Measured): void {
    const atMs = this.#platform.monotonicMs();
    const events = this.#events;
    this.#events = [];
    this.#last = next;
    const wallAtMs = BigInt(Math.round(this.#platform.wallClockMs()));
    this.#outbox.add({ ...sample, atMs: BigInt(Math.round(atMs)), wallAtMs, events }, series, atMs);
  }

  #schedule(): void {
    this.#cancelTimer = this.#platform.setTimer(this.#intervalMs, () => void this.#measure());
  }

  async #measure(): Promise<void> {
    const source = this.#source;
    if (source === null) return;
    const beganMs = this.#platform.monotonicMs();
    const report = await source.report().catch(() => null);
    if (this.#ended) return;
    const atMs = this.#platform.monotonicMs();
    const tookMs = atMs - beganMs;
    if (tookMs > SLOW_MS) this.#intervalMs = Math.min(MAX_INTERVAL_MS, 2 * this.#intervalMs);
    else if (tookMs < SLOW_MS / 2) this.#intervalMs = Math.max(INTERVAL_MS, this.#intervalMs / 2);
    if (report !== null) {
      const levels = this.#level >= TelemetryLevel.ON;
      const measured = measure({ report, atMs, tracks: source.tracks(this.#pageHidden), before: this.#last, levels });
      this.#reachedBy(measured);
      const path = { ...measured.sample.path, ...source.path(), iceRestarts: this.#iceRestarts };
      this.#iceRestarts = 0;
      this.#add({ ...measured, sample: { ...measured.sample, path } });
      for (const telemetry of this.#outbox.unsent()) source.send(telemetry);
    }
    this.#schedule();
  }

  /** Reads from counters the steps for which the browser has no event. */
  #reachedBy({ sample: { receivedAudio = [], receivedVideo = [] } }: Measured): void {
    if ([...receivedAudio, ...receivedVideo].some(({ packets = 0 }) => packets > 0)) this.reached("FIRST_PACKET");
    if (receivedVideo.some(({ framesDecoded = 0 }) => framesDecoded > 0)) this.reached("FIRST_FRAME");
  }

  #sinceMs(startMs: number): number {
    return Math.max(0, Math.round(this.#platform.monotonicMs() - startMs));
  }
}
