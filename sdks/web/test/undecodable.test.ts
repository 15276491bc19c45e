/** A track whose codec this browser does not decode: reported with the reason, and not requested again. */
import { describe, expect, it } from "vitest";
import type { RemoteTrack, Room } from "../src/index.js";
import { FakeElement, type FakePlatform } from "../src/testing.js";
import { participantOf, slotTable, track, world, type World } from "./fixtures.js";

const BOB = participantOf("PA_bob", "bob", [track("TR_bob", 2, "PA_bob"), track("TR_other", 3, "PA_bob", { source: 3 })]);
const UNSUPPORTED_CODEC = 2;
const BANDWIDTH = 1;

interface Scene extends World {
  readonly room: Room;
  readonly camera: RemoteTrack;
  /** The emitted events, in order. */
  readonly reported: string[];
}

async function scene(): Promise<Scene> {
  const one = world({ others: [BOB] });
  one.platform.server.on("updateSlots", ({ value }) => ({
    case: "updateSlots",
    value: { slots: { revision: 1, slots: [] }, unplacedTrackIds: value["bindTrackIds"] },
  }));
  const room = await one.join();
  const camera = room.participants.values().next().value?.track("camera");
  if (camera === undefined) throw new Error("no camera");
  const reported: string[] = [];
  camera.on("paused", (paused, reason) => reported.push(`track ${paused} ${reason}`));
  room.on("track-paused", (paused, participant, reason) => reported.push(`paused ${paused.id} ${participant.identity} ${reason}`));
  room.on("track-resumed", ({ id }) => reported.push(`resumed ${id}`));
  return { ...one, room, camera, reported };
}

function sendEvent(platform: FakePlatform, revision: bigint, event: { case: string; value: object }): void {
  platform.server.tell({ case: "event", value: { revision, event } });
}

const paused = (reason: number): { case: string; value: object } => ({ case: "trackPaused", value: { trackId: "TR_bob", reason } });
const resumed = { case: "trackResumed", value: { trackId: "TR_bob" } };

/** The ids to bind of each request. */
const requested = ({ server }: FakePlatform): string[][] => server.named("updateSlots").map(({ value }) => value["bindTrackIds"] as string[]);

async function newTable({ platform }: Scene, revision: number, bound: Readonly<Record<string, string>> = {}): Promise<void> {
  const { sdp } = await platform.peer.createOffer();
  sendEvent(platform, 0n, { case: "slotsChanged", value: { slots: slotTable(sdp ?? "", revision, bound) } });
}

describe("a track that cannot be decoded", () => {
  it("is reported by events and properties of the track and of the room", async () => {
    const { platform, camera, reported } = await scene();
    camera.attach(new FakeElement().asMediaElement());
    await platform.advance(10);
    expect(requested(platform)).toEqual([["TR_bob"]]);
    expect([camera.paused, camera.pauseReason]).toEqual([false, null]);
    sendEvent(platform, 6n, paused(UNSUPPORTED_CODEC));
    expect([camera.paused, camera.pauseReason]).toEqual([true, "unsupported-codec"]);
    expect(reported).toEqual(["track true unsupported-codec", "paused TR_bob bob unsupported-codec"]);
    sendEvent(platform, 7n, paused(UNSUPPORTED_CODEC));
    expect(reported).toHaveLength(2);
    sendEvent(platform, 8n, resumed);
    expect([camera.paused, camera.pauseReason]).toEqual([false, null]);
    expect(reported.slice(2)).toEqual(["track false null", "resumed TR_bob"]);
  });

  it("stays paused whatever happens to the slots, and is not requested again", async () => {
    const one = await scene();
    const { platform, camera, reported } = one;
    camera.attach(new FakeElement().asMediaElement());
    await platform.advance(10);
    sendEvent(platform, 6n, paused(UNSUPPORTED_CODEC));
    for (const revision of [2, 3, 4]) {
      await newTable(one, revision);
      await platform.advance(1_000);
    }
    camera.detach();
    camera.attach(new FakeElement().asMediaElement());
    await platform.advance(5_000);
    expect(requested(platform)).toEqual([["TR_bob"]]);
    expect(camera.pauseReason).toBe("unsupported-codec");
    expect(reported).toHaveLength(2);
  });

  it("is shown when the server binds it", async () => {
    const one = await scene();
    const { platform, camera } = one;
    const element = new FakeElement();
    camera.attach(element.asMediaElement());
    await platform.advance(10);
    sendEvent(platform, 6n, paused(UNSUPPORTED_CODEC));
    sendEvent(platform, 7n, resumed);
    await newTable(one, 2, { "1": "TR_bob" });
    await platform.advance(1_000);
    expect(element.srcObject).not.toBeNull();
    expect(requested(platform)).toEqual([["TR_bob"]]);
  });

  it("is forgotten when the track is unpublished, without `track-resumed`", async () => {
    const { platform, camera, reported } = await scene();
    sendEvent(platform, 6n, paused(UNSUPPORTED_CODEC));
    reported.length = 0;
    sendEvent(platform, 7n, { case: "trackUnpublished", value: { trackId: "TR_bob", participantId: "PA_bob" } });
    sendEvent(platform, 8n, { case: "trackPublished", value: { track: track("TR_bob", 9, "PA_bob") } });
    expect(reported).toEqual([]);
    expect(camera.ended).toBe(true);
  });

  it("is known to a room that was informed during the join", async () => {
    const one = world({ others: [BOB] });
    const joining = one.join();
    let apply: () => void = () => undefined;
    const { peer } = one.platform;
    const original = peer.setRemoteDescription.bind(peer);
    peer.setRemoteDescription = () => new Promise<void>((resolve) => (apply = resolve)).then(original);
    await one.platform.settle();
    sendEvent(one.platform, 6n, paused(UNSUPPORTED_CODEC));
    apply();
    const room = await joining;
    expect(room.participants.values().next().value?.track("camera")?.pauseReason).toBe("unsupported-codec");
  });
});

describe("pause reasons", () => {
  it("can change", async () => {
    const one = await scene();
    const { platform, camera, reported } = one;
    await newTable(one, 2, { "1": "TR_bob" });
    sendEvent(platform, 6n, paused(BANDWIDTH));
    sendEvent(platform, 7n, paused(UNSUPPORTED_CODEC));
    expect(reported.filter((line) => line.startsWith("track"))).toEqual(["track true bandwidth", "track true unsupported-codec"]);
    sendEvent(platform, 8n, paused(99));
    expect(camera.pauseReason).toBe("unknown");
  });

  it("come with a snapshot", async () => {
    const { platform, camera } = await scene();
    const snapshot = (more: object): void =>
      platform.server.tell({ case: "snapshot", value: { participants: [participantOf("PA_ada", "ada"), BOB], revision: 9n, ...more } });
    snapshot({ pausedTracks: [{ trackId: "TR_bob", reason: UNSUPPORTED_CODEC }] });
    expect(camera.pauseReason).toBe("unsupported-codec");
    snapshot({ pausedTracks: [{ trackId: "TR_bob", reason: BANDWIDTH }] });
    expect(camera.pauseReason).toBe("bandwidth");
    snapshot({});
    expect(camera.pauseReason).toBeNull();
  });
});
