/** Each media element has one owner, whatever tracks are attached and detached in whatever order. */
import { describe, expect, it } from "vitest";
import type { LocalTrack, RemoteTrack, Room } from "../src/index.js";
import { FakeDocument, FakeElement, type FakeMediaStream } from "../src/testing.js";
import { participantOf, slotTable, track, world, type World } from "./fixtures.js";

const OTHERS = ["a", "b", "c"].map((name, index) => participantOf(`PA_${name}`, name, [track(`TR_${name}`, index + 2, `PA_${name}`)]));
const BOUND = { "1": "TR_a", "3": "TR_b", "5": "TR_c" };

type Attached = RemoteTrack | LocalTrack;

interface Scene extends World {
  readonly room: Room;
  readonly tracks: Readonly<Record<"a" | "b" | "c" | "preview", Attached>>;
}

/** Three participants with a bound slot each, and a local camera. */
async function scene(): Promise<Scene> {
  const one = world({ others: OTHERS, bound: BOUND });
  const room = await one.join();
  const preview = await room.createCameraVideoTrack();
  const remote = (name: string): RemoteTrack => {
    const found = [...room.participants.values()].find(({ identity }) => identity === name)?.track("camera");
    if (found === undefined) throw new Error(`no camera of ${name}`);
    return found;
  };
  return { ...one, room, tracks: { a: remote("a"), b: remote("b"), c: remote("c"), preview } };
}

const SHOWN: Readonly<Record<string, string>> = { "remote-1": "a", "remote-3": "b", "remote-5": "c", "track-1": "preview" };

/** The track that an element shows. */
function shownIn(element: FakeElement): string | null {
  const stream = element.srcObject as unknown as FakeMediaStream | null;
  if (stream === null) return null;
  return stream.tracks.map(({ id }) => SHOWN[id] ?? id).join();
}

describe("an element", () => {
  it("shows the track attached last, even after the previous one is detached", async () => {
    const { tracks } = await scene();
    const element = new FakeElement();
    tracks.a.attach(element.asMediaElement());
    tracks.c.attach(element.asMediaElement());
    tracks.a.detach(element.asMediaElement());
    expect(shownIn(element)).toBe("c");
    tracks.c.attach(element.asMediaElement());
    expect(shownIn(element)).toBe("c");
    tracks.a.detach();
    expect(shownIn(element)).toBe("c");
    tracks.c.detach(element.asMediaElement());
    expect(shownIn(element)).toBeNull();
  });

  it("can return to a track that it was taken from", async () => {
    const { tracks } = await scene();
    const element = new FakeElement();
    tracks.a.attach(element.asMediaElement());
    tracks.b.attach(element.asMediaElement());
    tracks.a.attach(element.asMediaElement());
    expect(shownIn(element)).toBe("a");
    tracks.b.detach();
    expect(shownIn(element)).toBe("a");
  });

  it("is not changed when a former owner leaves", async () => {
    const { tracks, platform } = await scene();
    const element = new FakeElement();
    tracks.a.attach(element.asMediaElement());
    tracks.c.attach(element.asMediaElement());
    const left = { case: "participantLeft", value: { participantId: "PA_a", reason: 1 } };
    platform.server.tell({ case: "event", value: { revision: 6n, event: left } });
    expect(tracks.a).toMatchObject({ ended: true });
    expect(shownIn(element)).toBe("c");
  });

  it("changes between remote videos and the preview", async () => {
    const { tracks } = await scene();
    const element = new FakeElement();
    tracks.preview.attach(element.asMediaElement());
    tracks.a.attach(element.asMediaElement());
    (tracks.preview as LocalTrack).stop();
    expect(shownIn(element)).toBe("a");
    tracks.a.detach(element.asMediaElement());
    expect(shownIn(element)).toBeNull();
  });

  it("shows the preview when that was attached last, whatever happens to the remote track's stream", async () => {
    const { tracks, platform } = await scene();
    const element = new FakeElement();
    tracks.a.attach(element.asMediaElement());
    tracks.preview.attach(element.asMediaElement());
    // The slot of A plays another track, then A again.
    platform.peer.playFrom("1", 99, 10);
    await platform.advance(100);
    platform.peer.playFrom("1", 2, 20);
    await platform.advance(100);
    expect(shownIn(element)).toBe("preview");
  });

  it("is empty until the video of the new owner arrives", async () => {
    const { tracks, platform } = await scene();
    platform.peer.playFrom("5", 99, 10);
    await platform.advance(100);
    const element = new FakeElement();
    tracks.a.attach(element.asMediaElement());
    tracks.c.attach(element.asMediaElement());
    expect(shownIn(element)).toBeNull();
    platform.peer.playFrom("5", 4, 20);
    await platform.advance(100);
    expect(shownIn(element)).toBe("c");
  });

  it("is not changed when the page has set another stream", async () => {
    const { tracks, platform } = await scene();
    const element = new FakeElement();
    tracks.a.attach(element.asMediaElement());
    const own = platform.createStream([]);
    element.srcObject = own;
    tracks.a.detach(element.asMediaElement());
    expect(element.srcObject).toBe(own);
  });

  it("no longer counts for the requests of a track that has lost it", async () => {
    const { tracks, platform } = await scene();
    const element = new FakeElement();
    tracks.b.attach(new FakeElement().asMediaElement());
    tracks.c.attach(new FakeElement().asMediaElement());
    tracks.a.attach(element.asMediaElement());
    tracks.b.attach(element.asMediaElement());
    await platform.advance(3_000);
    expect(platform.server.named("updateSlots").map(({ value }) => value["unbindTrackIds"])).toEqual([["TR_a"]]);
    platform.see(element, { width: 640, height: 360, visible: true });
    await platform.advance(2_000);
    const views = platform.server.named("updateView").flatMap(({ value }) => value["views"] as { trackId: string; hidden: boolean }[]);
    expect(views.filter(({ trackId }) => trackId === "TR_a").every(({ hidden }) => hidden)).toBe(true);
  });
});

