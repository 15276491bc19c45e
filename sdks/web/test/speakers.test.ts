/** Active speakers: known from the join on, after an outage, and to listeners that are added later. */
import { describe, expect, it } from "vitest";
import type { Room } from "../src/index.js";
import type { FakePlatform } from "../src/testing.js";
import { microphone, participantOf, world, type World } from "./fixtures.js";

const OTHERS = ["bob", "carol"].map((name, index) => participantOf(`PA_${name}`, name, [microphone(`TR_${name}`, index + 1, `PA_${name}`)]));

const speaking = (revision: bigint, ...names: string[]): object => ({
  revision,
  speakers: names.map((name) => ({ participantId: `PA_${name}`, trackId: `TR_${name}`, levelDbov: -20 })),
});

function sendSpeakers(platform: FakePlatform, revision: bigint, ...names: string[]): void {
  const event = { case: "activeSpeakers", value: speaking(revision, ...names) };
  platform.server.tell({ case: "event", value: { revision: 0n, event } });
}

function sendSnapshot(platform: FakePlatform, activeSpeakers?: object): void {
  const value = { participants: [participantOf("PA_ada", "ada"), ...OTHERS], revision: 9n, ...(activeSpeakers && { activeSpeakers }) };
  platform.server.tell({ case: "snapshot", value });
}

/** A room whose join response has active speakers. */
async function joined(activeSpeakers?: object): Promise<World & { readonly room: Room }> {
  const one = world({ others: OTHERS, joined: activeSpeakers === undefined ? {} : { activeSpeakers } });
  return { ...one, room: await one.join() };
}

const names = (room: Room): string[] => room.activeSpeakers.map(({ participant }) => participant.identity);
const flags = (room: Room): string[] =>
  [room.localParticipant, ...room.participants.values()].filter((one) => one.speaking).map(({ identity }) => identity);

describe("a participant that joins while others speak", () => {
  it("knows the speakers at once, including itself", async () => {
    const { room } = await joined(speaking(7n, "carol", "ada"));
    expect(names(room)).toEqual(["carol", "ada"]);
    expect(flags(room)).toEqual(["ada", "carol"]);
    expect(room.activeSpeakers[0]).toMatchObject({ trackId: "TR_carol", levelDbov: -20 });
  });

  it("calls every listener that is added, once", async () => {
    const { room, platform } = await joined(speaking(7n, "carol"));
    const heard: string[] = [];
    room.on("active-speakers", (speakers) => heard.push(speakers.map(({ participant }) => participant.identity).join()));
    room.on("participant-joined", (one) => one.on("speaking", (now) => heard.push(`${one.identity} ${now}`)));
    await platform.settle();
    expect(heard).toEqual(["carol", "carol true"]);
    sendSpeakers(platform, 8n);
    expect(heard).toEqual(["carol", "carol true", "carol false", ""]);
    expect(names(room)).toEqual([]);
  });

  it("calls no listener if no participant speaks or the server sends no speakers", async () => {
    for (const reported of [speaking(0n), speaking(3n), undefined]) {
      const { room, platform } = await joined(reported);
      const heard: unknown[] = [];
      room.on("active-speakers", (speakers) => heard.push(speakers));
      await platform.settle();
      expect([heard, names(room), flags(room)]).toEqual([[], [], []]);
    }
  });

  it("ignores an event that is older than the response", async () => {
    const { room, platform } = await joined(speaking(7n, "carol"));
    const heard: unknown[] = [];
    await platform.settle();
    room.on("active-speakers", (speakers) => heard.push(speakers));
    await platform.settle();
    heard.length = 0;
    for (const revision of [5n, 6n, 7n]) sendSpeakers(platform, revision, "bob");
    expect([heard, names(room)]).toEqual([[], ["carol"]]);
    sendSpeakers(platform, 8n, "bob");
    expect([heard.length, names(room), flags(room)]).toEqual([1, ["bob"], ["bob"]]);
  });

  it("applies events that arrive while the answer is being applied", async () => {
    const one = world({ others: OTHERS, joined: { activeSpeakers: speaking(7n, "carol") } });
    const joining = one.join();
    let apply: () => void = () => undefined;
    const { peer } = one.platform;
    const original = peer.setRemoteDescription.bind(peer);
    peer.setRemoteDescription = () => new Promise<void>((resolve) => (apply = resolve)).then(original);
    await one.platform.settle();
    sendSpeakers(one.platform, 8n, "bob");
    apply();
    const room = await joining;
    expect([names(room), flags(room)]).toEqual([["bob"], ["bob"]]);
  });
});

describe("a snapshot after an outage", () => {
  it("replaces the speakers", async () => {
    const { room, platform } = await joined(speaking(7n, "carol"));
    const heard: string[][] = [];
    room.on("active-speakers", (speakers) => heard.push(speakers.map(({ participant }) => participant.identity)));
    await platform.settle();
    sendSnapshot(platform, speaking(12n, "bob"));
    expect([names(room), flags(room)]).toEqual([["bob"], ["bob"]]);
    // An event that was in flight before the outage arrives after the snapshot.
    sendSpeakers(platform, 11n, "carol");
    sendSnapshot(platform, speaking(13n));
    expect(heard).toEqual([["carol"], ["bob"], []]);
    expect(flags(room)).toEqual([]);
  });

  it("without speakers keeps the previous ones", async () => {
    const { room, platform } = await joined();
    sendSpeakers(platform, 0n, "bob");
    sendSnapshot(platform);
    expect(names(room)).toEqual(["bob"]);
    sendSpeakers(platform, 0n);
    expect(names(room)).toEqual([]);
  });

  it("names a speaker that joined during the outage", async () => {
    const { room, platform } = await joined();
    const dan = participantOf("PA_dan", "dan", [microphone("TR_dan", 9, "PA_dan")]);
    const participants = [participantOf("PA_ada", "ada"), ...OTHERS, dan];
    platform.server.tell({ case: "snapshot", value: { participants, revision: 9n, activeSpeakers: speaking(2n, "dan") } });
    expect(names(room)).toEqual(["dan"]);
  });
});
