/** A step of the system's clock changes nothing, in whatever state it finds the session. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { RemoteTrack, Room } from "../src/index.js";
import { browserPlatform } from "../src/edge/browser.js";
import { FakeElement, type FakePeerConnection, type FakePlatform, type ServerBody } from "../src/testing.js";
import { failure, person, track, world, type World } from "./fixtures.js";

const BOB = person("PA_bob", "bob", [track("TR_bob", 2, "PA_bob")]);
const STEPS = { "+60 s": 60_000, "-1 h": -3_600_000 };
const TURN_MS = 1_000;
/** Longer than any deadline of a session but that of a lost path. */
const TRACE_MS = 20_000;

/** A session that has been brought into a state, and how it goes on from there. */
interface Scene {
  /** What the undisturbed trace has, at which millisecond: that the state was what it is called. */
  readonly expects: string;
  readonly room?: Room;
  /** Pending while it is being joined. */
  readonly joining?: Promise<unknown>;
  /** What comes a second after the step. */
  readonly goOn?: () => void;
}

interface Stage extends World {
  /** Holds a method of the connection back until the scene says. */
  hold(method: "createOffer" | "setRemoteDescription"): () => void;
}

const remoteTrack = (room: Room): RemoteTrack => {
  const found = room.participants.values().next().value?.track("camera");
  if (found === undefined) throw new Error("nobody is there");
  return found;
};

/** Leaves requests of a name unanswered; what is returned answers the first. */
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
  async "the answer to the join is applied"(stage) {
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
  async "it is joined"({ join, platform }) {
    const room = await join();
    await platform.advance(2_000);
    return { expects: "18000 > ping", room };
  },
  async "a ping is under way"(stage) {
    const room = await stage.join();
    const answer = leaveOpen(stage, "ping", { case: "ping", value: { sentAtMs: 0n } });
    await stage.platform.advance(5_000);
    expect(stage.platform.server.named("ping")).toHaveLength(1);
    return { expects: "16000 disconnected signaling-lost", room, goOn: answer };
  },
  async "the server has fallen silent"(stage) {
    const room = await stage.join();
    stage.platform.server.on("ping", () => null);
    await stage.platform.advance(7_000);
    return { expects: "8000 disconnected signaling-lost", room };
  },
  async "a request is under way"(stage) {
    const room = await stage.join();
    const answer = leaveOpen(stage, "updateParticipant", { case: "updateParticipant", value: {} });
    const asked = room.setMetadata("here").then(() => "told");
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
  async "an offer's answer is applied"(stage) {
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
  async "a picture's slot is about to be given back"({ join, platform }) {
    const room = await join();
    const element = new FakeElement().asMediaElement();
    remoteTrack(room).attach(element);
    await platform.advance(1_000);
    remoteTrack(room).detach(element);
    return { expects: "2000 > updateSlots", room };
  },
  async "a picture has just been hidden"({ join, platform }) {
    const room = await join();
    const element = new FakeElement();
    remoteTrack(room).attach(element.asMediaElement());
    await platform.advance(1_000);
    platform.see(element, { width: 640, height: 360, visible: false });
    return { expects: "1000 > updateView", room };
  },
  async "it is closed"({ join, platform }) {
    const room = await join();
    await room.leave();
    await platform.settle();
    return { expects: "21000 closed with 1000", room };
  },
};

/** Everything that the server is asked and the page is told, with the time since the step, until every deadline has passed. */
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

it("the clock of a browser is the one that is never set", () => {
  const wallClock = vi.spyOn(Date, "now");
  vi.spyOn(performance, "now").mockReturnValueOnce(1234.5);
  expect(browserPlatform.monotonicMs()).toBe(1234.5);
  expect(wallClock).not.toHaveBeenCalled();
});
