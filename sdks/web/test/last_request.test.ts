/**
 * Every pair of requests in both orders, and random sequences of requests, with slow devices and a slow server. Three
 * invariants hold: the last request wins; the page, the connection and the server agree; after `leave` every device that was
 * opened is stopped.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { LocalTrack, NexusError, RemoteTrack, Room } from "../src/index.js";
import { FakeElement } from "../src/testing.js";
import { HIDE_DELAY_MS, VIEW_DELAY_MS } from "../src/core/views.js";
import { RELEASE_GRACE_MS } from "../src/core/bindings.js";
import { participantOf, track } from "./fixtures.js";
import { SlowWorld } from "./slow_world.js";

const DEVICE_REQUESTS = [
  "publish",
  "unpublish",
  "unpublish-and-keep",
  "mute",
  "mute-and-release",
  "unmute",
  "set-device-a",
  "set-device-b",
  "leave",
] as const;
/** Requests about the view of a remote track, which the server has to know as well. */
const VIEW_REQUESTS = ["attach", "detach", "hide-tab", "show-tab"] as const;
const REQUESTS = [...DEVICE_REQUESTS, ...VIEW_REQUESTS];
type RequestName = (typeof REQUESTS)[number];

/** Events that may happen between two requests. */
const EVENTS = ["nothing", "turn", "device-opens", "server-answers", "everything"] as const;
/** Events that happen only in random sequences. */
const ACCIDENTS = ["device-fails", "device-ends", "system-mutes", "system-unmutes"] as const;
type EventName = (typeof EVENTS)[number] | (typeof ACCIDENTS)[number];
const isViewRequest = (name: RequestName): boolean => VIEW_REQUESTS.some((one) => one === name);
type Step = readonly [RequestName, EventName];

/** The codes with which a request may reject. */
const EXPECTED_REJECTIONS = new Set(["CLOSED", "ABORTED"]);
const DEVICE_REJECTIONS = new Set(["DEVICE_IN_USE", "DEVICE_NOT_FOUND"]);
const bob = participantOf("PA_bob", "bob", [track("TR_bob", 2, "PA_bob")]);

/** The end state according to the requests alone; null where several are right. */
interface Wanted {
  left: boolean;
  published: boolean;
  muted: boolean;
  open: boolean | null;
  deviceId: string;
  attached: boolean;
  visible: boolean;
}

class Scenario {
  readonly world = new SlowWorld({ others: [bob], bound: { "1": "TR_bob" } });
  readonly wanted: Wanted = {
    left: false,
    published: false,
    muted: false,
    open: true,
    deviceId: "default",
    attached: false,
    visible: true,
  };
  readonly preview = new FakeElement();
  readonly screen = new FakeElement();
  readonly outcomes: string[] = [];
  readonly #kind: "camera" | "microphone";
  /** After an accident another device may be open than the requested one, and the track may be muted or ended. */
  accident = false;
  /** Kept by `unpublish(track, { stop: false })`: belongs to the page until it is published again. */
  kept = false;
  room!: Room;
  local!: LocalTrack;

  constructor(kind: "camera" | "microphone") {
    this.#kind = kind;
  }

  async begin(published: boolean): Promise<void> {
    this.room = await this.world.join();
    await this.#create();
    if (published) {
      await this.room.publish(this.local);
      this.wanted.published = true;
    }
    this.world.devices.slow = true;
    this.world.prompt = false;
  }

