/** Telemetry of a session: when the SDK measures, what it sends and where, and what it never sends. */
import { describe, expect, it } from "vitest";
import type { NexusError } from "../src/index.js";
import { FakeElement, FakePlatform } from "../src/testing.js";
import { decodeBinary } from "../src/wire/binary.js";
import { JoinStep, TelemetryLevel } from "../src/wire/schema.gen.js";
import { failure, microphone, participantOf, ROOM, token, track, world, type World, type WorldOptions } from "./fixtures.js";

interface Sample {
  readonly number: number;
  readonly intervalMs: number;
  readonly events: readonly { readonly event: { readonly case: string; readonly value: Record<string, unknown> } }[];
}
interface Report {
  readonly room: string;
  readonly participantId: string;
  readonly attemptId: string;
  readonly client: object;
  readonly level: number;
  readonly telemetry: { readonly samples: readonly Sample[]; readonly series: readonly object[] };
}

const ON = { telemetry: TelemetryLevel.ON };
const measured = (options: WorldOptions = {}): World => world({ joined: ON, ...options });
const sent = ({ platform }: World): Sample[] =>
  platform.server.named("telemetry").flatMap(({ value }) => value["samples"] as Sample[]);
const events = (samples: readonly Sample[]): string[] => samples.flatMap((sample) => sample.events.map(({ event }) => event.case));
const steps = (samples: readonly Sample[]): unknown[] =>
  samples.flatMap((sample) => sample.events.filter(({ event }) => event.case === "joinStep").map(({ event }) => event.value["step"]));

function reportIn(body: Uint8Array): { readonly token: string; readonly report: Report } {
  const end = body.indexOf(10);
  const report = decodeBinary("TelemetryReport", body.slice(end + 1)) as unknown as Report;
  return { token: new TextDecoder().decode(body.slice(0, end)), report };
}

/** Accepts reports over HTTP, and keeps them. */
function accepting(platform: FakePlatform, status = 204): { readonly url: string; readonly init: RequestInit; readonly report: Report }[] {
  const reports: { readonly url: string; readonly init: RequestInit; readonly report: Report }[] = [];
  platform.answerRequest = (url, init) => {
    if (status < 300) reports.push({ url, init, report: reportIn(init.body as Uint8Array).report });
    return Promise.resolve(new Response(null, { status }));
  };
  return reports;
}

describe("a session with telemetry", () => {
  it("sends a sample a second, without an id, numbered from 1", async () => {
    const one = measured();
    await one.join();
    await one.platform.advance(3_000);
    expect(sent(one).map(({ number }) => number)).toEqual([1, 2, 3]);
    expect(sent(one).map(({ intervalMs }) => intervalMs)).toEqual([1000, 1000, 1000]);
    expect(one.platform.server.named("telemetry").map(({ requestId }) => requestId)).toEqual([0, 0, 0]);
  });

  it("names browser and version at the join, and no more of either", async () => {
    const one = measured();
    await one.join();
    const [join] = one.platform.server.named("join");
    expect(join?.value["client"]).toMatchObject({ sdk: "web", browser: "chromium", browserVersion: 156 });
  });

  it("reports the steps of the join as they are reached", async () => {
    const one = measured({ others: [participantOf("PA_bob", "bob", [track("TR_1", 7, "PA_bob")])], bound: { "1": "TR_1" } });
    const room = await one.join();
    room.participants.get([...room.participants.keys()][0] as never)?.tracks.get("TR_1" as never)?.attach(new FakeElement().asMediaElement());
    one.platform.peer.become("connected");
    await one.platform.advance(1_000);
    expect(steps(sent(one))).toEqual([JoinStep.TOKEN, JoinStep.SOCKET, JoinStep.ANSWER, JoinStep.ICE, JoinStep.DTLS]);
    const inbound = { id: "in", type: "inbound-rtp", kind: "video", mid: "1", packetsReceived: 10, framesDecoded: 3 };
    one.platform.peer.stats = new Map([["in", inbound]]);
    await one.platform.advance(2_000);
    expect(steps(sent(one)).slice(5)).toEqual([JoinStep.FIRST_PACKET, JoinStep.FIRST_FRAME]);
  });

  it("reports publications, errors, devices and the page", async () => {
    const one = measured();
    const room = await one.join();
    const audio = await room.createMicrophoneAudioTrack();
    await room.publish(audio);
    one.platform.changePage("hidden");
    one.platform.server.on("updateParticipant", () => ({ case: "error", value: { code: 6, message: "no" } }));
    await failure(room.setName("x"));
    one.platform.deviceAccess.dispatchEvent(new Event("devicechange"));
    await one.platform.advance(1_000);
    expect(events(sent(one))).toEqual(expect.arrayContaining(["published", "error", "devicesChanged", "pageVisibility"]));
    expect(sent(one)[0]?.events.find(({ event }) => event.case === "error")?.event.value).toEqual({ code: "INVALID_ARGUMENT" });
  });

  it("keeps samples until they are stored, and sends again what was not kept", async () => {
    const one = measured();
    await one.join();
    await one.platform.advance(3_000);
    one.platform.server.tell({ case: "telemetryStored", value: { number: 1, resend: true } });
    await one.platform.advance(1_000);
    expect(sent(one).map(({ number }) => number)).toEqual([1, 2, 3, 2, 3, 4]);
    const reports = accepting(one.platform);
    one.platform.server.tell({ case: "telemetryStored", value: { number: 3, resend: false } });
    one.platform.changePage("closing");
    expect(reportIn(one.platform.beacons[0]?.body ?? new Uint8Array()).report.telemetry.samples.map(({ number }) => number)).toEqual([4]);
    expect(reports).toEqual([]);
  });

  it("measures half as often while getStats() is slow, and recovers", async () => {
    const one = measured();
    await one.join();
    const { peer } = one.platform;
    const atOnce = peer.getStats.bind(peer);
    peer.getStats = () => new Promise((resolve) => one.platform.setTimer(60, () => resolve(new Map())));
    await one.platform.advance(1_000);
    await one.platform.advance(60);
    expect(sent(one)).toHaveLength(1);
    await one.platform.advance(1_900);
    expect(sent(one)).toHaveLength(1);
    peer.getStats = atOnce;
    await one.platform.advance(2_200);
    expect(sent(one).length).toBeGreaterThanOrEqual(3);
  });
});

