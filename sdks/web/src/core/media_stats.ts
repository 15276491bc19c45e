/**
 * Computes stats for each section from the browser's counters (W3C webrtc-stats): rates over the interval between two
 * reports, not since the connection began.
 */
import type { Codec, Mid, TrackKind } from "./model.js";
import { qualityOf, type Quality } from "./quality.js";
import { audioScore, videoScore, type VideoCounters } from "./scores.js";

/** An entry of an `RTCStatsReport`. Its members depend on its type and on the browser. */
export type StatsEntry = Readonly<Record<string, unknown>>;
export type StatsReport = ReadonlyMap<string, StatsEntry>;

/** One encoding of a published track, over the interval since the last `getStats()`. */
export interface EncodingStats {
  /** The RID of a simulcast encoding, else empty. */
  readonly rid: string;
  readonly width: number;
  readonly height: number;
  readonly framesPerSecond: number;
  readonly bitrateBps: number;
  /** False while no subscriber uses it. */
  readonly active: boolean;
  /** The mode of a scalable encoding (W3C webrtc-svc), else empty. */
  readonly scalabilityMode: string;
}

/** Stats of one track, over the interval since the last `getStats()`. */
export interface MediaStats {
  readonly direction: "sent" | "received";
  readonly kind: TrackKind;
  readonly codec: Codec;
  readonly bitrateBps: number;
  /** Fraction of packets lost, 0 to 1. */
  readonly lossRatio: number;
  readonly jitterMs: number;
  readonly rttMs: number;
  /** 0 for audio, as are width and height. */
  readonly framesPerSecond: number;
  readonly width: number;
  readonly height: number;
  /** Null while nothing is sent or played, and in the first report. */
  readonly quality: Quality | null;
  /** The encodings of sent video, smallest first; empty for audio and for received video. */
  readonly encodings: readonly EncodingStats[];
}

const NO_ENTRY: StatsEntry = {};

export function summariseStats(report: StatsReport, previous: StatsReport | null): ReadonlyMap<Mid, MediaStats> {
  const rttMs = pathRttMs(report);
  const summary = new Map<Mid, MediaStats>();
  for (const [id, entry] of report) {
    const mid = entry["mid"];
    if (typeof mid !== "string") continue;
    const before = previous?.get(id) ?? NO_ENTRY;
    if (entry["type"] === "inbound-rtp") summary.set(mid as Mid, received(report, entry, before, rttMs));
    if (entry["type"] === "outbound-rtp") {
      const stats = sent(report, previous, entry, before, rttMs);
      const layer = summary.get(mid as Mid);
      // Several encodings of one section (simulcast) are one track.
      summary.set(mid as Mid, layer === undefined ? stats : addLayer(layer, stats));
    }
  }
  return summary;
}

/** Round-trip time of the selected candidate pair; 0 while unknown. */
export const pathRttMs = (report: StatsReport): number => number(selectedPair(report), "currentRoundTripTime") * 1000;

/** The browser's estimate of its uplink; 0 while unknown. */
export const uplinkEstimateBps = (report: StatsReport): number => number(selectedPair(report), "availableOutgoingBitrate");

/** The selected candidate pair: named by the transport, or marked by Firefox; an entry without members if there is none. */
export function selectedPair(report: StatsReport): StatsEntry {
  let marked = NO_ENTRY;
  for (const entry of report.values()) {
    const chosen = report.get(entry["selectedCandidatePairId"] as string);
    if (entry["type"] === "transport" && chosen !== undefined) return chosen;
    if (entry["type"] !== "candidate-pair" || entry["state"] !== "succeeded") continue;
    if (entry["selected"] === true || (marked === NO_ENTRY && entry["nominated"] === true)) marked = entry;
  }
  return marked;
}

function received(report: StatsReport, entry: StatsEntry, before: StatsEntry, rttMs: number): MediaStats {
  const lost = Math.max(0, grown(entry, before, "packetsLost"));
  const seconds = elapsedSeconds(entry, before);
  const jitterMs = number(entry, "jitter") * 1000;
  const lossRatio = share(lost, lost + grown(entry, before, "packetsReceived"));
  const described = shape(report, entry, "received");
  const emitted = grown(entry, before, "jitterBufferEmittedCount");
  const bufferMs = emitted > 0 ? (1000 * grown(entry, before, "jitterBufferDelay")) / emitted : 2 * jitterMs;
  const arrived = grown(entry, before, "packetsReceived") > 0;
  const score =
    described.kind === "audio"
      ? audioScore({
          samples: grown(entry, before, "totalSamplesReceived"),
          // A slot without packets plays concealment all the time.
          concealedSamples: arrived ? grown(entry, before, "concealedSamples") - grown(entry, before, "silentConcealedSamples") : 0,
          concealmentEvents: grown(entry, before, "concealmentEvents"),
          redundant: grown(entry, before, "fecPacketsReceived") > 0,
          delayMs: rttMs / 2 + bufferMs,
        })
      : videoScore({
          ...picturesOf(described, entry, before, seconds),
          bytes: grown(entry, before, "bytesReceived"),
          frames: grown(entry, before, "framesDecoded"),
          lossRatio,
          framesDropped: grown(entry, before, "framesDropped"),
          freezeMs: 1000 * grown(entry, before, "totalFreezesDuration"),
        });
  return {
    ...described,
    bitrateBps: 8 * rate(grown(entry, before, "bytesReceived"), seconds),
    framesPerSecond: rate(grown(entry, before, "framesDecoded"), seconds),
    lossRatio,
    jitterMs,
    rttMs,
    quality: qualityOf(before === NO_ENTRY || !arrived ? null : score),
    encodings: [],
  };
}

