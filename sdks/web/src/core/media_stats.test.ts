/** Stats of tracks, computed from reports of `getStats()` as browsers make them. */
import { describe, expect, it } from "vitest";
import { pathRttMs, summariseStats, uplinkEstimateBps, type StatsEntry, type StatsReport } from "./media_stats.js";
import type { Mid } from "./model.js";

const report = (...entries: readonly StatsEntry[]): StatsReport =>
  new Map(entries.map((entry) => [nameOf(entry), entry]));

const nameOf = ({ type, mid, ssrc }: { readonly type?: unknown; readonly mid?: unknown; readonly ssrc?: unknown }): string =>
  [type, mid, ssrc].filter((part) => typeof part === "string" || typeof part === "number").join("");

const PAIR = { type: "candidate-pair", nominated: true, state: "succeeded", currentRoundTripTime: 0.04 };
const CODEC = { type: "codec", mimeType: "video/VP8" };
const video = (timestamp: number, bytesReceived: number, framesDecoded: number, packetsLost: number, packetsReceived: number): StatsEntry => ({
  ...{ type: "inbound-rtp", mid: "1", kind: "video", codecId: "codec", frameWidth: 640, frameHeight: 360, jitter: 0.005 },
  ...{ timestamp, bytesReceived, framesDecoded, packetsLost, packetsReceived },
});

describe("a received track", () => {
  it("has rates of the interval, not since the beginning", () => {
    const before = report(PAIR, CODEC, video(1000, 10_000, 100, 5, 1000));
    const after = report(PAIR, CODEC, video(3000, 60_000, 150, 10, 1095));
    expect(summariseStats(after, before).get("1" as Mid)).toMatchObject({
      ...{ direction: "received", codec: "vp8", bitrateBps: 200_000, framesPerSecond: 25, lossRatio: 0.05 },
      ...{ jitterMs: 5, rttMs: 40, width: 640, height: 360, quality: { level: "ok" } },
    });
  });

  it("has no rates in the first report", () => {
    expect(summariseStats(report(video(1000, 10_000, 100, 0, 10)), null).get("1" as Mid)).toMatchObject({ bitrateBps: 0, framesPerSecond: 0 });
  });
});

describe("a sent track", () => {
  const sent = (timestamp: number, ssrc: number, bytesSent: number, packetsSent: number): StatsEntry => ({
    ...{ type: "outbound-rtp", mid: "2", kind: "video", remoteId: "remote-inbound-rtp", frameWidth: ssrc },
    ...{ timestamp, ssrc, bytesSent, packetsSent, framesEncoded: 0, frameHeight: 1 },
  });

  it("takes loss and jitter from the receiver's reports", () => {
    const before = report(sent(0, 1, 0, 0), { type: "remote-inbound-rtp", packetsLost: 0, jitter: 0 });
    const after = report(sent(1000, 1, 12_500, 100), { type: "remote-inbound-rtp", packetsLost: 10, jitter: 0.02 });
    expect(summariseStats(after, before).get("2" as Mid)).toMatchObject({ bitrateBps: 100_000, lossRatio: 0.1, jitterMs: 20 });
  });

  it("adds up the bit rates of its layers and has the size of the largest", () => {
    const before = report(sent(0, 1, 0, 0), sent(0, 2, 0, 0));
    const after = report(sent(1000, 1, 1000, 1), sent(1000, 2, 3000, 1));
    expect(summariseStats(after, before).get("2" as Mid)).toMatchObject({ bitrateBps: 32_000, width: 2 });
  });

  it("lists its encodings, smallest first, and has the size of the largest active one", () => {
    const flowing = { ...sent(1000, 1, 1000, 1), rid: "q", framesEncoded: 25, active: true };
    const stopped = { ...sent(1000, 2, 0, 0), rid: "f", active: false };
    const summary = summariseStats(report(stopped, flowing), report(sent(0, 1, 0, 0), sent(0, 2, 0, 0))).get("2" as Mid);
    expect(summary).toMatchObject({ width: 1, framesPerSecond: 25 });
    expect(summary?.encodings.map(({ rid, active }) => [rid, active])).toEqual([["q", true], ["f", false]]);
  });
});

it("reads the browser's estimate of its uplink", () => {
  expect(uplinkEstimateBps(report(PAIR))).toBe(0);
  expect(uplinkEstimateBps(report({ ...PAIR, availableOutgoingBitrate: 300_000 }))).toBe(300_000);
});

it("has no round-trip time before a pair is nominated", () => {
  expect(pathRttMs(report({ ...PAIR, nominated: false }))).toBe(0);
  expect(pathRttMs(report(PAIR))).toBe(40);
});