describe("levels", () => {
  const silent: readonly [string, WorldOptions][] = [
    ["the server does not know telemetry", { joined: {} }],
    ["the operator has switched it off", { joined: { telemetry: TelemetryLevel.OFF } }],
    ["the page has switched it off", { joined: ON, client: { telemetry: "off" } }],
    ["the token has switched it off", { joined: ON, client: { token: token({ telemetry: "off" }) } }],
  ];

  it.each(silent)("measures and sends nothing where %s", async (_why, options) => {
    const one = world(options);
    const reports = accepting(one.platform);
    const room = await one.join();
    let measurements = 0;
    one.platform.peer.getStats = () => {
      measurements += 1;
      return Promise.resolve(new Map());
    };
    await one.platform.advance(5_000);
    one.platform.changePage("closing");
    await room.leave();
    await one.platform.settle();
    expect([sent(one), measurements, one.platform.beacons, reports]).toEqual([[], 0, [], []]);
  });

  it("names no browser where the page or the token has switched it off", async () => {
    const one = measured({ client: { telemetry: "off" } });
    await one.join();
    expect(one.platform.server.named("join")[0]?.value["client"]).toMatchObject({ browser: "", browserVersion: 0 });
  });

  it("sends no events at the level `quality`, whichever side asks for it", async () => {
    for (const options of [{ client: { telemetry: "quality" as const } }, { joined: { telemetry: TelemetryLevel.QUALITY } }]) {
      const one = measured(options);
      await one.join();
      await one.platform.advance(1_000);
      expect(sent(one)).toHaveLength(1);
      expect(events(sent(one))).toEqual([]);
    }
  });
});

