/** The codec to offer first: the one that the caller prefers if this browser can send it, else a default. */
import type { VideoCodec } from "./model.js";

/** Codecs by how many browsers decode them; every browser encodes and decodes VP8. */
const FALLBACK_ORDER: readonly VideoCodec[] = ["vp8", "h264", "vp9", "av1"];

/** The part of an `RTCRtpCodec` that the choice needs. */
export interface NamedCodec {
  readonly mimeType: string;
  readonly sdpFmtpLine?: string;
}

export function chooseCodec(preferred: VideoCodec | undefined, sendable: readonly NamedCodec[]): VideoCodec {
  const can = (codec: VideoCodec): boolean => sendable.some((one) => isCodec(one, codec));
  if (preferred !== undefined && can(preferred)) return preferred;
  return FALLBACK_ORDER.find(can) ?? "vp8";
}

/** The capabilities with the chosen codec first. All others stay, so that the server can fall back. */
export function orderCodecs<Item extends NamedCodec>(codec: VideoCodec, capabilities: readonly Item[]): Item[] {
  const first = capabilities.filter((one) => isCodec(one, codec)).sort((a, b) => fitness(b) - fitness(a));
  return [...first, ...capabilities.filter((one) => !isCodec(one, codec))];
}

const isCodec = (one: NamedCodec, codec: VideoCodec): boolean => one.mimeType.toLowerCase() === `video/${codec}`;

/** H.264: constrained baseline in packetization mode 1 is what every peer decodes (RFC 7742 section 6.2). */
function fitness({ sdpFmtpLine = "" }: NamedCodec): number {
  const mode1 = sdpFmtpLine.includes("packetization-mode=1");
  const baseline = /profile-level-id=42e0/i.test(sdpFmtpLine);
  return (mode1 ? 2 : 0) + (baseline ? 1 : 0);
}
