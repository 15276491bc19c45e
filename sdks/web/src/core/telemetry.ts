/**
 * Computes samples of telemetry from two reports of the browser (W3C webrtc-stats): counters as deltas, and absent for what
 * the browser does not have. `media_stats.ts` reads the same reports for display.
 *
 * A sum in seconds is rounded before it is subtracted, so that rounding errors do not add up over a call.
 */
import { codecOf, selectedPair, type StatsEntry, type StatsReport } from "./media_stats.js";
import type { Codec, Mid, TrackId, TrackSource } from "./model.js";
import { writeCodec, writeSource } from "./vocabulary.js";
import type { WireEncodingSeries, WirePathSample, WireSample, WireSeries } from "../wire/messages.js";
import { tableOf } from "../wire/table.js";
import { CandidateType, PathProtocol, QualityLimitation, TrackState } from "../wire/schema.gen.js";

/** Maximum number of tracks in a sample; the server drops the others. */
const MAX_TRACKS = 64;

/** Why nothing is sent or played of a track on purpose. */
export type TrackCondition = keyof typeof TrackState;

/** A track that is sent or played, as the room knows it. */
export interface MeasuredTrack {
  readonly id: TrackId;
  readonly mid: Mid;
  readonly sent: boolean;
  readonly codec: Codec;
  readonly source: TrackSource;
  readonly condition: TrackCondition;
  /** The RIDs of a simulcast, low to high. */
  readonly rids: readonly string[];
  /** The view of received video. */
  readonly view: SeriesView;
}

/** How the page shows a track, and the height of its layers, low to high. */
export interface SeriesView {
  readonly elementWidth: number;
  readonly elementHeight: number;
  readonly requestedSpatial?: number | undefined;
  readonly requestedTemporal?: number | undefined;
  readonly layerHeights: readonly number[];
}

/** The state that one measurement leaves for the next one. */
export interface Measurement {
  readonly report: StatsReport;
  readonly atMs: number;
  /** The track that each slot played last. */
  readonly played: ReadonlyMap<Mid, TrackId>;
  readonly series: ReadonlyMap<string, WireSeries>;
  readonly pair: string;
}

export const NOT_MEASURED: Measurement = { report: new Map(), atMs: 0, played: new Map(), series: new Map(), pair: "" };

/** A sample without number, time and events, and the series that it uses. */
export interface Measured {
  readonly sample: WireSample;
  readonly series: readonly WireSeries[];
  readonly next: Measurement;
}

export interface MeasureOptions {
  readonly report: StatsReport;
  readonly atMs: number;
  readonly tracks: readonly MeasuredTrack[];
  readonly before: Measurement;
  /** Whether audio levels are measured. */
  readonly levels: boolean;
}

// Counters, with commas between them: the field of the sample, the member of the browser's entry, and the factor between
// their units, if it is not 1.

const RTP_IN =
  "packets packetsReceived,bytes bytesReceived,lost packetsLost,discarded packetsDiscarded,nacks nackCount," +
  "retransmittedPackets retransmittedPacketsReceived,retransmittedBytes retransmittedBytesReceived," +
  "fecPackets fecPacketsReceived";
const CONCEALMENT =
  "concealedSamples concealedSamples,silentConcealedSamples silentConcealedSamples," +
  "concealmentEvents concealmentEvents";
const AUDIO_IN =
  `${RTP_IN},samples totalSamplesReceived,removedSamples removedSamplesForAcceleration,` +
  "insertedSamples insertedSamplesForDeceleration,fecDiscarded fecPacketsDiscarded";
const FREEZES =
  "freezes freezeCount,freezeMs totalFreezesDuration 1e3";
const VIDEO_IN =
  `${RTP_IN},framesReceived framesReceived,framesDecoded framesDecoded,framesDropped framesDropped,` +
  "keyframes keyFramesDecoded,qpSum qpSum,decodeTimeMs totalDecodeTime 1e3," +
  "interframeMs totalInterFrameDelay 1e3,interframeMs2 totalSquaredInterFrameDelay 1e6,pauses pauseCount," +
  "pauseMs totalPausesDuration 1e3,plis pliCount,firs firCount";
const RTP_OUT =
  "packets packetsSent,bytes bytesSent,nacks nackCount,retransmittedPackets retransmittedPacketsSent," +
  "retransmittedBytes retransmittedBytesSent";
const VIDEO_OUT =
  `${RTP_OUT},framesEncoded framesEncoded,framesSent framesSent,keyframes keyFramesEncoded,qpSum qpSum,` +
  "encodeTimeMs totalEncodeTime 1e3,plis pliCount,firs firCount,sendDelayMs totalPacketSendDelay 1e3";