function sent(
  report: StatsReport,
  previous: StatsReport | null,
  entry: StatsEntry,
  before: StatsEntry,
  rttMs: number,
): MediaStats {
  const remoteId = entry["remoteId"];
  const remote = typeof remoteId === "string" ? (report.get(remoteId) ?? NO_ENTRY) : NO_ENTRY;
  const remoteBefore = typeof remoteId === "string" ? (previous?.get(remoteId) ?? NO_ENTRY) : NO_ENTRY;
  const seconds = elapsedSeconds(entry, before);
  // RTCP's lost count may shrink when late packets arrive (RFC 3550 section 6.4.1).
  const lost = Math.max(0, grown(remote, remoteBefore, "packetsLost"));
  const lossRatio = share(lost, Math.max(lost, grown(entry, before, "packetsSent")));
  const jitterMs = number(remote, "jitter") * 1000;
  const rates = {
    bitrateBps: 8 * rate(grown(entry, before, "bytesSent"), seconds),
    framesPerSecond: rate(grown(entry, before, "framesEncoded"), seconds),
  };
  const described = shape(report, entry, "sent");
  const { width, height } = described;
  const encoding: EncodingStats = {
    rid: text(entry, "rid"),
    width,
    height,
    ...rates,
    active: entry["active"] !== false,
    scalabilityMode: text(entry, "scalabilityMode"),
  };
  // The sender does not know what is played: a lost packet of audio counts as one that was concealed.
  const packets = grown(entry, before, "packetsSent");
  const score =
    described.kind === "audio"
      ? audioScore({
          ...{ samples: packets, concealedSamples: packets * lossRatio, concealmentEvents: packets * lossRatio },
          ...{ redundant: false, delayMs: rttMs / 2 + 2 * jitterMs },
        })
      : videoScore({
          ...picturesOf(described, entry, before, seconds),
          bytes: grown(entry, before, "bytesSent"),
          frames: grown(entry, before, "framesEncoded"),
          ...{ lossRatio, framesDropped: 0, freezeMs: 0 },
        });
  return {
    ...described,
    ...rates,
    lossRatio,
    jitterMs,
    rttMs,
    quality: qualityOf(before === NO_ENTRY || packets === 0 ? null : score),
    encodings: described.kind === "video" ? [encoding] : [],
  };
}

/** The part of a video's counters that is the same in both directions. Its size is not compared with an element's here. */
function picturesOf(
  { codec, width, height }: Pick<MediaStats, "codec" | "width" | "height">,
  entry: StatsEntry,
  before: StatsEntry,
  seconds: number,
): Pick<VideoCounters, "codec" | "width" | "height" | "intervalMs" | "quantizer" | "shownWidth" | "shownHeight"> {
  const frames = grown(entry, before, "framesDecoded") + grown(entry, before, "framesEncoded");
  const quantizer = typeof entry["qpSum"] === "number" && frames > 0 ? grown(entry, before, "qpSum") / frames : null;
  return { codec, width, height, intervalMs: 1000 * seconds, quantizer, shownWidth: 0, shownHeight: 0 };
}

function shape(
  report: StatsReport,
  entry: StatsEntry,
  direction: MediaStats["direction"],
): Pick<MediaStats, "direction" | "kind" | "codec" | "width" | "height"> {
  return {
    direction,
    kind: entry["kind"] === "video" ? "video" : "audio",
    codec: codecOf(report, entry),
    width: number(entry, "frameWidth"),
    height: number(entry, "frameHeight"),
  };
}

function addLayer(a: MediaStats, b: MediaStats): MediaStats {
  // The largest encoding with frames has the size of the track. A paused encoding keeps its size in the report.
  const size = ({ width, height, framesPerSecond }: MediaStats): number => width * height * (framesPerSecond > 0 ? 2 ** 32 : 1);
  const larger = size(a) >= size(b) ? a : b;
  const encodings = [...a.encodings, ...b.encodings].sort((one, other) => one.width - other.width);
  return { ...larger, bitrateBps: a.bitrateBps + b.bitrateBps, encodings };
}

const CODECS: readonly Codec[] = ["opus", "vp8", "vp9", "h264", "av1"];

/** The codec that an entry names; "unknown" if it names none. */
export function codecOf(report: StatsReport, entry: StatsEntry): Codec {
  const codecId = entry["codecId"];
  const mimeType = typeof codecId === "string" ? report.get(codecId)?.["mimeType"] : undefined;
  const name = typeof mimeType === "string" ? mimeType.split("/")[1]?.toLowerCase() : undefined;
  return CODECS.find((codec) => codec === name) ?? "unknown";
}

function number(entry: StatsEntry, name: string): number {
  const value = entry[name];
  return typeof value === "number" && Number.isFinite(value) ? value : 0;
}

function text(entry: StatsEntry, name: string): string {
  const value = entry[name];
  return typeof value === "string" ? value : "";
}

const grown = (entry: StatsEntry, before: StatsEntry, name: string): number =>
  number(entry, name) - number(before, name);

function elapsedSeconds(entry: StatsEntry, before: StatsEntry): number {
  return before === NO_ENTRY ? 0 : grown(entry, before, "timestamp") / 1000;
}

const rate = (amount: number, seconds: number): number => (seconds > 0 ? Math.max(0, amount) / seconds : 0);
const share = (part: number, whole: number): number => (whole > 0 ? part / whole : 0);
