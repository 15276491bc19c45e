/** Slow devices: whatever is requested in the meantime, the last request wins on the page, at the device and at the server. */
import { beforeEach, describe, expect, it } from "vitest";
import {
  createCameraVideoTrack,
  createMicrophoneAudioTrack,
  NexusClient,
  type LocalTrack,
  type NexusError,
  type Room,
} from "../src/index.js";
import { FakeElement, type FakeMediaStreamTrack } from "../src/testing.js";
import { APP, failure, ROOM, token } from "./fixtures.js";
import { SlowWorld } from "./slow_world.js";

/** The outcome of each promise: "resolved", the code with which it rejected, or "pending". */
async function outcomes(world: SlowWorld, promises: readonly Promise<unknown>[]): Promise<string[]> {
  const states = promises.map(() => "pending");
  promises.forEach((promise, index) => {
    promise.then(
      () => (states[index] = "resolved"),
      (error: unknown) => (states[index] = (error as NexusError).code),
    );
  });
  await world.rest();
  return states;
}

interface Published {
  readonly world: SlowWorld;
  readonly room: Room;
  readonly camera: LocalTrack;
}

async function publishCamera(): Promise<Published> {
  const world = new SlowWorld();
  const room = await world.join();
  const camera = await room.createCameraVideoTrack();
  await room.publish(camera);
  world.devices.slow = true;
  return { world, room, camera };
}

/** A camera that is published and muted, with its device released. */
async function publishReleased(): Promise<Published> {
  const published = await publishCamera();
  await published.camera.setMuted(true, { releaseDevice: true });
  expect(published.world.devices.live).toEqual([]);
  return published;
}

const liveDevices = ({ devices }: SlowWorld): string[] => devices.live.map(({ deviceId }) => deviceId);
const opened = ({ devices }: SlowWorld): FakeMediaStreamTrack | undefined => devices.opened.at(-1);
const muteRequests = ({ platform }: SlowWorld): unknown[] => platform.server.named("setMuted").map(({ value }) => value["muted"]);