const REMOTE = "lost packetsLost";
const LIMITED = "limitedByCpuMs cpu 1e3,limitedByBandwidthMs bandwidth 1e3,limitedByOtherMs other 1e3";

type Figures = Record<string, number | boolean>;
interface Counted {
  readonly figures: Figures;
  absent: number;
}

const NO_ENTRY: StatsEntry = {};

export function measure({ report, atMs, tracks, before, levels }: MeasureOptions): Measured {
  const [inbound, outbound] = byMid(report);
  const played = new Map(before.played);
  const series = new Map<string, WireSeries>();
  const lists = { sentAudio: [] as object[], sentVideo: [] as object[], receivedAudio: [] as object[], receivedVideo: [] as object[] };
  // Tracks keep their series, and the others get the numbers that are left.
  const measured = tracks.slice(0, MAX_TRACKS).map((track) => ({ track, key: `${track.sent ? "s" : "r"}${track.id}` }));
  const kept = new Set(measured.flatMap(({ key }) => before.series.get(key)?.number ?? []));
  let free = 0;
  for (const { track, key } of measured) {
    const entries = track.sent ? (outbound.get(track.mid) ?? []) : [inbound.get(track.mid) ?? NO_ENTRY];
    const [first] = entries;
    if (first === undefined || first === NO_ENTRY) continue;
    const known = before.series.get(key);
    if (known === undefined) do free += 1; while (kept.has(free));
    const number = known?.number ?? free;
    const audio = first["kind"] === "audio";
    const old = (entry: StatsEntry): StatsEntry => before.report.get(entry["id"] as string) ?? NO_ENTRY;
    const base = { series: number, state: TrackState[track.condition] };
    let absent: number;
    let described: Partial<WireSeries> = {};
    if (!track.sent) {
      const last = played.get(track.mid);
      const { figures, absent: lacking } = audio ? receivedAudio(first, old(first), levels) : receivedVideo(first, old(first));
      absent = lacking;
      if (last !== undefined && last !== track.id) figures["switched"] = true;
      played.set(track.mid, track.id);
      (audio ? lists.receivedAudio : lists.receivedVideo).push({ ...base, ...figures });
      if (!audio) described = shown(first, track.view);
    } else if (audio) {
      const { figures, absent: lacking } = sentAudio(report, before.report, first, levels);
      absent = lacking;
      lists.sentAudio.push({ ...base, ...figures });
    } else {
      const sent = sentVideo(report, before.report, entries, track.rids);
      absent = sent.absent;
      described = { encodings: sent.encodings };
      lists.sentVideo.push({ ...base, ...sent.figures });
    }
    const inUse = codecOf(report, first);
    const current: WireSeries = {
      number,
      trackId: track.id,
      codec: writeCodec(inUse === "unknown" ? track.codec : inUse),
      source: writeSource(track.source),
      absent: BigInt(absent),
      ...described,
    };
    series.set(key, known !== undefined && isSame(known, current) ? known : current);
  }
  const [path, pair] = pathSample(report, before);
  const intervalMs = Math.max(1, Math.round(atMs - before.atMs));
  return {
    sample: { intervalMs, path, ...lists },
    series: [...series.values()],
    next: { report: new Map(report), atMs, played, series, pair },
  };
}

const isSame = (a: unknown, b: unknown): boolean => text(a) === text(b);
const text = (value: unknown): string => JSON.stringify(value, (_key, one: unknown) => (typeof one === "bigint" ? Number(one) : one));

function byMid(report: StatsReport): [ReadonlyMap<string, StatsEntry>, ReadonlyMap<string, StatsEntry[]>] {
  const inbound = new Map<string, StatsEntry>();
  const outbound = new Map<string, StatsEntry[]>();
  for (const entry of report.values()) {
    const mid = entry["mid"] as string;
    if (entry["type"] === "inbound-rtp") inbound.set(mid, entry);
    if (entry["type"] === "outbound-rtp") outbound.set(mid, [...(outbound.get(mid) ?? []), entry]);
  }
  return [inbound, outbound];
}

/** Counts into `counted`; `message` names the sample's message, whose field numbers mark what is absent. */
function count(message: string, counted: Counted, counters: string, entry: StatsEntry, before: StatsEntry): void {
  for (const counter of counters.split(",")) {
    const [field = "", member = "", factor = "1"] = counter.split(" ");
    const unit = Number(factor);
    const now = number(entry, member);
    if (now === undefined) {
      counted.absent += 2 ** (tableOf(message).find(([, name]) => name === field)?.[0] ?? 0);
      continue;
    }
    const grown = Math.round(now * unit) - Math.round((number(before, member) ?? 0) * unit);
    // Only a lost packet can turn out not to be one; another counter that shrinks has started again.
    counted.figures[field] = grown < 0 && field !== "lost" ? 0 : grown;
  }
}

