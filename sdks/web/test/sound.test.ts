/** Audio that the browser blocks, and the speaker that plays it. */
import { describe, expect, it } from "vitest";
import { NexusError, type Room } from "../src/index.js";
import type { FakeElement, FakePlatform } from "../src/testing.js";
import { failure, microphone, participantOf, world } from "./fixtures.js";

const BOB = participantOf("PA_bob", "bob", [microphone("TR_bobmic", 1, "PA_bob")]);

interface Blocked {
  readonly platform: FakePlatform;
  readonly room: Room;
  /** How often `autoplay-blocked` was emitted. */
  readonly reported: () => number;
}

/** A room that was joined without a click. */
async function blockedRoom(): Promise<Blocked> {
  const { platform, join } = world({ others: [BOB] });
  platform.autoplayBlocked = true;
  const room = await join();
  let reported = 0;
  room.on("autoplay-blocked", () => (reported += 1));
  await platform.settle();
  return { platform, room, reported: () => reported };
}

const element = ({ audioElements }: FakePlatform, index: number): FakeElement => {
  const found = audioElements[index];
  if (found === undefined) throw new Error(`no audio element ${index}`);
  return found;
};

describe("startAudio", () => {
  it("without a click rejects with an error of the SDK, and audio stays blocked", async () => {
    const { platform, room, reported } = await blockedRoom();
    const error = await failure(room.startAudio());
    expect(error).toBeInstanceOf(NexusError);
    expect(error).toMatchObject({ code: "AUTOPLAY_BLOCKED", cause: { name: "NotAllowedError" } });
    expect([room.audioBlocked, reported()]).toEqual([true, 1]);
    // A listener that is added now is called as well.
    let late = 0;
    room.on("autoplay-blocked", () => (late += 1));
    await platform.settle();
    expect(late).toBe(1);
  });

  it("from a click plays everything, even after a failed attempt", async () => {
    const { platform, room } = await blockedRoom();
    await failure(room.startAudio());
    platform.autoplayBlocked = false;
    await room.startAudio();
    expect(room.audioBlocked).toBe(false);
    expect(platform.audioElements.map(({ playing }) => playing)).toEqual(Array(7).fill(true));
  });

  it("leaves audio blocked while a single element is blocked", async () => {
    const { platform, room } = await blockedRoom();
    platform.autoplayBlocked = false;
    const last = element(platform, 6);
    const { play } = last;
    last.play = () => Promise.reject(new DOMException("play() needs a gesture", "NotAllowedError"));
    expect(await failure(room.startAudio())).toMatchObject({ code: "AUTOPLAY_BLOCKED" });
    expect(platform.audioElements.map(({ playing }) => playing)).toEqual([...Array<boolean>(6).fill(true), false]);
    expect(room.audioBlocked).toBe(true);
    last.play = play;
    await room.startAudio();
    expect(room.audioBlocked).toBe(false);
  });

  it("leaves audio blocked while an element has not started to play", async () => {
    const { platform, room } = await blockedRoom();
    platform.autoplayBlocked = false;
    let begin: () => void = () => undefined;
    const last = element(platform, 6);
    last.play = () => new Promise((resolve) => (begin = resolve));
    let started = false;
    const starting = room.startAudio().then(() => (started = true));
    await platform.settle();
    expect([started, room.audioBlocked]).toEqual([false, true]);
    begin();
    await starting;
    expect(room.audioBlocked).toBe(false);
  });

  it("calls play() of every element in the turn of the click", async () => {
    const { platform, room } = await blockedRoom();
    platform.autoplayBlocked = false;
    const starting = room.startAudio();
    platform.autoplayBlocked = true;
    await starting;
    expect(room.audioBlocked).toBe(false);
  });

  it("from a click wins over an earlier attempt that is rejected later", async () => {
    const { platform, room } = await blockedRoom();
    const last = element(platform, 6);
    const { play } = last;
    let refuse: (error: unknown) => void = () => undefined;
    last.play = () => new Promise((_resolve, reject) => (refuse = reject));
    const failed = failure(room.startAudio());
    last.play = play;
    platform.autoplayBlocked = false;
    await room.startAudio();
    expect(room.audioBlocked).toBe(false);
    refuse(new DOMException("play() needs a gesture", "NotAllowedError"));
    expect(await failed).toBeNull();
    expect(room.audioBlocked).toBe(false);
  });

  it("reports failures other than blocking with another code", async () => {
    const { platform, room } = await blockedRoom();
    platform.autoplayBlocked = false;
    element(platform, 0).play = () => Promise.reject(new DOMException("no decoder", "NotSupportedError"));
    expect(await failure(room.startAudio())).toMatchObject({ code: "UNSUPPORTED", cause: { name: "NotSupportedError" } });
    // The element still does not play.
    expect(room.audioBlocked).toBe(true);
  });

  it("does not reject when the end of the room interrupts it", async () => {
    const { platform, room } = await blockedRoom();
    platform.autoplayBlocked = false;
    let interrupt: (error: unknown) => void = () => undefined;
    element(platform, 0).play = () => new Promise((_resolve, reject) => (interrupt = reject));
    const starting = room.startAudio();
    await room.leave();
    interrupt(new DOMException("interrupted by pause()", "AbortError"));
    await starting;
    expect(room.audioBlocked).toBe(false);
  });
});

describe("setAudioOutput", () => {
  it("selects the speaker of all slots, including later ones", async () => {
    const { platform, join } = world({ others: [BOB] });
    const room = await join();
    await room.setAudioOutput("headset");
    expect(new Set(platform.audioElements.map(({ sinkId }) => sinkId))).toEqual(new Set(["headset"]));
    platform.server.tell({ case: "event", value: { event: { case: "reofferNeeded", value: { pairs: 5, audioSlots: 3 } } } });
    await platform.settle();
    expect(platform.audioElements.map(({ sinkId }) => sinkId)).toEqual(Array(8).fill("headset"));
  });

  it.each([
    ["NotFoundError", "DEVICE_NOT_FOUND"],
    ["NotAllowedError", "DEVICE_DENIED"],
    ["AbortError", "DEVICE_IN_USE"],
    ["InvalidStateError", "UNSUPPORTED"],
  ])("that the browser rejects with %s fails with %s, and the previous speaker stays", async (name, code) => {
    const { platform, join } = world({ others: [BOB] });
    const room = await join();
    await room.setAudioOutput("headset");
    element(platform, 3).sinkRefusal = name;
    element(platform, 3).sinkId = "";
    const error = await failure(room.setAudioOutput("gone"));
    expect(error).toBeInstanceOf(NexusError);
    expect(error).toMatchObject({ code, cause: { name } });
    expect(platform.audioElements.filter(({ sinkId }) => sinkId === "gone")).toEqual([]);
  });
});
