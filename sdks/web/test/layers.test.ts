/** Layers of a video: what is published, layer demand, and views; on the fake platform. */
import { describe, expect, it } from "vitest";
import type { CameraTrackOptions, LocalTrack, RemoteTrack, Room } from "../src/index.js";
import { HIDE_DELAY_MS, VIEW_DELAY_MS } from "../src/core/views.js";
import { SIZE_INTERVAL_MS } from "../src/room/publications.js";
import { FakeElement, type FakePlatform, type ServerBody } from "../src/testing.js";
import type { FakeTransceiver } from "../src/testing/fake_peer.js";
import { participantOf, track, world, type World } from "./fixtures.js";

const LAYERS = [
  { rid: "q", width: 320, height: 180 },
  { rid: "h", width: 640, height: 360 },
  { rid: "f", width: 1280, height: 720 },
];
const bob = participantOf("PA_bob", "bob", [track("TR_bob", 2, "PA_bob", { layers: LAYERS })]);

const sendEvent = (platform: FakePlatform, event: ServerBody): void =>
  platform.server.tell({ case: "event", value: { revision: 0n, event } });

const sendDemand = (platform: FakePlatform, trackId: string, maxSpatial: number, watched = true): void =>
  sendEvent(platform, { case: "layerDemandChanged", value: { demands: [{ trackId, watched, maxSpatial, maxTemporal: 2 }] } });

interface Publishing {
  readonly one: World;
  readonly camera: LocalTrack;
  readonly sending: FakeTransceiver;
}

async function publish(options: CameraTrackOptions, one = world()): Promise<Publishing> {
  const room = await one.join();
  const camera = await room.createCameraVideoTrack(options);
  await room.publish(camera);
  const sending = one.platform.peer.transceivers[11];
  if (sending === undefined) throw new Error("nothing was published");
  return { one, camera, sending };
}

const publicationOf = ({ platform }: World): unknown => {
  const { publications } = (platform.server.named("offer").at(-1)?.value ?? {}) as { publications?: unknown[] };
  return publications?.[0];
};

describe("a published camera", () => {
  it("describes its layers, low to high", async () => {
    const { one, sending } = await publish({ codec: "vp8" });
    expect(sending.sender.encodings.map(({ rid }) => rid)).toEqual(["q", "h", "f"]);
    expect(publicationOf(one)).toMatchObject({
      layers: [
        { rid: "q", spatial: 0, width: 320, height: 180 },
        { rid: "h", spatial: 1, width: 640, height: 360 },
        { rid: "f", spatial: 2, width: 1280, height: 720, maxBitrateBps: 1_700_000 },
      ],
      scalabilityMode: "",
    });
  });

  it("is scalable where codec and browser support it", async () => {
    const { one } = await publish({ codec: "vp9" });
    expect(publicationOf(one)).toMatchObject({ scalabilityMode: "L3T3_KEY", layers: [{}, {}, {}] });
  });

  it.each(["ignored", "refused"] as const)("is plain where SVC is %s", async (scalability) => {
    const one = world();
    const joining = one.join();
    one.platform.peer.scalability = scalability;
    const room = await joining;
    await room.publish(await room.createCameraVideoTrack({ codec: "av1" }));
    expect(publicationOf(one)).toMatchObject({ scalabilityMode: "", layers: [] });
    expect(one.platform.peer.transceivers[11]?.sender.encodings).toHaveLength(1);
    // Rejected plans leave no sections behind.
    expect(one.platform.peer.transceivers).toHaveLength(12);
  });

  it("is simulcast without temporal layers where those are rejected", async () => {
    const one = world();
    const joining = one.join();
    one.platform.peer.scalability = "refused";
    const room = await joining;
    await room.publish(await room.createCameraVideoTrack({ codec: "vp8" }));
    expect(one.platform.peer.transceivers[11]?.sender.encodings.map(({ rid }) => rid)).toEqual(["q", "h", "f"]);
  });

  it("can have one encoding", async () => {
    const { one, sending } = await publish({ codec: "vp8", layered: false });
    expect(sending.sender.encodings).toEqual([{ maxBitrate: 1_700_000 }]);
    expect(publicationOf(one)).toMatchObject({ layers: [], scalabilityMode: "" });
  });

  it("reuses a section only if its encodings are the same", async () => {
    const one = world();
    const room = await one.join();
    const create = (layered: boolean): Promise<LocalTrack> => room.createCameraVideoTrack({ codec: "vp8", layered });
    const first = await create(true);
    await room.publish(first);
    await room.unpublish(first);
    await room.publish(await create(false));
    expect(one.platform.peer.transceivers).toHaveLength(13);
    await room.publish(await create(true));
    expect(one.platform.peer.transceivers).toHaveLength(13);
  });
});