function gauge(figures: Figures, field: string, value: number | undefined): void {
  if (value !== undefined && Number.isFinite(value) && value >= 0) figures[field] = Math.round(value);
}

/** The value of an enum that the browser names in lower case; 0 for other names. */
export const named = (values: Readonly<Record<string, number>>, name: unknown): number => values[String(name).toUpperCase()] ?? 0;

const number = (entry: StatsEntry, name: string): number | undefined => {
  const value = entry[name];
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
};
const seconds = (entry: StatsEntry, name: string, factor: number): number | undefined => {
  const value = number(entry, name);
  return value === undefined ? undefined : value * factor;
};

/** The quotient of what two sums grew by; undefined where one is missing or nothing was added. */
function mean(entry: StatsEntry, before: StatsEntry, sum: string, count: string): number | undefined {
  const amount = (number(entry, sum) ?? NaN) - (number(before, sum) ?? 0);
  const items = (number(entry, count) ?? 0) - (number(before, count) ?? 0);
  return items > 0 ? amount / items : undefined;
}

function level(entry: StatsEntry, before: StatsEntry): number | undefined {
  const power = mean(entry, before, "totalAudioEnergy", "totalSamplesDuration");
  const amplitude = power === undefined ? number(entry, "audioLevel") : Math.sqrt(power);
  return amplitude === undefined ? undefined : 32767 * Math.min(1, amplitude);
}

function jitterBuffer(figures: Figures, entry: StatsEntry, before: StatsEntry): void {
  const delay = (sum: string): number | undefined => {
    const value = mean(entry, before, sum, "jitterBufferEmittedCount");
    return value === undefined ? undefined : value * 1e3;
  };
  gauge(figures, "jitterBufferDelayMs", delay("jitterBufferDelay"));
  gauge(figures, "jitterBufferTargetMs", delay("jitterBufferTargetDelay"));
}

function receivedAudio(entry: StatsEntry, before: StatsEntry, levels: boolean): Counted {
  const counted: Counted = { figures: {}, absent: 0 };
  const { figures } = counted;
  count("ReceivedAudio", counted, AUDIO_IN, entry, before);
  const concealment: Counted = { figures: {}, absent: 0 };
  count("ReceivedAudio", concealment, CONCEALMENT, entry, before);
  counted.absent += concealment.absent;
  // A slot without packets plays concealment all the time: it was unbound, or the sender is silent (DTX).
  if (figures["packets"] !== 0) Object.assign(figures, concealment.figures);
  gauge(figures, "jitterUs", seconds(entry, "jitter", 1e6));
  jitterBuffer(figures, entry, before);
  if (levels) gauge(figures, "level", level(entry, before));
  return counted;
}

function receivedVideo(entry: StatsEntry, before: StatsEntry): Counted {
  const counted: Counted = { figures: {}, absent: 0 };
  count("ReceivedVideo", counted, VIDEO_IN, entry, before);
  gauge(counted.figures, "jitterUs", seconds(entry, "jitter", 1e6));
  jitterBuffer(counted.figures, entry, before);
  const derived = number(entry, "freezeCount") === undefined && deriveFreezes(counted.figures);
  if (!derived) count("ReceivedVideo", counted, FREEZES, entry, before);
  return counted;
}

/**
 * Derives one freeze of the interval from the sums over the times between frames. If all times but the longest are about
 * the same, n times with the sum S and the sum of squares Q have the longest time S/n + sqrt((Q − S²/n)·(n − 1)/n). False
 * if the browser has no such sums.
 */
function deriveFreezes(figures: Figures): boolean {
  const { interframeMs: sum, interframeMs2: squares, framesDecoded: frames } = figures;
  if (typeof sum !== "number" || typeof squares !== "number" || typeof frames !== "number") return false;
  figures["freezesDerived"] = true;
  if (frames < 2) return true;
  const longest = sum / frames + Math.sqrt((Math.max(0, squares - sum ** 2 / frames) * (frames - 1)) / frames);
  const others = (sum - longest) / (frames - 1);
  // W3C webrtc-stats, freezeCount.
  if (longest < Math.max(3 * others, others + 150)) return true;
  figures["freezes"] = 1;
  figures["freezeMs"] = Math.round(longest);
  return true;
}

function shown(entry: StatsEntry, view: SeriesView): Partial<WireSeries> {
  const { layerHeights, ...rest } = view;
  const height = number(entry, "frameHeight") ?? 0;
  const spatial = layerHeights.indexOf(height);
  return {
    ...rest,
    width: number(entry, "frameWidth") ?? 0,
    height,
    ...(height > 0 && spatial >= 0 ? { receivedSpatial: spatial } : {}),
  };
}

