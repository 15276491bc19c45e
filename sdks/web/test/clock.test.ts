/** Steps of the system's clock have no effect, in any state of a session. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { RemoteTrack, Room } from "../src/index.js";
import { browserPlatform } from "../src/edge/browser.js";
import { FakeElement, type FakePeerConnection, type FakePlatform, type ServerBody } from "../src/testing.js";
import { failure, participantOf, track, world, type World } from "./fixtures.js";

const BOB = participantOf("PA_bob", "bob", [track("TR_bob", 2, "PA_bob")]);
const STEPS = { "+60 s": 60_000, "-1 h": -3_600_000 };
const TURN_MS = 1_000;
/** Length of a trace: longer than any deadline of a session except that of a lost path. */
const TRACE_MS = 20_000;

/** A session in one of the states, and its continuation. */
interface Scene {
  /** A line of the trace without a step, which proves that the session is in this state. */
  readonly expects: string;
  readonly room?: Room;
  /** The pending call, if the state has one. */
  readonly joining?: Promise<unknown>;
  /** Called a second after the step. */
  readonly goOn?: () => void;
}

interface Stage extends World {
  /** Blocks a method of the connection. Returns a function that releases it. */
  hold(method: "createOffer" | "setRemoteDescription"): () => void;
}

const remoteTrack = (room: Room): RemoteTrack => {
  const found = room.participants.values().next().value?.track("camera");
  if (found === undefined) throw new Error("there is no remote camera");
  return found;
};

/** Leaves requests of a name unanswered. Returns a function that answers the last one. */
function leaveOpen({ platform: { server } }: World, name: string, answer: ServerBody): () => void {
  server.on(name, () => null);
  return () => server.reply(server.named(name).at(-1)?.requestId ?? 0, answer);
}

const STATES: Readonly<Record<string, (stage: Stage) => Promise<Scene>>> = {
  async "the WebSocket is being opened"({ platform, join }) {
    platform.server.silent = true;
    const joining = join();
    await platform.settle();
    return { expects: "5100 settled", joining, goOn: () => platform.server.open() };
  },
  async "the WebSocket never opens"({ platform, join }) {
    platform.server.silent = true;
    const joining = failure(join());
    await platform.settle();
    return { expects: "15000 TIMEOUT", joining };
  },
  async "the answer to the join is being applied"(stage) {
    const joining = stage.join();
    const release = stage.hold("setRemoteDescription");
    await stage.platform.settle();
    expect(stage.platform.server.named("join")).toHaveLength(1);
    return { expects: "6100 settled", joining, goOn: release };
  },
  async "the join is not answered"(stage) {
    stage.platform.server.on("join", () => null);
    const joining = failure(stage.join());
    await stage.platform.settle();
    return { expects: "15000 TIMEOUT", joining };
  },
  async "the room is joined"({ join, platform }) {
    const room = await join();
    await platform.advance(2_000);
    return { expects: "18000 > ping", room };
  },
  async "a ping is in flight"(stage) {
    const room = await stage.join();
    const answer = leaveOpen(stage, "ping", { case: "ping", value: { sentAtMs: 0n } });
    await stage.platform.advance(5_000);
    expect(stage.platform.server.named("ping")).toHaveLength(1);
    return { expects: "16000 disconnected signaling-lost", room, goOn: answer };
  },
  async "the server has stopped responding"(stage) {
    const room = await stage.join();
    stage.platform.server.on("ping", () => null);
    await stage.platform.advance(7_000);
    return { expects: "8000 disconnected signaling-lost", room };
  },
  async "a request is in flight"(stage) {
    const room = await stage.join();
    const answer = leaveOpen(stage, "updateParticipant", { case: "updateParticipant", value: {} });
    const asked = room.setMetadata("here").then(() => "reported");
    await stage.platform.settle();
    return { expects: "1100 settled", room, joining: asked, goOn: answer };
  },
  async "a request is never answered"(stage) {
    const room = await stage.join();
    stage.platform.server.on("updateParticipant", () => null);
    const asked = failure(room.setMetadata("here"));
    await stage.platform.settle();
    return { expects: "15000 TIMEOUT", room, joining: asked };
  },
  async "an offer is being created"(stage) {
    const room = await stage.join();
    const release = stage.hold("createOffer");
    const published = room.publish(await room.createCameraVideoTrack());
    await stage.platform.settle();
    return { expects: "1100 settled", room, joining: published, goOn: release };
  },
  async "an offer is not answered"(stage) {
    const room = await stage.join();
    stage.platform.server.on("offer", () => null);
    const published = failure(room.publish(await room.createCameraVideoTrack()));
    await stage.platform.settle();
    expect(stage.platform.server.named("offer")).toHaveLength(1);
    return { expects: "15000 TIMEOUT", room, joining: published };
  },
  async "the answer to an offer is being applied"(stage) {
    const room = await stage.join();
    const release = stage.hold("setRemoteDescription");
    const published = room.publish(await room.createCameraVideoTrack());
    await stage.platform.settle();
    return { expects: "1100 settled", room, joining: published, goOn: release };
  },
  async "the media path is interrupted"({ join, platform }) {
    const room = await join();
    platform.peer.become("connected");
    platform.peer.become("disconnected");
    await platform.advance(1_000);
    return { expects: "9000 > offer", room };
  },
  async "the slot of a video is about to be released"({ join, platform }) {
    const room = await join();
    const element = new FakeElement().asMediaElement();
    remoteTrack(room).attach(element);
    await platform.advance(1_000);
    remoteTrack(room).detach(element);
    return { expects: "2000 > updateSlots", room };
  },
  async "a video has just been hidden"({ join, platform }) {
    const room = await join();
    const element = new FakeElement();
    remoteTrack(room).attach(element.asMediaElement());
    await platform.advance(1_000);
    platform.see(element, { width: 640, height: 360, visible: false });
    return { expects: "1000 > updateView", room };
  },
  async "the room is closed"({ join, platform }) {
    const room = await join();
    await room.leave();
    await platform.settle();
    return { expects: "21000 closed with 1000", room };
  },
};

