/**
 * The environment of the SDK: clock, timers, WebSocket, RTCPeerConnection, devices, elements.
 *
 * `browser.ts` implements it for browsers; `@nexus-rtc/web/testing` has a fake, with which applications can be tested without
 * browser, camera or server.
 */
import type { NamedCodec } from "../core/codec_choice.js";
import type { TrackKind } from "../core/model.js";
import type { Browser } from "../core/session_state.js";
import type { ElementView } from "./element_view.js";

export interface SocketHandlers {
  readonly onOpen: () => void;
  readonly onFrame: (frame: ArrayBuffer | string) => void;
  /** Called once, even if the socket never opened. */
  readonly onClose: (code: number) => void;
}

/** The part of a WebSocket that a session uses. */
export interface Socket {
  send(frame: Uint8Array<ArrayBuffer> | string): void;
  close(code: number): void;
}

/** The part of an `RTCPeerConnection` that the SDK uses. */
export type PeerConnection = Pick<
  RTCPeerConnection,
  | "addEventListener"
  | "addTransceiver"
  | "close"
  | "connectionState"
  | "createDataChannel"
  | "createOffer"
  | "getStats"
  | "getTransceivers"
  | "iceConnectionState"
  | "setConfiguration"
  | "setLocalDescription"
  | "setRemoteDescription"
  | "signalingState"
>;

/** The part of `navigator.mediaDevices` that the SDK uses. */
export type DeviceAccess = Pick<
  MediaDevices,
  "addEventListener" | "enumerateDevices" | "getDisplayMedia" | "getUserMedia" | "removeEventListener"
>;

/** A change of the page that a participant is in. */
export type PageChange = "hidden" | "shown" | "closing";

export interface Platform {
  /**
   * Milliseconds on a monotonic clock with an arbitrary origin. All deadlines use it, because a wall clock steps when the
   * system's time is corrected.
   */
  monotonicMs(): number;
  /** Milliseconds since the Unix epoch by the system's clock. */
  wallClockMs(): number;
  /** Calls back once. Returns a function that cancels. */
  setTimer(delayMs: number, run: () => void): () => void;
  /** The page's origin; null outside a page. */
  pageOrigin(): string | null;
  openSocket(url: string, subprotocol: string, handlers: SocketHandlers): Socket;
  /** As the Fetch API's `fetch`. */
  fetch(url: string, init: RequestInit): Promise<Response>;
  /** As `navigator.sendBeacon`: sends a body of plain text even if the page closes. False if the browser takes no more. */
  sendBeacon(url: string, body: Uint8Array<ArrayBuffer>): boolean;
  /** Calls back when the page is hidden or shown again, and when it closes. Returns a function that ends it. */
  observePage(listener: (change: PageChange) => void): () => void;
  /** The browser's family ("chromium", "firefox", "safari") and its major version; empty and 0 if unknown. */
  browser(): Browser;
  createPeer(configuration: RTCConfiguration): PeerConnection;
  createStream(tracks: readonly MediaStreamTrack[]): MediaStream;
  /** An audio element that is not in the document. */
  createAudioElement(): HTMLAudioElement;
  /** Calls the listener with the element's view, now and on every change. Returns a function that ends it. */
  observeElement(element: HTMLElement, listener: (view: ElementView) => void): () => void;
  /** Null in insecure contexts, which have no devices. */
  devices(): DeviceAccess | null;
  /** The codecs that this browser can send. */
  sendableCodecs(kind: TrackKind): readonly (NamedCodec & RTCRtpCodec)[];
  /** Whether hardware encodes this codec; false if unknown. */
  encodesInHardware(mimeType: string, width: number, height: number, framesPerSecond: number): Promise<boolean>;
}