function remote(message: string, counted: Counted, report: StatsReport, before: StatsReport, entry: StatsEntry): void {
  const id = entry["remoteId"] as string;
  const heard = report.get(id) ?? NO_ENTRY;
  count(message, counted, REMOTE, heard, before.get(id) ?? NO_ENTRY);
  gauge(counted.figures, "jitterUs", seconds(heard, "jitter", 1e6));
  gauge(counted.figures, "targetBitrateBps", number(entry, "targetBitrate"));
}

function sentAudio(report: StatsReport, before: StatsReport, entry: StatsEntry, levels: boolean): Counted {
  const counted: Counted = { figures: {}, absent: 0 };
  count("SentAudio", counted, RTP_OUT, entry, before.get(entry["id"] as string) ?? NO_ENTRY);
  remote("SentAudio", counted, report, before, entry);
  const source = entry["mediaSourceId"] as string;
  if (levels) gauge(counted.figures, "level", level(report.get(source) ?? NO_ENTRY, before.get(source) ?? NO_ENTRY));
  return counted;
}

interface SentVideoFigures {
  readonly figures: object;
  readonly absent: number;
  readonly encodings: readonly WireEncodingSeries[];
}

function sentVideo(report: StatsReport, before: StatsReport, entries: readonly StatsEntry[], rids: readonly string[]): SentVideoFigures {
  const index = (entry: StatsEntry): number => Math.max(0, rids.indexOf(entry["rid"] as string));
  const sent: object[] = [];
  const encodings: WireEncodingSeries[] = rids.length === 0 ? [{}] : rids.map((rid) => ({ rid }));
  let absent = 0;
  for (const entry of entries) {
    const old = before.get(entry["id"] as string) ?? NO_ENTRY;
    const place = index(entry);
    encodings[place] = {
      rid: (entry["rid"] as string | undefined) ?? "",
      width: number(entry, "frameWidth") ?? 0,
      height: number(entry, "frameHeight") ?? 0,
      scalabilityMode: (entry["scalabilityMode"] as string | undefined) ?? "",
    };
    const counted: Counted = { figures: {}, absent: 0 };
    const { figures } = counted;
    count("SentEncoding", counted, VIDEO_OUT, entry, old);
    // An encoding without subscribers has no entry.
    if (figures["packets"] === 0 && figures["framesEncoded"] === 0) continue;
    remote("SentEncoding", counted, report, before, entry);
    figures["limitation"] = named(QualityLimitation, entry["qualityLimitationReason"]);
    const [durations, earlier] = [entry, old].map((one) => (one["qualityLimitationDurations"] ?? {}) as StatsEntry);
    count("SentEncoding", counted, LIMITED, durations ?? NO_ENTRY, earlier ?? NO_ENTRY);
    absent |= counted.absent;
    sent.push({ index: place, ...figures });
  }
  const source = entries[0]?.["mediaSourceId"] as string;
  const frames = number(report.get(source) ?? NO_ENTRY, "frames");
  const sourceFrames = frames === undefined ? {} : { sourceFrames: Math.max(0, frames - (number(before.get(source) ?? NO_ENTRY, "frames") ?? 0)) };
  return { figures: { encodings: sent, ...sourceFrames }, absent, encodings };
}

function pathSample(report: StatsReport, before: Measurement): [WirePathSample, string] {
  const pair = selectedPair(report);
  const id = (pair["id"] as string | undefined) ?? "";
  const figures: Figures = {};
  if (id !== "") {
    const local = report.get(pair["localCandidateId"] as string) ?? NO_ENTRY;
    const counted: Counted = { figures, absent: 0 };
    gauge(figures, "rttUs", seconds(pair, "currentRoundTripTime", 1e6));
    gauge(figures, "uplinkEstimateBps", number(pair, "availableOutgoingBitrate"));
    figures["localType"] = named(CandidateType, local["candidateType"]);
    figures["remoteType"] = named(CandidateType, report.get(pair["remoteCandidateId"] as string)?.["candidateType"]);
    figures["protocol"] = named(PathProtocol, local["relayProtocol"] ?? local["protocol"]);
    const bytes = "bytesSent bytesSent,bytesReceived bytesReceived";
    count("PathSample", counted, bytes, pair, before.report.get(id) ?? NO_ENTRY);
    figures["networkChanged"] = before.pair !== "" && before.pair !== id;
  }
  for (const entry of report.values()) {
    if (entry["type"] !== "media-playout") continue;
    const played = "playoutSynthesizedMs synthesizedSamplesDuration 1e3,playoutMs totalSamplesDuration 1e3";
    count("PathSample", { figures, absent: 0 }, played, entry, before.report.get(entry["id"] as string) ?? NO_ENTRY);
  }
  return [figures, id];
}
