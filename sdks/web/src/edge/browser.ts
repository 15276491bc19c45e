/** The platform of a real page. */
import { ElementViews } from "./element_view.js";
import type { Platform, Socket, SocketHandlers } from "./platform.js";

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

const elementViews = new ElementViews(setTimer);

/** @internal */
export const browserPlatform: Platform = {
  // Monotonic, and independent of adjustments of the system clock (High Resolution Time, section 4).
  monotonicMs: () => performance.now(),
  setTimer,
  // "null" is the origin of opaque documents (HTML, serialisation of an origin).
  pageOrigin: () => (typeof location === "undefined" || location.origin === "null" ? null : location.origin),
  openSocket,
  fetch: (url, init) => fetch(url, init),
  createPeer: (configuration) => new RTCPeerConnection(configuration),
  createStream: (tracks) => new MediaStream([...tracks]),
  createAudioElement: () => document.createElement("audio"),
  observeElement: (element, listener) => elementViews.observe(element, listener),
  devices: () => (typeof navigator === "undefined" ? null : mediaDevices(navigator)),
  sendableCodecs: (kind) => RTCRtpSender.getCapabilities(kind)?.codecs ?? [],
  encodesInHardware,
};