describe("a source of another size", () => {
  const shape = ({ sending }: Publishing): unknown[] =>
    sending.sender.encodings.map((one) => [one.active ?? true, one.scaleResolutionDownBy]);
  const layersReported = ({ platform }: World): unknown[] => {
    const { layers } = publicationOf({ platform } as World) as { layers: { width: number; height: number; inactive: boolean }[] };
    return layers.map(({ width, height, inactive }) => (inactive ? "inactive" : `${width}x${height}`));
  };
  const offers = ({ platform }: World): number => platform.server.named("offer").length;

  it("after a change of camera is sent at full size, and the server gets the new sizes", async () => {
    const all = await publish({ codec: "vp8" });
    const { one, camera } = all;
    one.platform.deviceAccess.sizes.set("old", { width: 640, height: 480 });
    await camera.setDevice("old");
    await one.platform.settle();
    expect(shape(all)).toEqual([[true, 2], [true, 1], [false, 1]]);
    expect([publicationOf(one), layersReported(one)]).toMatchObject([{ width: 640, height: 480 }, ["320x240", "640x480", "inactive"]]);
    await camera.setDevice("default");
    await one.platform.settle();
    expect(shape(all)).toEqual([[true, 4], [true, 2], [true, 1]]);
    expect([publicationOf(one), layersReported(one)]).toMatchObject([{ width: 1280 }, ["320x180", "640x360", "1280x720"]]);
    expect(offers(one)).toBe(3);
  });

  it("is noticed although no event reports it, and sent once", async () => {
    const all = await publish({ codec: "h264" });
    const { one } = all;
    const [device] = one.platform.deviceAccess.opened;
    if (device === undefined) throw new Error("no device");
    device.size = { width: 720, height: 1280 };
    await one.platform.advance(SIZE_INTERVAL_MS);
    await one.platform.settle();
    expect(layersReported(one)).toEqual(["180x320", "360x640", "720x1280"]);
    await one.platform.advance(10 * SIZE_INTERVAL_MS);
    expect(offers(one)).toBe(2);
    await all.camera.setMuted(true, { releaseDevice: true });
    await one.platform.advance(SIZE_INTERVAL_MS);
    expect(offers(one)).toBe(2);
  });

  it("is ignored while its size is unknown", async () => {
    const all = await publish({ codec: "vp8" });
    const [device] = all.one.platform.deviceAccess.opened;
    if (device === undefined) throw new Error("no device");
    device.size = { width: 0, height: 0 };
    await all.one.platform.advance(SIZE_INTERVAL_MS);
    expect(offers(all.one)).toBe(1);
  });

  it("keeps layers without demand switched off", async () => {
    const all = await publish({ codec: "vp8" });
    const { one, camera } = all;
    sendDemand(one.platform, "TR_own11", 0);
    await one.platform.settle();
    one.platform.deviceAccess.sizes.set("old", { width: 640, height: 480 });
    await camera.setDevice("old");
    await one.platform.settle();
    expect(shape(all)).toEqual([[true, 2], [false, 1], [false, 1]]);
    sendDemand(one.platform, "TR_own11", 3);
    await one.platform.settle();
    expect(shape(all)).toEqual([[true, 2], [true, 1], [false, 1]]);
  });

  it("of a remote track is reported, without inactive layers", async () => {
    const { platform, join } = world({ others: [bob], bound: { "1": "TR_bob" } });
    platform.server.on("updateView", () => ({ case: "updateView", value: {} }));
    const room = await join();
    const remote = [...room.participants.values()][0]?.track("camera");
    if (remote === undefined) throw new Error("Bob has no camera");
    remote.attach(new FakeElement().asMediaElement());
    remote.setVideoLayers({ maxWidth: 640 });
    await platform.advance(VIEW_DELAY_MS);
    let reported = 0;
    remote.on("updated", () => (reported += 1));
    const layers = [
      { rid: "q", width: 320, height: 240 },
      { rid: "h", width: 640, height: 480 },
      { rid: "f", inactive: true },
    ];
    const described = track("TR_bob", 2, "PA_bob", { width: 640, height: 480, layers });
    sendEvent(platform, { case: "trackUpdated", value: { track: described } });
    expect([reported, remote.width, remote.layers.map(({ rid }) => rid)]).toEqual([1, 640, ["q", "h"]]);
    sendEvent(platform, { case: "trackUpdated", value: { track: described } });
    expect(reported).toBe(1);
    const wide = track("TR_bob", 2, "PA_bob", { layers: layers.map((one) => ({ ...one, width: 1000, height: 750, inactive: false })) });
    const participants = [participantOf("PA_ada", "ada"), participantOf("PA_bob", "bob", [wide])];
    platform.server.tell({ case: "snapshot", value: { participants, revision: 9n } });
    await platform.advance(VIEW_DELAY_MS);
    expect(reported).toBe(2);
    expect(platform.server.named("updateView").map(({ value }) => (value["views"] as { maxSpatial?: number }[])[0]?.maxSpatial)).toEqual([1, 0]);
  });
});

