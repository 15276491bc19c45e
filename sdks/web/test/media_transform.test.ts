/** Every sender that sends and every receiver that receives is passed to the media transform exactly once. */
import { describe, expect, it } from "vitest";
import { createCameraVideoTrack, createMicrophoneAudioTrack, type LocalTrack, type Room } from "../src/index.js";
import type { FakePeerConnection, FakeTransceiver } from "../src/testing.js";
import { FakeMediaTransform } from "../src/testing/fake_media_transform.js";
import { world, type World } from "./fixtures.js";

interface Scene extends World {
  readonly transform: FakeMediaTransform;
}

function scene(): Scene {
  const transform = new FakeMediaTransform();
  return { ...world({ client: { mediaTransform: transform } }), transform };
}

/** Sections that receive are slots; all others publish, or did. */
const isSlot = ({ direction }: FakeTransceiver): boolean => direction === "recvonly";

function expectEachOnce({ platform, transform }: Scene): void {
  const all = platform.peers.flatMap(({ transceivers }: FakePeerConnection) => transceivers);
  const publishing = all.filter((one) => !isSlot(one));
  const slots = all.filter(isSlot);
  expect(transform.senders).toEqual(publishing.map(({ sender, kind }) => [sender, kind]));
  expect(transform.receivers).toEqual(slots.map(({ receiver, kind }) => [receiver, kind]));
  expect(new Set(transform.senders.map(([sender]) => sender)).size).toBe(publishing.length);
  expect(new Set(transform.receivers.map(([receiver]) => receiver)).size).toBe(slots.length);
}

async function publishCamera(room: Room): Promise<LocalTrack> {
  const camera = await room.createCameraVideoTrack({ codec: "vp8" });
  await room.publish(camera);
  return camera;
}

describe("the media transform", () => {
  it("is attached to the slots and tracks of a join before the join is sent", async () => {
    const one = scene();
    const camera = await createCameraVideoTrack({}, one.platform);
    const microphone = await createMicrophoneAudioTrack({}, one.platform);
    one.platform.server.on("join", () => {
      expect([one.transform.receivers.length, one.transform.senders.map(([, kind]) => kind)]).toEqual([11, ["video", "audio"]]);
      return { case: "error", value: { code: 22, message: "expired", fatal: true } };
    });
    await expect(one.join({ tracks: [camera, microphone] })).rejects.toMatchObject({ code: "TOKEN_EXPIRED" });
    expectEachOnce(one);
  });

  it("is attached to the slots that a re-offer adds, and not again to the others", async () => {
    const one = scene();
    await one.join();
    const event = { case: "reofferNeeded", value: { pairs: 6, audioSlots: 4 } };
    for (let time = 0; time < 2; time += 1) {
      one.platform.server.tell({ case: "event", value: { revision: 0n, event } });
      await one.platform.settle();
    }
    expect(one.transform.receivers).toHaveLength(16);
    expectEachOnce(one);
  });

  it("stays with a sender across ICE restarts, other devices, muting and republishing", async () => {
    const one = scene();
    const room = await one.join();
    const camera = await publishCamera(room);
    one.platform.peer.become("connected");
    one.platform.peer.become("failed");
    await one.platform.advance(1);
    one.platform.peer.become("connected");
    await one.platform.settle();
    expect(one.platform.peer.iceGeneration).toBe(1);
    await camera.setDevice("second");
    await camera.setMuted(true, { releaseDevice: true });
    await camera.setMuted(false);
    await room.unpublish(camera);
    await publishCamera(room);
    expect(one.transform.senders).toHaveLength(1);
    expectEachOnce(one);
  });

  it("is attached to a new sender where no earlier one fits", async () => {
    const one = scene();
    const room = await one.join();
    await publishCamera(room);
    await publishCamera(room);
    await room.publish(await room.createMicrophoneAudioTrack());
    expect(one.transform.senders.map(([, kind]) => kind)).toEqual(["video", "video", "audio"]);
    expectEachOnce(one);
  });

  it("is attached once where the browser refuses the first plans of encodings", async () => {
    const one = scene();
    const joining = one.join();
    one.platform.peer.scalability = "refused";
    const room = await joining;
    await room.publish(await room.createCameraVideoTrack({ codec: "av1" }));
    expect(one.transform.senders).toHaveLength(1);
    expectEachOnce(one);
  });

  it("is attached to the senders and receivers of a new connection after leaving and joining again", async () => {
    const one = scene();
    const first = await one.join();
    await publishCamera(first);
    await first.leave();
    await publishCamera(await one.join());
    expect([one.platform.peers.length, one.transform.senders.length, one.transform.receivers.length]).toEqual([2, 2, 22]);
    expectEachOnce(one);
  });
});