describe("muting", () => {
  it("wins over an unmute whose device is still opening", async () => {
    const { world, camera } = await publishReleased();
    const requests = [camera.setMuted(false), camera.setMuted(true)];
    // Muting does not wait for a device.
    expect(await outcomes(world, requests)).toEqual(["resolved", "resolved"]);
    await world.finish();
    expect([camera.muted, camera.mediaStreamTrack.readyState]).toEqual([true, "ended"]);
    expect([world.devices.opened.length, liveDevices(world)]).toEqual([2, []]);
    expect([world.serverTrack(camera)?.muted, world.senderOf(camera)?.track]).toEqual([true, null]);
    expect(muteRequests(world)).toEqual([true]);
  });

  it("and unmuting again uses the device that was being opened", async () => {
    const { world, camera } = await publishReleased();
    const requests = [camera.setMuted(false), camera.setMuted(true), camera.setMuted(false)];
    await world.finish();
    expect(await outcomes(world, requests)).toEqual(["resolved", "resolved", "resolved"]);
    expect([camera.muted, world.serverTrack(camera)?.muted, world.devices.opened.length]).toEqual([false, false, 2]);
    expect(world.senderOf(camera)?.track).toBe(camera.mediaStreamTrack);
    expect(camera.mediaStreamTrack).toMatchObject({ enabled: true, readyState: "live" });
  });

  it("with the device released, then unmuting in one turn, leaves the track live and unmuted on both sides", async () => {
    const { world, camera } = await publishCamera();
    const requests = [camera.setMuted(true, { releaseDevice: true }), camera.setMuted(false)];
    await world.finish();
    expect(await outcomes(world, requests)).toEqual(["resolved", "resolved"]);
    expect([camera.muted, camera.mediaStreamTrack.readyState, camera.mediaStreamTrack.enabled]).toEqual([false, "live", true]);
    expect(world.serverTrack(camera)?.muted).toBe(false);
    expect(world.senderOf(camera)?.track).toBe(camera.mediaStreamTrack);
  });

  it("reaches the server one request at a time, the newest last", async () => {
    const { world, camera } = await publishCamera();
    world.prompt = false;
    const requests = [true, false, true, false, true].map((muted) => camera.setMuted(muted));
    await world.rest();
    expect(muteRequests(world)).toEqual([true]);
    expect(await outcomes(world, requests)).toEqual(Array(5).fill("pending"));
    await world.finish();
    // Values that were replaced in the meantime are not sent.
    expect(muteRequests(world)).toEqual([true]);
    expect([world.serverTrack(camera)?.muted, camera.muted]).toEqual([true, true]);
    expect(await outcomes(world, requests)).toEqual(Array(5).fill("resolved"));
  });

  it("that the server has rejected can be requested again", async () => {
    const { world, camera } = await publishCamera();
    world.platform.server.on("setMuted", () => ({ case: "error", value: { code: 3, message: "slow down", retryAfterMs: 100 } }));
    expect(await failure(camera.setMuted(true))).toMatchObject({ code: "RATE_LIMITED", retryAfterMs: 100 });
    expect([camera.muted, camera.mediaStreamTrack.enabled]).toEqual([true, false]);
    world.platform.server.on("setMuted", () => ({ case: "setMuted", value: {} }));
    await camera.setMuted(true);
    expect(muteRequests(world)).toEqual([true, true]);
  });

  it("releases a microphone at once, even while another one is being opened", async () => {
    const world = new SlowWorld();
    const room = await world.join();
    const microphone = await room.createMicrophoneAudioTrack();
    await room.publish(microphone);
    world.devices.slow = true;
    const requests = [microphone.setDevice("headset"), microphone.setMuted(true, { releaseDevice: true })];
    expect(await outcomes(world, requests)).toEqual(["resolved", "resolved"]);
    expect(liveDevices(world)).toEqual([]);
    await world.finish();
    expect([liveDevices(world), world.senderOf(microphone)?.track]).toEqual([[], null]);
    const unmuted = microphone.setMuted(false);
    await world.finish();
    await unmuted;
    expect(liveDevices(world)).toEqual(["headset"]);
  });

  it("releases the device of a track that is muted already", async () => {
    const { world, camera } = await publishCamera();
    await camera.setMuted(true);
    expect(liveDevices(world)).toEqual(["default"]);
    await camera.setMuted(true, { releaseDevice: true });
    expect(liveDevices(world)).toEqual([]);
    await camera.setMuted(true);
    expect(liveDevices(world)).toEqual([]);
  });

  it("persists when the device does not open, and a later attempt can succeed", async () => {
    const { world, camera } = await publishReleased();
    const failed = failure(camera.setMuted(false));
    await world.failDevice("NotReadableError");
    expect(await failed).toMatchObject({ code: "DEVICE_IN_USE" });
    expect([camera.muted, muteRequests(world)]).toEqual([true, [true]]);
    const unmuted = camera.setMuted(false);
    await world.finish();
    await unmuted;
    expect([camera.muted, world.serverTrack(camera)?.muted]).toEqual([false, false]);
  });
});

