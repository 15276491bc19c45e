/** The parts of SDP that a client reads and writes: the mids of sections (RFC 8866, RFC 9143) and audio options. */
import type { Mid } from "./model.js";

/** The `a=mid` of each section, in order. */
export function readMids(sdp: string): Mid[] {
  const sections = sdp.split(/^m=/m).slice(1);
  return sections.map((section) => (/^a=mid:(\S+)/m.exec(section)?.[1] ?? "") as Mid);
}

/** How an audio track is sent. */
export interface AudioOptions {
  /** Redundant audio (RFC 2198). */
  readonly red: boolean;
  /** Discontinuous transmission: almost nothing is sent during silence (RFC 7587 section 3.1.3). */
  readonly dtx: boolean;
}

/**
 * Writes audio options into the offer that the server reads. Browsers have no API for them and follow the answer. The
 * description that the browser applies is not changed, because an answer may always accept less than was offered.
 */
export function applyAudioOptions(sdp: string, options: ReadonlyMap<Mid, AudioOptions>): string {
  const [session = "", ...sections] = sdp.split(/^(?=m=)/m);
  const written = sections.map((section) => {
    const chosen = options.get((/^a=mid:(\S+)/m.exec(section)?.[1] ?? "") as Mid);
    return chosen === undefined ? section : withDtx(chosen.red ? section : withoutRed(section), chosen.dtx);
  });
  return session + written.join("");
}

function withoutRed(section: string): string {
  const payloadType = /^a=rtpmap:(\d+) red\/48000/im.exec(section)?.[1];
  if (payloadType === undefined) return section;
  return section
    .replace(new RegExp(`^(m=audio .*?) ${payloadType}(?= |\\r|$)`, "m"), "$1")
    .replace(new RegExp(`^a=(?:rtpmap|fmtp|rtcp-fb):${payloadType} .*\\r?\\n`, "gm"), "");
}

function withDtx(section: string, dtx: boolean): string {
  const payloadType = /^a=rtpmap:(\d+) opus\/48000/im.exec(section)?.[1];
  if (!dtx || payloadType === undefined || section.includes("usedtx=")) return section;
  return section.replace(new RegExp(`^(a=fmtp:${payloadType} [^\\r\\n]*)`, "m"), "$1;usedtx=1");
}