describe("layers without demand", () => {
  const active = ({ sending }: Publishing): unknown[] => sending.sender.encodings.map((one) => one.active ?? true);

  it("are not sent until there is demand again", async () => {
    const all = await publish({ codec: "vp8" });
    const { platform } = all.one;
    sendDemand(platform, "TR_own11", 1);
    await platform.settle();
    expect(active(all)).toEqual([true, true, false]);
    sendDemand(platform, "TR_own11", 0, false);
    await platform.settle();
    expect(active(all)).toEqual([false, false, false]);
    sendDemand(platform, "TR_own11", 2);
    await platform.settle();
    expect(active(all)).toEqual([true, true, true]);
  });

  it("are switched by one setParameters at a time, the newest demand last", async () => {
    const all = await publish({ codec: "vp8" });
    const { sender } = all.sending;
    let [running, most, calls] = [0, 0, 0];
    const apply = sender.setParameters.bind(sender);
    sender.setParameters = async (parameters) => {
      running += 1;
      calls += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setTimeout(resolve, 0));
      await apply(parameters);
      running -= 1;
    };
    for (const spatial of [0, 1, 2, 0, 1]) sendDemand(all.one.platform, "TR_own11", spatial);
    await all.one.platform.settle();
    expect(active(all)).toEqual([true, true, false]);
    expect(most).toBe(1);
    expect(calls).toBe(2);
  });

  it("stay switched off after a failed setParameters and a re-offer", async () => {
    const all = await publish({ codec: "vp8" });
    const { platform } = all.one;
    const { sender } = all.sending;
    const apply = sender.setParameters.bind(sender);
    sender.setParameters = () => Promise.reject(new DOMException("busy", "InvalidStateError"));
    sendDemand(platform, "TR_own11", 0);
    await platform.settle();
    sender.setParameters = apply;
    sendEvent(platform, { case: "reofferNeeded", value: { pairs: 6, audioSlots: 3 } });
    await platform.settle();
    expect(active(all)).toEqual([true, false, false]);
  });

  it("are known from a snapshot as well", async () => {
    const all = await publish({ codec: "vp8" });
    const { platform } = all.one;
    const layerDemands = [{ trackId: "TR_own11", watched: true, maxSpatial: 0, maxTemporal: 0 }];
    const participants = [participantOf("PA_ada", "ada", [])];
    platform.server.tell({ case: "snapshot", value: { participants, revision: 20n, layerDemands } });
    await platform.settle();
    expect(active(all)).toEqual([true, false, false]);
  });
});