  get #bob(): RemoteTrack | undefined {
    return [...this.room.participants.values()][0]?.track("camera");
  }

  async #create(): Promise<void> {
    const create =
      this.#kind === "camera" ? this.room.createCameraVideoTrack({ codec: "vp8" }) : this.room.createMicrophoneAudioTrack();
    for (let turn = 0; turn < 3; turn += 1) {
      await this.world.rest();
      await this.world.openDevice();
    }
    this.local = await create;
    Object.assign(this.wanted, { muted: false, open: true, deviceId: "default", published: false });
    this.local.attach(this.preview.asMediaElement());
  }

  /** Makes a request without awaiting it; the outcomes are checked at the end. */
  async request(name: RequestName): Promise<void> {
    // A stopped track cannot be published: a page opens another one.
    if (name === "publish" && this.local.stopped && !this.wanted.left) await this.#create();
    const before = this.local.stopped;
    const promise = this.#perform(name);
    if (promise === null) return;
    const index = this.outcomes.push("pending") - 1;
    promise.then(
      () => (this.outcomes[index] = "resolved"),
      (error: unknown) => (this.outcomes[index] = (error as NexusError).code),
    );
    if (!before && !this.wanted.left) this.#want(name);
    if (name === "leave") this.wanted.left = true;
  }

  #perform(name: RequestName): Promise<unknown> | null {
    const { room, local } = this;
    switch (name) {
      case "publish":
        return room.publish(local);
      case "unpublish":
        return room.unpublish(local);
      case "unpublish-and-keep":
        return room.unpublish(local, { stop: false });
      case "mute":
        return local.setMuted(true);
      case "mute-and-release":
        return local.setMuted(true, { releaseDevice: true });
      case "unmute":
        return local.setMuted(false);
      case "set-device-a":
        return local.setDevice("a");
      case "set-device-b":
        return local.setDevice("b");
      case "leave":
        return room.leave();
      default:
        return this.#view(name);
    }
  }

  #view(name: RequestName): null {
    const element = this.screen.asMediaElement();
    if (name === "attach") {
      if (!this.wanted.attached) this.wanted.visible = true;
      this.wanted.attached = !this.wanted.left;
      this.#bob?.attach(element);
    }
    if (name === "detach") {
      this.wanted.attached = false;
      this.#bob?.detach(element);
    }
    if (name === "hide-tab" || name === "show-tab") {
      if (this.wanted.attached) this.wanted.visible = name === "show-tab";
      this.world.platform.see(this.screen, { width: 640, height: 360, visible: name === "show-tab" });
    }
    return null;
  }

  #want(name: RequestName): void {
    const { wanted } = this;
    switch (name) {
      case "publish":
        wanted.published = true;
        break;
      case "unpublish":
      case "unpublish-and-keep":
        wanted.published = false;
        break;
      case "mute":
        // It depends on timing whether the previous unmute had opened the device already.
        if (wanted.open !== false || !wanted.muted) wanted.open = null;
        wanted.muted = true;
        break;
      case "mute-and-release":
        wanted.muted = true;
        wanted.open = false;
        break;
      case "unmute":
        wanted.muted = false;
        wanted.open = true;
        break;
      case "set-device-a":
      case "set-device-b":
        wanted.deviceId = name.at(-1) ?? "";
    }
  }

  async apply(event: EventName): Promise<void> {
    const { devices } = this.world;
    switch (event) {
      case "nothing":
        return;
      case "turn":
        return this.world.rest();
      case "device-opens":
        return void (await this.world.openDevice());
      case "server-answers":
        return void (await this.world.answer());
      case "everything":
        return this.world.finish();
      case "device-fails":
        if (devices.pending.length > 0) this.accident = true;
        return void (await this.world.failDevice("NotReadableError"));
      case "device-ends":
        if (devices.live.length > 0) this.accident = true;
        devices.live.at(-1)?.endFromOutside();
        return this.world.rest();
      case "system-mutes":
      case "system-unmutes":
        devices.live.at(-1)?.muteFromOutside(event === "system-mutes");
        return this.world.rest();
    }
  }

  async end(viewed: boolean): Promise<void> {
    await this.world.finish();
    if (!viewed) return;
    // Hidden and detached tracks are reported after a delay, one request after another.
    for (let time = 0; time < 2; time += 1) {
      await this.world.platform.advance(Math.max(HIDE_DELAY_MS, RELEASE_GRACE_MS) + VIEW_DELAY_MS);
      await this.world.finish();
    }
  }

  /** No request is pending, and none has rejected with an unexpected code. */
  checkOutcomes(): void {
    const unexpected = this.outcomes.filter((one) => {
      if (one === "resolved" || EXPECTED_REJECTIONS.has(one)) return false;
      return !(this.accident && DEVICE_REJECTIONS.has(one));
    });
    expect(unexpected).toEqual([]);
  }

  checkLastRequestWon(): void {
    const { local, wanted, room, world } = this;
    if (wanted.left) {
      expect([room.connectionState, local.id]).toEqual(["closed", null]);
      return;
    }
    expect(room.localParticipant.tracks.has(local)).toBe(wanted.published);
    if (local.stopped) return;
    expect(local.muted).toBe(wanted.muted);
    const { mediaStreamTrack: captured } = local;
    if (wanted.open !== null) expect(captured.readyState).toBe(wanted.open ? "live" : "ended");
    if (wanted.open === true) expect(captured.getSettings().deviceId).toBe(wanted.deviceId);
    expect(world.devices.live.length).toBeLessThanOrEqual(1);
  }

  checkAgreement(): void {
    const { local, room, world, wanted } = this;
    if (wanted.left) return;
    const { mediaStreamTrack: captured } = local;
    const live = captured.readyState === "live";
    const published = world.serverTrack(local);
    expect([...world.tracks.values()].map(({ id }) => id)).toEqual([...room.localParticipant.tracks].map(({ id }) => id));
    expect(published !== undefined).toBe(local.id !== null);
    expect(world.devices.live.map(({ id }) => id)).toEqual(live ? [captured.id] : []);
    if (published !== undefined) {
      expect(published.muted).toBe(local.muted || local.interrupted);
      expect(world.senderOf(local)?.track).toBe(live ? captured : null);
      // The page sends nothing while others see the track as muted.
      expect(captured.enabled).toBe(!local.muted);
      if (!live) expect(published.muted).toBe(true);
    }
    const sending = world.platform.peer.transceivers.filter(({ sender }) => sender.track !== null);
    expect(sending).toHaveLength(published !== undefined && live ? 1 : 0);
    if (!local.stopped) expect(this.preview.srcObject?.getTracks()).toEqual([captured]);
    this.#checkWatching();
  }

  /** The server has the page's current bindings and views. */
  #checkWatching(): void {
    const { server } = this.world.platform;
    const unbound = server.named("updateSlots").at(-1)?.value["unbindTrackIds"] as string[] | undefined;
    const [view] = (server.named("updateView").at(-1)?.value["views"] ?? []) as { hidden: boolean }[];
    if (this.wanted.attached) {
      expect(unbound?.includes("TR_bob") ?? false).toBe(false);
      expect(view?.hidden ?? false).toBe(!this.wanted.visible);
    } else if (view !== undefined) expect(view.hidden || (unbound?.includes("TR_bob") ?? false)).toBe(true);
  }

  async leaveAndCheck(): Promise<void> {
    await this.room.leave();
    await this.world.finish();
    const { id, readyState } = this.local.mediaStreamTrack;
    expect(this.world.devices.live.map((one) => one.id)).toEqual(this.kept && readyState === "live" ? [id] : []);
    expect(this.world.devices.pending).toEqual([]);
  }
}