describe("another device", () => {
  it("is the last one that was chosen, and the other stream is stopped", async () => {
    const { world, camera } = await publishCamera();
    const chosen: string[] = [];
    camera.on("device-changed", (deviceId) => chosen.push(deviceId));
    const requests = [camera.setDevice("slow"), camera.setDevice("fast")];
    await world.finish();
    expect(await outcomes(world, requests)).toEqual(["resolved", "resolved"]);
    expect([liveDevices(world), chosen]).toEqual([["fast"], ["fast"]]);
    expect(world.senderOf(camera)?.track).toBe(opened(world));
  });

  it("is kept for the next unmute while the device is released", async () => {
    const { world, camera } = await publishReleased();
    expect(await outcomes(world, [camera.setDevice("second")])).toEqual(["resolved"]);
    expect(world.devices.pending).toEqual([]);
    const unmuted = camera.setMuted(false);
    await world.finish();
    await unmuted;
    expect([liveDevices(world), camera.muted]).toEqual([["second"], false]);
    await camera.setMuted(true, { releaseDevice: true });
    const again = camera.setMuted(false);
    await world.finish();
    await again;
    // Not the device of the track's creation.
    expect(liveDevices(world)).toEqual(["second"]);
  });

  it("that is chosen while an unmute opens the previous one is opened instead", async () => {
    const { world, camera } = await publishReleased();
    const requests = [camera.setMuted(false), camera.setDevice("second")];
    await world.finish();
    expect(await outcomes(world, requests)).toEqual(["resolved", "resolved"]);
    expect([liveDevices(world), camera.muted, world.serverTrack(camera)?.muted]).toEqual([["second"], false, false]);
  });

  it("that does not open is replaced by the previous one", async () => {
    const { world, camera } = await publishCamera();
    const changed = camera.setDevice("second");
    await world.failDevice("NotFoundError");
    expect(await outcomes(world, [changed])).toEqual(["DEVICE_NOT_FOUND"]);
    await world.finish();
    expect([liveDevices(world), camera.muted, world.serverTrack(camera)?.muted]).toEqual([["default"], false, false]);
    expect(world.senderOf(camera)?.track).toBe(opened(world));
    await camera.setMuted(true, { releaseDevice: true });
    const unmuted = camera.setMuted(false);
    await world.finish();
    await unmuted;
    expect(liveDevices(world)).toEqual(["default"]);
  });

  it("mutes the track for all participants, with an event, if neither it nor the previous one opens", async () => {
    const { world, camera } = await publishCamera();
    const heard: unknown[] = [];
    camera.on("muted", (muted) => heard.push(muted));
    camera.on("device-failed", ({ code }) => heard.push(code));
    const changed = camera.setDevice("second");
    await world.failDevice("NotFoundError");
    await world.failDevice("NotReadableError");
    expect(await outcomes(world, [changed])).toEqual(["DEVICE_NOT_FOUND"]);
    expect(heard).toEqual([true, "DEVICE_IN_USE"]);
    expect([camera.muted, world.serverTrack(camera)?.muted, world.senderOf(camera)?.track]).toEqual([true, true, null]);
    const unmuted = camera.setMuted(false);
    await world.finish();
    await unmuted;
    expect([liveDevices(world), world.serverTrack(camera)?.muted]).toEqual([["default"], false]);
  });

  it("leaves a microphone unchanged if it does not open", async () => {
    const world = new SlowWorld();
    const room = await world.join();
    const microphone = await room.createMicrophoneAudioTrack();
    await room.publish(microphone);
    world.devices.slow = true;
    const changed = microphone.setDevice("headset");
    expect(liveDevices(world)).toEqual(["default"]);
    await world.failDevice("NotFoundError");
    expect(await outcomes(world, [changed])).toEqual(["DEVICE_NOT_FOUND"]);
    expect([world.devices.pending, liveDevices(world), microphone.muted]).toEqual([[], ["default"], false]);
  });

  it("replaces one that is unplugged in the meantime", async () => {
    const world = new SlowWorld();
    const room = await world.join();
    const microphone = await room.createMicrophoneAudioTrack();
    await room.publish(microphone);
    world.devices.slow = true;
    const changed = microphone.setDevice("built-in");
    world.devices.opened[0]?.endFromOutside();
    await world.finish();
    expect(await outcomes(world, [changed])).toEqual(["resolved"]);
    expect([liveDevices(world), room.localParticipant.tracks.has(microphone)]).toEqual([["built-in"], true]);
  });

  it("is shown in the preview and reaches a pending publication", async () => {
    const world = new SlowWorld();
    const room = await world.join();
    const camera = await room.createCameraVideoTrack();
    const element = new FakeElement();
    camera.attach(element.asMediaElement());
    world.devices.slow = true;
    world.prompt = false;
    const published = room.publish(camera);
    const changed = camera.setDevice("second");
    await world.openDevice();
    await world.finish();
    await Promise.all([published, changed]);
    expect(world.senderOf(camera)?.track).toBe(opened(world));
    expect(element.srcObject?.getTracks()).toEqual([opened(world)]);
  });

  it("that ends as soon as it is open counts as one that failed", async () => {
    const { world, camera } = await publishCamera();
    camera.on("device-changed", () => expect.unreachable());
    const changed = camera.setDevice("second");
    world.devices.pending[0]?.open()[0]?.endFromOutside();
    await world.rest();
    expect(await outcomes(world, [changed])).toEqual(["DEVICE_NOT_FOUND"]);
    await world.finish();
    expect(liveDevices(world)).toEqual(["default"]);
  });
});