describe("what a session cannot carry", () => {
  it("is reported by a beacon when the page closes", async () => {
    const one = measured();
    await one.join();
    await one.platform.advance(2_500);
    one.platform.changePage("closing");
    const [beacon] = one.platform.beacons;
    expect(beacon?.url).toBe("https://app.example/v1/telemetry");
    const read = reportIn(beacon?.body ?? new Uint8Array());
    expect(read.token).toBe(token());
    expect(read.report).toMatchObject({ room: ROOM, participantId: "PA_ada", level: TelemetryLevel.ON });
    expect(read.report.telemetry.samples.map(({ number }) => number)).toEqual([1, 2]);
  });

  it("is posted when the room is left", async () => {
    const one = measured();
    const reports = accepting(one.platform);
    const room = await one.join();
    await one.platform.advance(1_000);
    await room.leave();
    await one.platform.settle();
    expect(reports).toHaveLength(1);
    expect(reports[0]?.init.headers).toEqual({ "Content-Type": "text/plain" });
    expect(reports[0]?.report.telemetry.samples.map(({ number }) => number)).toEqual([1]);
    expect(one.platform.beacons).toEqual([]);
  });

  const failures: readonly [string, number, string, (one: World) => void][] = [
    ["the socket", JoinStep.SOCKET, "CONNECTION_FAILED", ({ platform }) => (platform.server.unreachable = true)],
    [
      "the answer",
      JoinStep.ANSWER,
      "TOKEN_EXPIRED",
      ({ platform }) => platform.server.on("join", () => ({ case: "error", value: { code: 22, message: "The token has expired.", fatal: true } })),
    ],
  ];

  it.each(failures)("is posted when a join fails at %s, with exactly that step", async (_where, step, code, breakIt) => {
    const one = measured();
    const reports = accepting(one.platform);
    breakIt(one);
    expect(((await failure(one.join())) as NexusError).code).toBe(code);
    await one.platform.settle();
    expect(reports).toHaveLength(1);
    const { participantId, attemptId, telemetry } = reports[0]?.report as Report;
    expect(participantId).toBe("");
    expect(attemptId).toMatch(/^[0-9a-f-]{36}$/);
    const failed = telemetry.samples.flatMap(({ events: all }) => all.map(({ event }) => event)).filter((event) => event.case === "joinFailed");
    expect(failed.map(({ value }) => value)).toMatchObject([{ step, code }]);
    const reached = Object.values(JoinStep).filter((one_) => one_ > 0 && one_ < step);
    expect(steps(telemetry.samples)).toEqual(reached);
  });

  it("has the step ICE if the media path is never connected", async () => {
    const one = measured();
    const reports = accepting(one.platform);
    await one.join();
    one.platform.peer.become("failed");
    await one.platform.settle();
    const failed = reports.flatMap(({ report }) => report.telemetry.samples.flatMap(({ events: all }) => all.map(({ event }) => event)));
    expect(failed.find((event) => event.case === "joinFailed")?.value).toMatchObject({ step: JoinStep.ICE, code: "MEDIA_FAILED" });
    expect(reports[0]?.report.participantId).toBe("PA_ada");
  });

  it("is posted with the next join if the server could not be reached", async () => {
    const one = measured();
    one.platform.server.unreachable = true;
    await failure(one.join());
    await one.platform.settle();
    one.platform.server.unreachable = false;
    const reports = accepting(one.platform);
    await one.join();
    await one.platform.settle();
    expect(reports.map(({ report }) => report.participantId)).toEqual([""]);
  });

  it("is forgotten if the server refuses it", async () => {
    const one = measured();
    accepting(one.platform, 401);
    one.platform.server.on("join", () => ({ case: "error", value: { code: 21, message: "no", fatal: true } }));
    await failure(one.join());
    await one.platform.settle();
    const again = measured();
    const reports = accepting(again.platform);
    await again.join();
    await again.platform.settle();
    expect(reports).toEqual([]);
  });

  it("is nothing if the page aborts the join", async () => {
    const one = measured();
    const reports = accepting(one.platform);
    one.platform.server.silent = true;
    const abort = new AbortController();
    const joining = failure(one.join({ signal: abort.signal }));
    abort.abort();
    await joining;
    await one.platform.settle();
    expect(reports.flatMap(({ report }) => events(report.telemetry.samples))).not.toContain("joinFailed");
  });
});

it("measures a track that is sent and one that is played", async () => {
  const one = measured({ others: [participantOf("PA_bob", "bob", [microphone("TR_bob", 7, "PA_bob")])] });
  const room = await one.join();
  await room.publish(await room.createMicrophoneAudioTrack());
  one.platform.peer.playFrom("0", 7, 1);
  await one.platform.advance(200);
  const ownMid = one.platform.peer.transceivers.findLast(({ direction }) => direction === "sendonly")?.mid ?? "";
  const stats = [
    { id: "in", type: "inbound-rtp", kind: "audio", mid: "0", packetsReceived: 10 },
    { id: "out", type: "outbound-rtp", kind: "audio", mid: ownMid, packetsSent: 20 },
  ];
  one.platform.peer.stats = new Map(stats.map((entry) => [entry.id, entry]));
  await one.platform.advance(1_000);
  const [message] = one.platform.server.named("telemetry").slice(-1);
  const [sample] = message?.value["samples"] as Record<string, readonly object[]>[];
  expect(sample?.["receivedAudio"]).toMatchObject([{ packets: 10 }]);
  expect(sample?.["sentAudio"]).toMatchObject([{ packets: 20 }]);
  expect((message?.value["series"] as { trackId: string }[]).map(({ trackId }) => trackId).sort()).toEqual([`TR_own${ownMid}`, "TR_bob"].sort());
});