async function run(kind: "camera" | "microphone", published: boolean, steps: readonly Step[]): Promise<void> {
  const scenario = new Scenario(kind);
  await scenario.begin(published);
  for (const [name, event] of steps) {
    await scenario.request(name);
    if (name === "unpublish-and-keep" && !scenario.wanted.left) scenario.kept = true;
    if (name === "publish" || scenario.local.stopped) scenario.kept = false;
    await scenario.apply(event);
  }
  await scenario.end(steps.some(([name]) => isViewRequest(name)));
  if (!scenario.accident) scenario.checkLastRequestWon();
  scenario.checkAgreement();
  await scenario.leaveAndCheck();
  scenario.checkOutcomes();
}

describe.each(["camera", "microphone"] as const)("a %s", (kind) => {
  for (const first of REQUESTS) {
    it(`after ${first} leaves the last request to win`, async () => {
      for (const second of REQUESTS) {
        const looks = isViewRequest(first) || isViewRequest(second);
        const few = looks || kind === "microphone";
        for (const published of looks ? [true] : [false, true]) {
          for (const between of few ? (["nothing", "everything"] as const) : EVENTS) {
            try {
              await run(kind, published, [[first, between], [second, "turn"]]);
            } catch (error) {
              throw new Error(`${published ? "published" : "unpublished"}: ${first}, ${between}, ${second}`, { cause: error });
            }
          }
        }
      }
    });
  }

  /** Runs random sequences. */
  async function tryRandom(names: readonly RequestName[], events: readonly EventName[], numRuns: number): Promise<void> {
    const step = fc.tuple(fc.constantFrom(...names), fc.constantFrom(...events));
    const steps = fc.array(step, { maxLength: 14 });
    await fc.assert(fc.asyncProperty(fc.boolean(), steps, (published, some) => run(kind, published, some)), { numRuns });
  }

  it("does what the last of many requests says", { timeout: 60_000 }, async () => {
    await tryRandom(DEVICE_REQUESTS, EVENTS, 250);
    await tryRandom(REQUESTS, EVENTS, 40);
  });

  it("agrees with the server whatever happens to the device", { timeout: 60_000 }, async () => {
    await tryRandom(DEVICE_REQUESTS, [...EVENTS, ...ACCIDENTS], 250);
  });
});