describe("a device that opens late", () => {
  type End = [string, (published: Published) => unknown];
  const ends: End[] = [
    ["the room is left", ({ room }) => room.leave()],
    ["the track is unpublished", ({ room, camera }) => room.unpublish(camera)],
    ["the track is stopped", ({ camera }) => camera.stop()],
    ["the server ends the session", ({ world }) => world.platform.server.close(4003)],
  ];

  it.each(ends)("is stopped at once when %s, and the unmute rejects", async (_, end) => {
    const published = await publishReleased();
    const { world, camera } = published;
    const unmuted = camera.setMuted(false);
    await world.rest();
    expect(world.devices.pending).toHaveLength(1);
    end(published);
    // The request does not wait for the device.
    expect(await outcomes(world, [unmuted])).toEqual(["CLOSED"]);
    await world.finish();
    expect([world.devices.opened.length, liveDevices(world), camera.stopped]).toEqual([2, [], true]);
  });

  it.each(ends)("is stopped at once when %s, and the change of devices rejects", async (_, end) => {
    const published = await publishCamera();
    const { world, camera } = published;
    const requests = [camera.setDevice("second"), camera.setDevice("third")];
    await world.rest();
    end(published);
    expect(await outcomes(world, requests)).toEqual(["CLOSED", "CLOSED"]);
    await world.finish();
    expect(liveDevices(world)).toEqual([]);
    expect(await failure(camera.setMuted(false))).toMatchObject({ code: "CLOSED" });
    expect(await failure(camera.setDevice("second"))).toMatchObject({ code: "CLOSED" });
    await camera.setMuted(true);
  });

  it("is stopped when the room that opened it has been left", async () => {
    const world = new SlowWorld();
    const room = await world.join();
    world.devices.slow = true;
    const creations = [room.createCameraVideoTrack(), room.createMicrophoneAudioTrack(), room.createScreenTracks()];
    await world.rest();
    await room.leave();
    await world.finish();
    expect(await outcomes(world, creations)).toEqual(["CLOSED", "CLOSED", "CLOSED"]);
    expect([world.devices.opened.length, liveDevices(world)]).toEqual([4, []]);
  });
});

describe("leaving", () => {
  it("closes the devices that the room opened, published or not, except those that were kept", async () => {
    const world = new SlowWorld();
    const room = await world.join();
    const [unpublished, refused, kept] = [
      await room.createCameraVideoTrack({ deviceId: "unpublished" }),
      await room.createCameraVideoTrack({ deviceId: "refused" }),
      await room.createCameraVideoTrack({ deviceId: "kept" }),
    ];
    const own = await createCameraVideoTrack({ deviceId: "own" }, world.platform);
    await room.publish(kept);
    await room.unpublish(kept, { stop: false });
    world.platform.server.on("offer", () => ({ case: "error", value: { code: 26, message: "no" } }));
    expect(await failure(room.publish(refused))).toMatchObject({ code: "PERMISSION_DENIED" });
    await room.leave();
    expect([unpublished.stopped, refused.stopped, kept.stopped, own.stopped]).toEqual([true, true, false, false]);
    expect(liveDevices(world)).toEqual(["kept", "own"]);
    // A published track is closed with its room, even if it is published too late.
    expect(await failure(room.publish(own))).toMatchObject({ code: "CLOSED" });
    expect(liveDevices(world)).toEqual(["kept"]);
  });

  it("does not stop a track that another room publishes", async () => {
    const [first, second] = [new SlowWorld(), new SlowWorld()];
    const [one, other] = [await first.join(), await second.join()];
    const camera = await one.createCameraVideoTrack();
    await other.publish(camera);
    await one.leave();
    expect(camera.stopped).toBe(false);
    await camera.setMuted(true);
    expect(second.serverTrack(camera)?.muted).toBe(true);
    await other.leave();
    expect(camera.stopped).toBe(true);
  });

  it.each([
    [true, "resolved"],
    [false, "CLOSED"],
  ])("settles requests that wait for the server: muted %s", async (muted, outcome) => {
    const { world, room, camera } = await publishCamera();
    await camera.setMuted(!muted);
    world.prompt = false;
    const request = camera.setMuted(muted);
    expect(await outcomes(world, [request])).toEqual(["pending"]);
    await room.leave();
    // A stopped track sends nothing, so muting it has succeeded.
    expect(await outcomes(world, [request])).toEqual([outcome]);
  });
});

