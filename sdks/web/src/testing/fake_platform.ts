/** A platform in emulated time, with a server that the test controls. */
import { ElementViews, type ElementView } from "../edge/element_view.js";
import type { Browser } from "../core/session_state.js";
import type { PageChange, Platform, Socket, SocketHandlers } from "../edge/platform.js";
import type { TrackKind } from "../core/model.js";
import { FakeElement } from "./fake_page.js";
import { FakeDevices, FakeMediaStream } from "./fake_media.js";
import { FakePeerConnection } from "./fake_peer.js";
import { FakeServer } from "./fake_server.js";

interface Timer {
  readonly atMs: number;
  readonly run: () => void;
}

const CODECS = ["VP8", "VP9", "H264", "AV1"];
/** Number of macrotasks that the longest chain of promises of one exchange needs. */
const SETTLING_TURNS = 8;

export class FakePlatform implements Platform {
  readonly server = new FakeServer();
  readonly peers: FakePeerConnection[] = [];
  readonly audioElements: FakeElement[] = [];
  readonly deviceAccess = new FakeDevices();
  /** Whether audio needs a gesture of the user. */
  autoplayBlocked = false;
  origin: string | null = "https://app.example";
  sendable: readonly string[] = CODECS;
  hardware: readonly string[] = [];
  #nowMs = 1_000_000;
  #wallClockAheadMs = 1_700_000_000_000;
  readonly #elementViews = new ElementViews((delayMs, run) => this.setTimer(delayMs, run));
  readonly #viewers = new Map<HTMLElement, (view: ElementView) => void>();
  readonly #timers = new Set<Timer>();

  monotonicMs(): number {
    return this.#nowMs;
  }

  /** The system's time, in milliseconds since the Unix epoch. A test can install it as `Date.now`. */
  wallClockMs(): number {
    return this.#nowMs + this.#wallClockAheadMs;
  }

  /** The beacons that were sent: URL and body. */
  readonly beacons: { readonly url: string; readonly body: Uint8Array }[] = [];
  readonly #pageListeners = new Set<(change: PageChange) => void>();

  sendBeacon(url: string, body: Uint8Array): boolean {
    this.beacons.push({ url, body });
    return true;
  }

  observePage(listener: (change: PageChange) => void): () => void {
    this.#pageListeners.add(listener);
    return () => this.#pageListeners.delete(listener);
  }

  /** The page is hidden, shown again, or closes. */
  changePage(change: PageChange): void {
    for (const listener of this.#pageListeners) listener(change);
  }

  browser(): Browser {
    return { browser: "chromium", browserVersion: 156 };
  }

  /** Steps the system's time, as NTP or a user does. */
  stepWallClock(byMs: number): void {
    this.#wallClockAheadMs += byMs;
  }

  setTimer(delayMs: number, run: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Number of pending timers. */
  get timers(): number {
    return this.#timers.size;
  }

  pageOrigin(): string | null {
    return this.origin;
  }

  openSocket(url: string, subprotocol: string, handlers: SocketHandlers): Socket {
    return this.server.connect(url, subprotocol, handlers);
  }

  /** Answers HTTP requests; none is answered unless a test replaces it. */
  answerRequest: (url: string, init: RequestInit) => Promise<Response> = () => Promise.reject(new TypeError("no answer"));

  fetch(url: string, init: RequestInit): Promise<Response> {
    return this.answerRequest(url, init);
  }

  createPeer(configuration: RTCConfiguration): ReturnType<FakePeerConnection["asPeerConnection"]> {
    const peer = new FakePeerConnection(configuration);
    this.peers.push(peer);
    return peer.asPeerConnection();
  }

  createStream(tracks: readonly MediaStreamTrack[]): MediaStream {
    return new FakeMediaStream(tracks).asStream();
  }

  createAudioElement(): HTMLAudioElement {
    const element = new FakeElement(() => this.autoplayBlocked);
    this.audioElements.push(element);
    return element as unknown as HTMLAudioElement;
  }

  /** Elements of a `FakeDocument` are observed as in a browser; `see()` sets the view of all others. */
  observeElement(element: HTMLElement, listener: (view: ElementView) => void): () => void {
    if ((element.ownerDocument as Document | null) !== null) return this.#elementViews.observe(element, listener);
    this.#viewers.set(element, listener);
    listener({ width: 0, height: 0, visible: true });
    return () => this.#viewers.delete(element);
  }

  /** Sets the view of an element: it is laid out, scrolled or hidden. */
  see(element: FakeElement, view: ElementView): void {
    this.#viewers.get(element.asMediaElement())?.(view);
  }

  devices(): FakeDevices {
    return this.deviceAccess;
  }

  sendableCodecs(kind: TrackKind): RTCRtpCodec[] {
    if (kind === "audio") return [{ mimeType: "audio/opus", clockRate: 48_000, channels: 2 }];
    return this.sendable.map((name) => ({ mimeType: `video/${name}`, clockRate: 90_000 }));
  }

  encodesInHardware(mimeType: string): Promise<boolean> {
    return Promise.resolve(this.hardware.includes(mimeType));
  }

  /** The connection of the first join. */
  get peer(): FakePeerConnection {
    const [peer] = this.peers;
    if (peer === undefined) throw new Error("no connection has been made");
    return peer;
  }

  /** Lets promises settle without advancing the time. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < SETTLING_TURNS; turn += 1) await new Promise((resolve) => setTimeout(resolve, 0));
    await this.#runDue();
  }

  /** Advances the time, timer by timer. */
  async advance(durationMs: number): Promise<void> {
    const endMs = this.#nowMs + durationMs;
    for (let next = this.#next(endMs); next !== null; next = this.#next(endMs)) {
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      this.#timers.delete(next);
      next.run();
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    this.#nowMs = endMs;
  }

  async #runDue(): Promise<void> {
    await this.advance(0);
  }

  #next(untilMs: number): Timer | null {
    let next: Timer | null = null;
    for (const timer of this.#timers) {
      if (timer.atMs <= untilMs && (next === null || timer.atMs < next.atMs)) next = timer;
    }
    return next;
  }
}
