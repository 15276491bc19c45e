/** Samples of telemetry, computed from reports that Chromium and Firefox returned. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { encodeBinary } from "../wire/binary.js";
import { CandidateType, PathProtocol, QualityLimitation, TrackState } from "../wire/schema.gen.js";
import { tableOf } from "../wire/table.js";
import type { StatsEntry, StatsReport } from "./media_stats.js";
import type { Mid, TrackId } from "./model.js";
import { measure, NOT_MEASURED, type Measured, type MeasuredTrack, type Measurement } from "./telemetry.js";
import { TelemetryOutbox } from "./telemetry_outbox.js";

type Side = "sender" | "receiver";
const recorded = (browser: string, side: Side): StatsReport[] => {
  const path = fileURLToPath(new URL(`../../test/recorded/${browser}.json`, import.meta.url));
  const reports = JSON.parse(readFileSync(path, "utf8")) as Record<Side, readonly (readonly StatsEntry[])[]>;
  return reports[side].map(reportOf);
};
const reportOf = (entries: readonly StatsEntry[]): StatsReport => new Map(entries.map((entry) => [entry["id"] as string, entry]));
const entryOf = (report: StatsReport | undefined, type: string, kind: string): StatsEntry =>
  [...(report?.values() ?? [])].find((one) => one["type"] === type && one["kind"] === kind) ?? {};

const VIEW = { elementWidth: 640, elementHeight: 368, layerHeights: [90, 180, 360] };
const trackOf = (entry: StatsEntry, id: string, more: Partial<MeasuredTrack> = {}): MeasuredTrack => ({
  ...{ id: id as TrackId, mid: entry["mid"] as Mid, sent: false, codec: "unknown", source: "camera" },
  ...{ condition: "UNSPECIFIED", rids: [], view: VIEW, ...more },
});
const tracksOf = (report: StatsReport | undefined, sent: boolean): MeasuredTrack[] =>
  ["audio", "video"].map((kind) => trackOf(entryOf(report, sent ? "outbound-rtp" : "inbound-rtp", kind), `TR_${kind}`, { sent }));

function samples(reports: readonly StatsReport[], tracks: readonly MeasuredTrack[], levels = true): Measured[] {
  let before: Measurement = NOT_MEASURED;
  return reports.map((report, index) => {
    const measured = measure({ report, atMs: 1000 * (index + 1), tracks, before, levels });
    before = measured.next;
    return measured;
  });
}

const isAbsent = (measured: Measured | undefined, id: string, message: string, field: string): boolean => {
  const series = measured?.series.find((one) => one.trackId === id);
  const number = tableOf(message).find(([, name]) => name === field)?.[0] ?? 0;
  return ((Number(series?.absent ?? 0n) >> number) & 1) === 1;
};

describe.each(["chromium", "firefox"])("a received call (%s)", (browser) => {
  const reports = recorded(browser, "receiver");
  const measured = samples(reports, tracksOf(reports.at(-1), false));
  const last = reports.at(-1);

  it("adds up to the counters of the last report", () => {
    const total = (kind: "receivedAudio" | "receivedVideo", field: string): number =>
      measured.reduce((sum, { sample }) => sum + (((sample[kind]?.[0] ?? {}) as Record<string, number>)[field] ?? 0), 0);
    const [audio, video] = [entryOf(last, "inbound-rtp", "audio"), entryOf(last, "inbound-rtp", "video")];
    expect(total("receivedAudio", "packets")).toBe(audio["packetsReceived"]);
    expect(total("receivedAudio", "bytes")).toBe(audio["bytesReceived"]);
    expect(total("receivedAudio", "samples")).toBe(audio["totalSamplesReceived"]);
    expect(total("receivedVideo", "packets")).toBe(video["packetsReceived"]);
    expect(total("receivedVideo", "framesDecoded")).toBe(video["framesDecoded"]);
    expect(total("receivedVideo", "keyframes")).toBe(video["keyFramesDecoded"]);
    expect(total("receivedVideo", "interframeMs")).toBe(Math.round(1000 * (video["totalInterFrameDelay"] as number)));
    expect(total("receivedVideo", "freezes")).toBe(video["freezeCount"]);
  });

  it("names what the browser does not count", () => {
    const newest = measured.at(-1);
    expect(isAbsent(newest, "TR_video", "ReceivedVideo", "qpSum")).toBe(browser === "firefox");
    expect(isAbsent(newest, "TR_video", "ReceivedVideo", "freezes")).toBe(false);
    expect(isAbsent(newest, "TR_audio", "ReceivedAudio", "fecPackets")).toBe(false);
    expect(newest?.sample.receivedVideo?.[0]?.freezesDerived).toBeUndefined();
  });

  it("has path, sizes and the layer that is received", () => {
    const newest = measured.at(-1);
    expect(newest?.sample.intervalMs).toBe(1000);
    expect(newest?.sample.path).toMatchObject({ localType: CandidateType.HOST, protocol: PathProtocol.UDP });
    expect(newest?.sample.path?.bytesReceived).toBeGreaterThan(1000);
    expect(newest?.sample.path?.networkChanged).toBe(false);
    const series = newest?.series.find((one) => one.trackId === "TR_video");
    // Firefox had scaled the picture down.
    const layer = browser === "firefox" ? { width: 480, height: 270 } : { width: 640, height: 360, receivedSpatial: 2 };
    expect(series).toMatchObject({ ...layer, elementWidth: 640, elementHeight: 368 });
    expect(series?.receivedSpatial === undefined).toBe(browser === "firefox");
  });

  it("measures levels only where that is allowed", () => {
    expect(measured.at(-1)?.sample.receivedAudio?.[0]?.level).toBeGreaterThanOrEqual(0);
    expect(samples(reports, tracksOf(reports.at(-1), false), false).at(-1)?.sample.receivedAudio?.[0]?.level).toBeUndefined();
  });
});

describe.each(["chromium", "firefox"])("a sent call (%s)", (browser) => {
  const reports = recorded(browser, "sender");
  const measured = samples(reports, tracksOf(reports.at(-1), true));

  it("adds up to the counters of the last report", () => {
    const video = entryOf(reports.at(-1), "outbound-rtp", "video");
    const sent = measured.flatMap(({ sample }) => sample.sentVideo?.[0]?.encodings ?? []);
    expect(sent.reduce((sum, { packets = 0 }) => sum + packets, 0)).toBe(video["packetsSent"]);
    expect(sent.reduce((sum, { framesEncoded = 0 }) => sum + framesEncoded, 0)).toBe(video["framesEncoded"]);
  });

  it("leaves out what the browser does not have", () => {
    const newest = measured.at(-1)?.sample;
    const firefox = browser === "firefox";
    const [encoding] = newest?.sentVideo?.[0]?.encodings ?? [];
    expect(encoding?.limitation).toBe(firefox ? QualityLimitation.UNSPECIFIED : QualityLimitation.NONE);
    expect(encoding?.targetBitrateBps === undefined).toBe(firefox);
    expect(newest?.path?.uplinkEstimateBps === undefined).toBe(firefox);
    expect(newest?.sentAudio?.[0]?.level === undefined).toBe(firefox);
    expect(newest?.path?.rttUs).toBeGreaterThanOrEqual(0);
    expect(isAbsent(measured.at(-1), "TR_video", "SentEncoding", "limitedByCpuMs")).toBe(firefox);
    expect(isAbsent(measured.at(-1), "TR_video", "SentEncoding", "qpSum")).toBe(false);
  });
});

describe("a sample", () => {
  const inbound = (more: StatsEntry): StatsEntry => ({ id: "in", type: "inbound-rtp", mid: "1", kind: "audio", ...more });
  const track = trackOf(inbound({}), "TR_1");
  const second = (one: StatsEntry, other: StatsEntry, tracks: readonly MeasuredTrack[] = [track], first: readonly MeasuredTrack[] = [track]): Measured => {
    const before = measure({ report: reportOf([one]), atMs: 1000, tracks: first, before: NOT_MEASURED, levels: true }).next;
    return measure({ report: reportOf([other]), atMs: 2000, tracks, before, levels: true });
  };

  it("counts concealment only while packets arrive", () => {
    const silent = { packetsReceived: 50, concealedSamples: 100, silentConcealedSamples: 10, concealmentEvents: 1 };
    const unbound = second(inbound(silent), inbound({ ...silent, concealedSamples: 48_100, concealmentEvents: 2 }));
    expect(unbound.sample.receivedAudio?.[0]?.concealedSamples).toBeUndefined();
    expect(unbound.sample.receivedAudio?.[0]?.concealmentEvents).toBeUndefined();
    const lossy = second(inbound(silent), inbound({ ...silent, packetsReceived: 99, concealedSamples: 1_060 }));
    expect(lossy.sample.receivedAudio?.[0]?.concealedSamples).toBe(960);
  });

  it("belongs to the new track when the source of a slot has changed", () => {
    const other = trackOf(inbound({}), "TR_2");
    const switched = second(inbound({ packetsReceived: 50 }), inbound({ packetsReceived: 99 }), [other]);
    expect(switched.series.map(({ trackId }) => trackId)).toEqual(["TR_2"]);
    expect(switched.sample.receivedAudio).toMatchObject([{ packets: 49, switched: true }]);
    expect(second(inbound({}), inbound({ packetsReceived: 1 }), [track], []).sample.receivedAudio?.[0]?.switched).toBeUndefined();
  });

  it("has a negative loss when late packets arrive, and no other negative counter", () => {
    const later = second(inbound({ packetsLost: 5, nackCount: 9 }), inbound({ packetsLost: 3, nackCount: 2 }));
    expect(later.sample.receivedAudio).toMatchObject([{ lost: -2, nacks: 0 }]);
  });

  it("has the root mean square as its level, or the browser's level at present", () => {
    const energy = second(inbound({ totalAudioEnergy: 1, totalSamplesDuration: 1 }), inbound({ totalAudioEnergy: 1.25, totalSamplesDuration: 2, audioLevel: 1 }));
    expect(energy.sample.receivedAudio?.[0]?.level).toBe(16384);
    expect(second(inbound({}), inbound({ audioLevel: 0.25 })).sample.receivedAudio?.[0]?.level).toBe(8192);
    expect(second(inbound({}), inbound({})).sample.receivedAudio?.[0]?.level).toBeUndefined();
  });

  it("says why nothing is played", () => {
    const muted = second(inbound({}), inbound({}), [{ ...track, condition: "MUTED" }]);
    expect(muted.sample.receivedAudio?.[0]?.state).toBe(TrackState.MUTED);
  });

  it("keeps a series until something of it changes, and its number afterwards", () => {
    const one = second(inbound({ packetsReceived: 1 }), inbound({ packetsReceived: 2 }));
    const next = measure({ report: reportOf([inbound({ packetsReceived: 3 })]), atMs: 3000, tracks: [track], before: one.next, levels: true });
    expect(next.series[0]).toBe(one.series[0]);
    const changed = measure({ report: reportOf([inbound({ jitter: 1 })]), atMs: 4000, tracks: [track], before: next.next, levels: true });
    expect(changed.series[0]).not.toBe(one.series[0]);
    expect(changed.series[0]?.number).toBe(one.series[0]?.number);
  });

  it("derives freezes from the times between frames where the browser counts none", () => {
    const video = (times: readonly number[]): StatsEntry => ({
      ...inbound({ kind: "video", framesDecoded: times.length }),
      ...{ totalInterFrameDelay: times.reduce((sum, one) => sum + one, 0), totalSquaredInterFrameDelay: times.reduce((sum, one) => sum + one ** 2, 0) },
    });
    const steady = Array<number>(60).fill(1 / 30);
    const frozen = [...steady.slice(0, 45), 0.5];
    const derived = (times: readonly number[]): Measured => second(video([]), video(times));
    expect(derived(steady).sample.receivedVideo).toMatchObject([{ freezesDerived: true }]);
    expect(derived(steady).sample.receivedVideo?.[0]?.freezes).toBeUndefined();
    expect(derived(frozen).sample.receivedVideo).toMatchObject([{ freezes: 1, freezeMs: 500, freezesDerived: true }]);
    expect(isAbsent(second(inbound({ kind: "video" }), inbound({ kind: "video" })), "TR_1", "ReceivedVideo", "freezes")).toBe(true);
  });

  it("has at most 64 tracks, each with its own number", () => {
    const many = Array.from({ length: 70 }, (_, index) => trackOf(inbound({}), `TR_${index}`));
    const measured = measure({ report: reportOf([inbound({})]), atMs: 1000, tracks: many, before: NOT_MEASURED, levels: true });
    expect(new Set(measured.series.map(({ number }) => number)).size).toBe(64);
    expect(Math.max(...measured.series.map(({ number = 0 }) => number))).toBe(64);
  });
});

describe("the wire", () => {
  /** Chromium's recorded call as one with 8 tracks: microphone, three encodings of a camera, and three others. */
  function eightTracks(): readonly number[] {
    const [sent, received] = [recorded("chromium", "sender"), recorded("chromium", "receiver")];
    const rids = ["q", "h", "f"];
    const reports = sent.map((report, index) => {
      const entries: StatsEntry[] = [...report.values()].filter((one) => one["type"] !== "outbound-rtp" || one["kind"] === "audio");
      const camera = entryOf(report, "outbound-rtp", "video");
      for (const rid of rids) entries.push({ ...camera, id: `${camera["id"] as string}${rid}`, rid });
      for (const kind of ["audio", "video"]) {
        const one = entryOf(received[index], "inbound-rtp", kind);
        for (const mid of [10, 20, 30]) entries.push({ ...one, id: `${one["id"] as string}${mid}`, mid: `${kind}${mid}` });
      }
      return reportOf(entries);
    });
    const tracks: MeasuredTrack[] = tracksOf(sent.at(-1), true).map((one) => ({ ...one, rids }));
    for (const kind of ["audio", "video"]) for (const mid of [10, 20, 30]) tracks.push(trackOf({ mid: `${kind}${mid}` }, `TR_${kind}${mid}abcdefghij`));
    const outbox = new TelemetryOutbox();
    return samples(reports, tracks).map(({ sample, series }, index) => {
      const atMs = 3_600_000 + 1000 * index;
      outbox.add({ ...sample, atMs: BigInt(atMs), wallAtMs: 1_700_000_000_000n, events: [] }, series, atMs);
      const value = outbox.unsent()[0];
      return encodeBinary("ClientMessage", { request: { case: "telemetry", value } }).length;
    });
  }

  it("takes at most 400 bytes a second for 8 tracks, once they are declared", () => {
    const sizes = eightTracks();
    expect(sizes).toHaveLength(4);
    expect(Math.max(...sizes.slice(-1))).toBeLessThanOrEqual(400);
  });
});