describe("publishing", () => {
  let world: SlowWorld;
  let room: Room;
  let camera: LocalTrack;
  beforeEach(async () => {
    world = new SlowWorld();
    room = await world.join();
    camera = await room.createCameraVideoTrack();
    world.prompt = false;
  });
  const published = (): string[] => [...world.tracks.values()].map(({ id }) => id);

  it("then unpublishing, then publishing in one turn is one publication, which can be ended", async () => {
    const requests = [room.publish(camera), room.unpublish(camera, { stop: false }), room.publish(camera)];
    expect((await outcomes(world, requests))[0]).toBe("ABORTED");
    await world.finish();
    expect(await outcomes(world, requests)).toEqual(["ABORTED", "resolved", "resolved"]);
    expect(published()).toEqual([camera.id]);
    expect([...room.localParticipant.tracks]).toEqual([camera]);
    const ended = room.unpublish(camera, { stop: false });
    await world.finish();
    await ended;
    expect([published(), camera.id, camera.stopped]).toEqual([[], null, false]);
  });

  it("then unpublishing, then publishing is closed by leaving", async () => {
    const requests = [room.publish(camera), room.unpublish(camera, { stop: false }), room.publish(camera)];
    await world.answer();
    await room.leave();
    expect(await outcomes(world, requests)).toEqual(["ABORTED", "CLOSED", "CLOSED"]);
    expect([camera.stopped, liveDevices(world)]).toEqual([true, []]);
  });

  it("twice waits for the first", async () => {
    const requests = [room.publish(camera), room.publish(camera)];
    expect(await outcomes(world, requests)).toEqual(["pending", "pending"]);
    await world.finish();
    expect(await outcomes(world, requests)).toEqual(["resolved", "resolved"]);
    expect([world.tracks.size, camera.id]).toEqual([1, "TR_1"]);
    await room.publish(camera);
    expect(world.platform.server.named("offer")).toHaveLength(1);
  });

  it("twice rejects like the first, and can be tried again", async () => {
    world.platform.server.on("offer", () => ({ case: "error", value: { code: 26, message: "no" } }));
    const requests = [room.publish(camera), room.publish(camera)];
    expect(await outcomes(world, requests)).toEqual(["PERMISSION_DENIED", "PERMISSION_DENIED"]);
    expect([camera.id, camera.stopped]).toEqual([null, false]);
  });

  it("a rejection ends its own publication, not a later one", async () => {
    const first = room.publish(camera);
    await world.rest();
    const [request] = world.waiting.splice(0);
    const rest = [room.unpublish(camera, { stop: false }), room.publish(camera)];
    // The first offer is rejected only now.
    world.platform.server.reply(request?.requestId ?? 0, { case: "error", value: { code: 26, message: "no" } });
    await world.finish();
    expect(await outcomes(world, [first, ...rest])).toEqual(["ABORTED", "resolved", "resolved"]);
    expect(published()).toEqual([camera.id]);
  });

  it("sends a mute that came between the offer and its answer, and the mute waits for it", async () => {
    const requests = [room.publish(camera)];
    await world.rest();
    requests.push(camera.setMuted(true));
    expect(await outcomes(world, requests)).toEqual(["pending", "pending"]);
    await world.finish();
    expect(await outcomes(world, requests)).toEqual(["resolved", "resolved"]);
    expect([camera.muted, world.serverTrack(camera)?.muted]).toEqual([true, true]);
  });

  it("a device that is removed ends a pending publication", async () => {
    const pending = room.publish(camera);
    await world.rest();
    world.devices.opened[0]?.endFromOutside();
    expect(await outcomes(world, [pending])).toEqual(["ABORTED"]);
    await world.finish();
    expect([published(), camera.stopped]).toEqual([[], true]);
  });
});

