/**
 * What the SDK needs of its surroundings: clock, timers, WebSocket, RTCPeerConnection, devices, elements.
 *
 * `browser.ts` is the real one; `@nexus-rtc/web/testing` ships a fake, so that applications can be tested without
 * browser, camera or server.
 */
import type { NamedCodec } from "../core/codec_choice.js";
import type { TrackKind } from "../core/model.js";
import type { ElementView } from "./element_view.js";

export interface SocketHandlers {
  readonly onOpen: () => void;
  readonly onFrame: (frame: ArrayBuffer | string) => void;
  /** Called once, also when the socket never opened. */
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

export interface Platform {
  /**
   * Milliseconds on a clock that nobody sets and that never goes back; where it began is of no meaning. All deadlines are
   * on it: a wall clock steps when the system's time is corrected.
   */
  monotonicMs(): number;
  /** Calls back once; what is returned cancels. */
  setTimer(delayMs: number, run: () => void): () => void;
  /** The page's origin, null outside of a page. */
  pageOrigin(): string | null;
  openSocket(url: string, subprotocol: string, handlers: SocketHandlers): Socket;
  createPeer(configuration: RTCConfiguration): PeerConnection;
  createStream(tracks: readonly MediaStreamTrack[]): MediaStream;
  /** An audio element of the SDK's own, not in the document. */
  createAudioElement(): HTMLAudioElement;
  /** Tells how an element is seen, now and whenever that changes; what is returned ends it. */
  observeElement(element: HTMLElement, listener: (view: ElementView) => void): () => void;
  /** Null where there are no devices: insecure contexts. */
  devices(): DeviceAccess | null;
  /** What this browser can send. */
  sendableCodecs(kind: TrackKind): readonly (NamedCodec & RTCRtpCodec)[];
  /** Whether hardware encodes this codec; false when the browser does not say. */
  encodesInHardware(mimeType: string, width: number, height: number, framesPerSecond: number): Promise<boolean>;
}
