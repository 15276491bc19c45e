/** Recording and transcription of the room: known from the join on, changed by events, corrected by snapshots. */
import { describe, expect, it } from "vitest";
import type { Room } from "../src/index.js";
import { participantOf, world, type World } from "./fixtures.js";

/** A room whose join response has this activity. */
async function joined(activity: object): Promise<World & { readonly room: Room }> {
  const one = world({ joined: { room: { id: "RM_1", name: "lobby", ...activity } } });
  return { ...one, room: await one.join() };
}

/** Listens for both events; each line is one call. */
function listen(room: Room): string[] {
  const heard: string[] = [];
  room.on("recording-changed", (recording) => heard.push(`recording ${recording}`));
  room.on("transcribing-changed", (transcribing) => heard.push(`transcribing ${transcribing}`));
  return heard;
}

function sendUpdate({ platform }: World, revision: bigint, activity: object): void {
  const event = { case: "roomUpdated", value: { room: { id: "RM_1", name: "lobby", ...activity } } };
  platform.server.tell({ case: "event", value: { revision, event } });
}

describe("a room that is recorded", () => {
  it("says so at the join, and to each listener that is added", async () => {
    const { room, platform } = await joined({ recording: true });
    expect([room.recording, room.transcribing]).toEqual([true, false]);
    const heard = listen(room);
    await platform.settle();
    expect(heard).toEqual(["recording true"]);
  });

  it("calls no listener while nothing is recorded or transcribed", async () => {
    const { room, platform } = await joined({});
    const heard = listen(room);
    await platform.settle();
    expect([heard, room.recording, room.transcribing]).toEqual([[], false, false]);
  });

  it("reports each change once", async () => {
    const one = await joined({});
    const heard = listen(one.room);
    await one.platform.settle();
    sendUpdate(one, 22n, { recording: true });
    sendUpdate(one, 22n, { recording: true });
    sendUpdate(one, 23n, { recording: true, transcribing: true });
    sendUpdate(one, 24n, { transcribing: true });
    // A repetition of an older event changes nothing.
    sendUpdate(one, 23n, { recording: true, transcribing: true });
    expect(heard).toEqual(["recording true", "transcribing true", "recording false"]);
    expect([one.room.recording, one.room.transcribing]).toEqual([false, true]);
  });

  it("reports what a snapshot contains that was missed", async () => {
    const one = await joined({ recording: true });
    const heard = listen(one.room);
    await one.platform.settle();
    heard.length = 0;
    const room = { id: "RM_1", name: "lobby", transcribing: true };
    one.platform.server.tell({ case: "snapshot", value: { room, participants: [participantOf("PA_ada", "ada")], revision: 9n } });
    expect(heard).toEqual(["recording false", "transcribing true"]);
    one.platform.server.tell({ case: "snapshot", value: { room, participants: [participantOf("PA_ada", "ada")], revision: 9n } });
    expect(heard).toHaveLength(2);
  });

  it("is known anew in the room of a rejoin", async () => {
    const first = await joined({});
    await first.room.leave();
    const again = await joined({ recording: true });
    expect([first.room.recording, again.room.recording]).toEqual([false, true]);
  });
});
