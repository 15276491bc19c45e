/** Who speaks: known from the moment of joining, after an outage, and to listeners that come late. */
import { describe, expect, it } from "vitest";
import type { Room } from "../src/index.js";
import type { FakePlatform } from "../src/testing.js";
import { microphone, person, world, type World } from "./fixtures.js";

const PEOPLE = ["bob", "carol"].map((name, index) => person(`PA_${name}`, name, [microphone(`TR_${name}`, index + 1, `PA_${name}`)]));

const speaking = (revision: bigint, ...names: string[]): object => ({
  revision,
  speakers: names.map((name) => ({ participantId: `PA_${name}`, trackId: `TR_${name}`, levelDbov: -20 })),
});

function tellSpeakers(platform: FakePlatform, revision: bigint, ...names: string[]): void {
  const event = { case: "activeSpeakers", value: speaking(revision, ...names) };
  platform.server.tell({ case: "event", value: { revision: 0n, event } });
}

function tellSnapshot(platform: FakePlatform, activeSpeakers?: object): void {
  const value = { participants: [person("PA_ada", "ada"), ...PEOPLE], revision: 9n, ...(activeSpeakers && { activeSpeakers }) };
  platform.server.tell({ case: "snapshot", value });
}

/** A room whose join's answer says who speaks. */
async function joined(activeSpeakers?: object): Promise<World & { readonly room: Room }> {
  const one = world({ others: PEOPLE, joined: activeSpeakers === undefined ? {} : { activeSpeakers } });
  return { ...one, room: await one.join() };
}

const names = (room: Room): string[] => room.activeSpeakers.map(({ participant }) => participant.identity);
const flags = (room: Room): string[] =>
  [room.localParticipant, ...room.participants.values()].filter((one) => one.speaking).map(({ identity }) => identity);

describe("a participant who joins while somebody speaks", () => {
  it("knows who it is at once, one's own microphone included", async () => {
    const { room } = await joined(speaking(7n, "carol", "ada"));
    expect(names(room)).toEqual(["carol", "ada"]);
    expect(flags(room)).toEqual(["ada", "carol"]);
    expect(room.activeSpeakers[0]).toMatchObject({ trackId: "TR_carol", levelDbov: -20 });
  });

  it("hears it by every listener that is added, once", async () => {
    const { room, platform } = await joined(speaking(7n, "carol"));
    const heard: string[] = [];
    room.on("active-speakers", (speakers) => heard.push(speakers.map(({ participant }) => participant.identity).join()));
    room.on("participant-joined", (one) => one.on("speaking", (now) => heard.push(`${one.identity} ${now}`)));
    await platform.settle();
    expect(heard).toEqual(["carol", "carol true"]);
    tellSpeakers(platform, 8n);
    expect(heard).toEqual(["carol", "carol true", "carol false", ""]);
    expect(names(room)).toEqual([]);
  });

  it("is told nothing where nobody speaks, or the server does not say", async () => {
    for (const told of [speaking(0n), speaking(3n), undefined]) {
      const { room, platform } = await joined(told);
      const heard: unknown[] = [];
      room.on("active-speakers", (speakers) => heard.push(speakers));
      await platform.settle();
      expect([heard, names(room), flags(room)]).toEqual([[], [], []]);
    }
  });

  it("is not misled by an event that is older than the answer", async () => {
    const { room, platform } = await joined(speaking(7n, "carol"));
    const heard: unknown[] = [];
    await platform.settle();
    room.on("active-speakers", (speakers) => heard.push(speakers));
    await platform.settle();
    heard.length = 0;
    for (const revision of [5n, 6n, 7n]) tellSpeakers(platform, revision, "bob");
    expect([heard, names(room)]).toEqual([[], ["carol"]]);
    tellSpeakers(platform, 8n, "bob");
    expect([heard.length, names(room), flags(room)]).toEqual([1, ["bob"], ["bob"]]);
  });

  it("hears events that come while the answer is being applied", async () => {
    const one = world({ others: PEOPLE, joined: { activeSpeakers: speaking(7n, "carol") } });
    const joining = one.join();
    let apply: () => void = () => undefined;
    const { peer } = one.platform;
    const original = peer.setRemoteDescription.bind(peer);
    peer.setRemoteDescription = () => new Promise<void>((resolve) => (apply = resolve)).then(original);
    await one.platform.settle();
    tellSpeakers(one.platform, 8n, "bob");
    apply();
    const room = await joining;
    expect([names(room), flags(room)]).toEqual([["bob"], ["bob"]]);
  });
});

describe("a snapshot after an outage", () => {
  it("tells who speaks now", async () => {
    const { room, platform } = await joined(speaking(7n, "carol"));
    const heard: string[][] = [];
    room.on("active-speakers", (speakers) => heard.push(speakers.map(({ participant }) => participant.identity)));
    await platform.settle();
    tellSnapshot(platform, speaking(12n, "bob"));
    expect([names(room), flags(room)]).toEqual([["bob"], ["bob"]]);
    // What was under way before the outage comes after the snapshot.
    tellSpeakers(platform, 11n, "carol");
    tellSnapshot(platform, speaking(13n));
    expect(heard).toEqual([["carol"], ["bob"], []]);
    expect(flags(room)).toEqual([]);
  });

  it("of a server that does not say leaves who spoke", async () => {
    const { room, platform } = await joined();
    tellSpeakers(platform, 0n, "bob");
    tellSnapshot(platform);
    expect(names(room)).toEqual(["bob"]);
    tellSpeakers(platform, 0n);
    expect(names(room)).toEqual([]);
  });

  it("names somebody who came during the outage", async () => {
    const { room, platform } = await joined();
    const dan = person("PA_dan", "dan", [microphone("TR_dan", 9, "PA_dan")]);
    const participants = [person("PA_ada", "ada"), ...PEOPLE, dan];
    platform.server.tell({ case: "snapshot", value: { participants, revision: 9n, activeSpeakers: speaking(2n, "dan") } });
    expect(names(room)).toEqual(["dan"]);
  });
});