describe("a view", () => {
  interface Watching {
    readonly one: World;
    readonly room: Room;
    readonly remote: RemoteTrack;
    readonly element: FakeElement;
  }

  async function watch(): Promise<Watching> {
    const one = world({ others: [bob], bound: { "1": "TR_bob" } });
    one.platform.server.on("updateView", () => ({ case: "updateView", value: {} }));
    const room = await one.join();
    const remote = [...room.participants.values()][0]?.track("camera");
    if (remote === undefined) throw new Error("Bob has no camera");
    const element = new FakeElement();
    remote.attach(element.asMediaElement());
    await one.platform.advance(VIEW_DELAY_MS);
    return { one, room, remote, element };
  }

  const reported = ({ platform }: World): unknown[] =>
    platform.server.named("updateView").map(({ value }) => (value["views"] as unknown[])[0]);

  it("follows the size of the elements in steps", async () => {
    const { one, element } = await watch();
    one.platform.see(element, { width: 630, height: 350, visible: true });
    await one.platform.advance(VIEW_DELAY_MS);
    one.platform.see(element, { width: 635, height: 352, visible: true });
    await one.platform.advance(VIEW_DELAY_MS);
    expect(reported(one)).toMatchObject([{ trackId: "TR_bob", width: 640, height: 352, hidden: false }]);
  });

  it("is that of the largest visible element", async () => {
    const { one, remote, element } = await watch();
    const other = new FakeElement();
    remote.attach(other.asMediaElement());
    one.platform.see(element, { width: 160, height: 96, visible: true });
    one.platform.see(other, { width: 1280, height: 720, visible: true });
    await one.platform.advance(VIEW_DELAY_MS);
    one.platform.see(other, { width: 1280, height: 720, visible: false });
    await one.platform.advance(VIEW_DELAY_MS);
    expect(reported(one)).toMatchObject([{ width: 1280 }, { width: 160, hidden: false }]);
  });

  it("is hidden when the elements have been out of sight for some time", async () => {
    const { one, element } = await watch();
    one.platform.see(element, { width: 0, height: 0, visible: false });
    await one.platform.advance(HIDE_DELAY_MS - 1);
    expect(reported(one)).toEqual([]);
    await one.platform.advance(1);
    expect(reported(one)).toMatchObject([{ hidden: true }]);
  });

  it("contains pins, priorities and limits", async () => {
    const { one, remote } = await watch();
    remote.pin();
    remote.setPriority(1_000);
    remote.setVideoLayers({ maxWidth: 700, temporal: 1 });
    await one.platform.advance(VIEW_DELAY_MS);
    remote.setVideoLayers({ maxWidth: 100 });
    await one.platform.advance(VIEW_DELAY_MS);
    remote.setVideoLayers(null);
    remote.pin(false);
    await one.platform.advance(VIEW_DELAY_MS);
    expect(reported(one)).toMatchObject([
      { pinned: true, priority: 255, maxSpatial: 1, maxTemporal: 1 },
      { pinned: true, maxSpatial: 0 },
      { pinned: false, priority: 255 },
    ]);
    expect(reported(one).map((view) => "maxTemporal" in (view as object))).toEqual([true, false, false]);
    expect(reported(one).map((view) => "maxSpatial" in (view as object))).toEqual([true, true, false]);
  });

  it("that the server rejects is reported once as an error of the room", async () => {
    const { one, room, remote } = await watch();
    const errors: string[] = [];
    room.on("error", ({ code }) => errors.push(code));
    one.platform.server.on("updateView", () => ({ case: "error", value: { code: 26, message: "no" } }));
    remote.pin();
    await one.platform.advance(10_000);
    expect(errors).toEqual(["PERMISSION_DENIED"]);
  });
});

describe("pauses and quality", () => {
  it("are reported to room, track and participant", async () => {
    const { platform, join } = world({ others: [bob], bound: { "1": "TR_bob" } });
    const room = await join();
    const [participant] = room.participants.values();
    const remote = participant?.track("camera");
    const heard: unknown[] = [];
    room.on("track-paused", ({ id }) => heard.push(["paused", id]));
    room.on("track-resumed", ({ id }) => heard.push(["resumed", id]));
    remote?.on("paused", (paused) => heard.push(paused));
    room.on("connection-quality", ({ identity }, quality) => heard.push([identity, quality]));
    participant?.on("connection-quality", (quality) => heard.push(quality));
    sendEvent(platform, { case: "trackPaused", value: { trackId: "TR_bob", reason: 1 } });
    expect(remote?.paused).toBe(true);
    sendEvent(platform, { case: "trackResumed", value: { trackId: "TR_bob" } });
    sendEvent(platform, { case: "connectionQuality", value: { participantId: "PA_bob", quality: 2, score: 40 } });
    sendEvent(platform, { case: "connectionQuality", value: { participantId: "PA_ada", quality: 4, score: 99 } });
    expect(heard).toEqual([
      true,
      ["paused", "TR_bob"],
      false,
      ["resumed", "TR_bob"],
      "poor",
      ["bob", "poor"],
      ["ada", "excellent"],
    ]);
    expect([participant?.connectionQuality, room.localParticipant.connectionQuality]).toEqual(["poor", "excellent"]);
  });

  it("are known to a participant that joins later", async () => {
    const others = [{ ...participantOf("PA_bob", "bob"), connectionQuality: 3 }];
    const room = await world({ others }).join();
    expect([...room.participants.values()].map((one) => one.connectionQuality)).toEqual(["good"]);
  });

  it("end with the slot", async () => {
    const { platform, join } = world({ others: [bob], bound: { "1": "TR_bob" } });
    const room = await join();
    const remote = [...room.participants.values()][0]?.track("camera");
    sendEvent(platform, { case: "trackPaused", value: { trackId: "TR_bob", reason: 1 } });
    sendEvent(platform, { case: "slotsChanged", value: { slots: { revision: 7, slots: [{ mid: "1", kind: 2, pair: 0 }] } } });
    expect(remote?.paused).toBe(false);
  });
});