describe("every sequence of attach and detach", () => {
  const names = ["a", "b", "preview"] as const;
  const actions = names.flatMap((name) => (["attach", "detach"] as const).map((what) => ({ name, what })));

  it("of up to four steps leaves the element with the track that was attached last and not detached since", async () => {
    const { tracks } = await scene();
    const sequences = [1, 2, 3, 4].reduce<(typeof actions)[]>(
      (all, length) => [...all, ...all.filter((one) => one.length === length - 1).flatMap((one) => actions.map((action) => [...one, action]))],
      [[]],
    );
    for (const sequence of sequences) {
      const element = new FakeElement();
      let owner: string | null = null;
      for (const { name, what } of sequence) {
        tracks[name][what](element.asMediaElement());
        if (what === "attach") owner = name;
        else if (owner === name) owner = null;
        expect(shownIn(element), JSON.stringify(sequence)).toBe(owner);
      }
      for (const name of names) tracks[name].detach();
    }
    expect(sequences).toHaveLength(1 + 6 + 36 + 216 + 1296);
  });
});

describe("a table that binds a slot to another track", () => {
  it("does not show the video of a former owner in the element", async () => {
    const { tracks, platform } = await scene();
    const element = new FakeElement();
    tracks.a.attach(element.asMediaElement());
    tracks.b.attach(element.asMediaElement());
    const { sdp } = await platform.peer.createOffer();
    const slots = slotTable(sdp ?? "", 2, { "1": "TR_a", "3": "TR_c" });
    platform.server.tell({ case: "event", value: { event: { case: "slotsChanged", value: { slots } } } });
    expect(shownIn(element)).toBeNull();
    platform.peer.playFrom("1", 2, 30);
    await platform.advance(100);
    expect(shownIn(element)).toBeNull();
  });
});

describe("a video in a window of its own", () => {
  it("is requested while the tab is hidden, until that window is hidden too", async () => {
    const { tracks, platform } = await scene();
    const [tab, popup, element] = [new FakeDocument(), new FakeDocument(), new FakeElement()];
    const hidden = (): boolean[] =>
      platform.server.named("updateView").flatMap(({ value }) => (value["views"] as { hidden: boolean }[]).map((view) => view.hidden));
    platform.server.on("updateView", () => ({ case: "updateView", value: {} }));
    tab.append(element);
    tracks.a.attach(element.asMediaElement());
    tab.layOut(element, 320, 180);
    popup.append(element);
    popup.layOut(element, 640, 360);
    tab.show("hidden");
    await platform.advance(5_000);
    expect(hidden()).not.toContain(true);
    expect(platform.server.named("updateView").at(-1)?.value["views"]).toMatchObject([{ trackId: "TR_a", width: 640, height: 368 }]);
    popup.show("hidden");
    await platform.advance(5_000);
    expect(hidden().at(-1)).toBe(true);
  });
});