/** All requests and events until every deadline has passed, with the time since the step. */
async function traceOf(bring: (stage: Stage) => Promise<Scene>, stepMs: number): Promise<readonly [string[], string]> {
  const one = world({ others: [BOB], bound: { "1": "TR_bob" } });
  const { platform } = one;
  vi.spyOn(Date, "now").mockImplementation(() => platform.wallClockMs());
  const scene = await bring({ ...one, hold: (method) => hold(platform, method) });
  const { server } = platform;
  const trace: string[] = [];
  let seen = server.requests.length;
  const startMs = platform.monotonicMs();
  const note = (what: string): void => void trace.push(`${platform.monotonicMs() - startMs} ${what}`);
  const listen = (room: Room): void => {
    room.on("connection-state", (to) => note(to));
    room.on("disconnected", (reason) => note(`disconnected ${reason}`));
    room.on("error", ({ code }) => note(`error ${code}`));
  };
  if (scene.room !== undefined) listen(scene.room);
  void scene.joining?.then((result) => note(result instanceof Error ? (result as { code?: string }).code ?? result.name : "settled"));

  platform.stepWallClock(stepMs);
  for (let atMs = 0; atMs <= TRACE_MS; atMs += TURN_MS) {
    if (atMs === 1_000) scene.goOn?.();
    await platform.advance(TURN_MS);
    for (const { name, value } of server.requests.slice(seen)) {
      note(`> ${name} ${JSON.stringify(value, (_key, one: unknown) => (typeof one === "bigint" ? String(one) : one)).slice(0, 200)}`);
    }
    seen = server.requests.length;
  }
  note(`closed with ${server.closedByClient}`);
  return [trace, scene.expects];
}

function hold({ peer }: FakePlatform, method: "createOffer" | "setRemoteDescription"): () => void {
  let release: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => (release = resolve));
  const original = (peer[method] as (...all: unknown[]) => Promise<never>).bind(peer);
  const held = async (...all: unknown[]): Promise<never> => {
    await gate;
    return original(...all);
  };
  Object.assign(peer, { [method]: held } as Partial<FakePeerConnection>);
  return release;
}

beforeEach(() => vi.restoreAllMocks());
afterEach(() => vi.restoreAllMocks());

describe("a step of the system's clock while", () => {
  for (const [state, bring] of Object.entries(STATES)) {
    it(state, async () => {
      const [undisturbed, expected] = await traceOf(bring, 0);
      expect(undisturbed.some((line) => line.startsWith(expected)), undisturbed.join("\n")).toBe(true);
      for (const [name, stepMs] of Object.entries(STEPS)) {
        const [trace] = await traceOf(bring, stepMs);
        expect(trace, name).toEqual(undisturbed);
      }
    });
  }
});

it("the clock of a browser is the monotonic one", () => {
  const wallClock = vi.spyOn(Date, "now");
  vi.spyOn(performance, "now").mockReturnValueOnce(1234.5);
  expect(browserPlatform.monotonicMs()).toBe(1234.5);
  expect(wallClock).not.toHaveBeenCalled();
});