describe("tracks of the join", () => {
  it("can change while the room is being joined", async () => {
    const world = new SlowWorld();
    const camera = await createCameraVideoTrack({}, world.platform);
    const microphone = await createMicrophoneAudioTrack({}, world.platform);
    const stopped = await createCameraVideoTrack({ deviceId: "stopped" }, world.platform);
    const joining = world.join({ tracks: [camera, microphone, stopped] });
    await Promise.resolve();
    const requests = [camera.setDevice("second"), microphone.setMuted(true)];
    stopped.stop();
    const room = await joining;
    await Promise.all(requests);
    await world.finish();
    expect([...room.localParticipant.tracks]).toEqual([camera, microphone]);
    const [sender] = world.platform.peer.transceivers.filter((one) => one.direction === "sendonly").map((one) => one.sender);
    expect(sender?.track).toBe(camera.mediaStreamTrack);
    expect(liveDevices(world).sort()).toEqual(["default", "second"]);
    await room.leave();
    expect(liveDevices(world)).toEqual([]);
  });

  it("still belong to the page when the join fails", async () => {
    const world = new SlowWorld();
    world.platform.server.on("join", () => ({ case: "error", value: { code: 22, message: "expired", fatal: true } }));
    const camera = await createCameraVideoTrack({}, world.platform);
    const client = new NexusClient({ appId: APP, token: token(), platform: world.platform });
    expect(await failure(client.join(ROOM, { tracks: [camera] }))).toMatchObject({ code: "TOKEN_EXPIRED" });
    await camera.setMuted(true);
    expect([camera.stopped, camera.hasPublisher]).toEqual([false, false]);
  });
});

describe("an interruption", () => {
  it("by the system appears as muted to others, and ends", async () => {
    const { world, camera } = await publishCamera();
    const heard: unknown[] = [];
    camera.on("interrupted", (interrupted) => heard.push(interrupted));
    camera.on("muted", () => expect.unreachable());
    world.devices.opened[0]?.muteFromOutside();
    await world.rest();
    expect([camera.interrupted, camera.muted, world.serverTrack(camera)?.muted]).toEqual([true, false, true]);
    world.devices.opened[0]?.muteFromOutside(false);
    await world.rest();
    expect([camera.interrupted, world.serverTrack(camera)?.muted, heard]).toEqual([false, false, [true, false]]);
  });

  it("does not unmute what the page has muted", async () => {
    const { world, camera } = await publishCamera();
    const [device] = world.devices.opened;
    device?.muteFromOutside();
    await camera.setMuted(true);
    device?.muteFromOutside(false);
    await world.rest();
    expect([camera.muted, world.serverTrack(camera)?.muted]).toEqual([true, true]);
    device?.muteFromOutside();
    await camera.setMuted(false);
    expect([camera.muted, world.serverTrack(camera)?.muted]).toEqual([false, true]);
    device?.muteFromOutside(false);
    await world.rest();
    expect(world.serverTrack(camera)?.muted).toBe(false);
  });

  it("ends when the device is replaced", async () => {
    const { world, camera } = await publishCamera();
    world.devices.opened[0]?.muteFromOutside();
    const changed = camera.setDevice("second");
    await world.finish();
    await changed;
    expect([camera.interrupted, world.serverTrack(camera)?.muted]).toEqual([false, false]);
  });

  it("before the track is published is sent with it", async () => {
    const world = new SlowWorld();
    const room = await world.join();
    const camera = await room.createCameraVideoTrack();
    world.devices.opened[0]?.muteFromOutside();
    await room.publish(camera);
    expect(world.serverTrack(camera)?.muted).toBe(true);
  });
});

it("a track whose device was removed is published as muted, until the device is replaced", async () => {
  const world = new SlowWorld();
  const room = await world.join();
  const camera = await room.createCameraVideoTrack();
  world.devices.opened[0]?.endFromOutside();
  await room.publish(camera);
  expect([camera.interrupted, world.serverTrack(camera)?.muted, world.senderOf(camera)?.track]).toEqual([true, true, null]);
  await camera.setDevice("second");
  expect([camera.interrupted, world.serverTrack(camera)?.muted]).toEqual([false, false]);
  expect(world.senderOf(camera)?.track).toBe(opened(world));
});

it("a device that was removed can be replaced before its track is published", async () => {
  const world = new SlowWorld();
  const camera = await createCameraVideoTrack({}, world.platform);
  let ended = 0;
  camera.on("ended", () => (ended += 1));
  world.devices.opened[0]?.endFromOutside();
  expect([ended, camera.stopped]).toEqual([1, false]);
  await camera.setDevice("second");
  expect(liveDevices(world)).toEqual(["second"]);
});
