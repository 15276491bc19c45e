/** The platform of a real page. */
import { ElementViews } from "./element_view.js";
import type { Browser } from "../core/session_state.js";
import type { PageChange, Platform, Socket, SocketHandlers } from "./platform.js";

/** Maximum delay of `setTimeout`, which overflows above it. */
const MAX_DELAY_MS = 2 ** 31 - 1;

function openSocket(url: string, subprotocol: string, handlers: SocketHandlers): Socket {
  const socket = new WebSocket(url, [subprotocol]);
  socket.binaryType = "arraybuffer";
  socket.addEventListener("open", handlers.onOpen);
  socket.addEventListener("message", (event: MessageEvent<ArrayBuffer | string>) => handlers.onFrame(event.data));
  socket.addEventListener("close", (event) => handlers.onClose(event.code));
  return {
    send: (frame) => socket.send(frame),
    // Pages may use only 1000 and 3000 to 4999 (WebSocket.close()).
    close: (code) => socket.close(code === 1000 || code >= 3000 ? code : 1000),
  };
}

async function encodesInHardware(
  mimeType: string,
  width: number,
  height: number,
  framesPerSecond: number,
): Promise<boolean> {
  const video = { contentType: mimeType, width, height, framerate: framesPerSecond, bitrate: 2_000_000 };
  try {
    const answer = await navigator.mediaCapabilities.encodingInfo({ type: "webrtc", video });
    return answer.supported && answer.powerEfficient;
  } catch {
    // The browser does not know the type "webrtc".
    return false;
  }
}

/** Null in insecure contexts (W3C mediacapture-main, section 9), unlike in the types of the DOM. */
const mediaDevices = ({ mediaDevices: found }: { readonly mediaDevices?: MediaDevices }): MediaDevices | null => found ?? null;

function setTimer(delayMs: number, run: () => void): () => void {
  const timer = setTimeout(run, Math.min(Math.max(0, delayMs), MAX_DELAY_MS));
  return () => clearTimeout(timer);
}

function observePage(listener: (change: PageChange) => void): () => void {
  if (typeof document === "undefined") return () => undefined;
  const visibility = (): void => listener(document.hidden ? "hidden" : "shown");
  const closing = (): void => listener("closing");
  document.addEventListener("visibilitychange", visibility);
  // The last event that a page can rely on (Page Lifecycle); it comes also when a phone discards the tab.
  addEventListener("pagehide", closing);
  return () => {
    document.removeEventListener("visibilitychange", visibility);
    removeEventListener("pagehide", closing);
  };
}

const FAMILIES = [
  ["firefox", /Firefox\/(\d+)/],
  ["chromium", /Chrom(?:e|ium)\/(\d+)/],
  ["safari", /Version\/(\d+).*Safari/],
] as const;

/** The only place that reads the user agent, and only for telemetry: no behaviour depends on it. */
function browser(): Browser {
  for (const [family, pattern] of FAMILIES) {
    const version = pattern.exec(typeof navigator === "undefined" ? "" : navigator.userAgent)?.[1];
    if (version !== undefined) return { browser: family, browserVersion: Number(version) };
  }
  return { browser: "", browserVersion: 0 };
}

const elementViews = new ElementViews(setTimer);

/** @internal */
export const browserPlatform: Platform = {
  // Monotonic, and independent of adjustments of the system clock (High Resolution Time, section 4).
  monotonicMs: () => performance.now(),
  // eslint-disable-next-line no-restricted-properties -- a date for the readers of telemetry, and no duration
  wallClockMs: () => Date.now(),
  setTimer,
  // "null" is the origin of opaque documents (HTML, serialisation of an origin).
  pageOrigin: () => (typeof location === "undefined" || location.origin === "null" ? null : location.origin),
  openSocket,
  fetch: (url, init) => fetch(url, init),
  // Plain text needs no preflight (Fetch, CORS-safelisted request headers), for which a closing page has no time.
  sendBeacon: (url, body) => navigator.sendBeacon(url, new Blob([body], { type: "text/plain" })),
  observePage,
  browser,
  createPeer: (configuration) => new RTCPeerConnection(configuration),
  createStream: (tracks) => new MediaStream([...tracks]),
  createAudioElement: () => document.createElement("audio"),
  observeElement: (element, listener) => elementViews.observe(element, listener),
  devices: () => (typeof navigator === "undefined" ? null : mediaDevices(navigator)),
  sendableCodecs: (kind) => RTCRtpSender.getCapabilities(kind)?.codecs ?? [],
  encodesInHardware,
};
