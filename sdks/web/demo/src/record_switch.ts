/** The record button of a call: it starts a recording of the room, or stops the one that runs, which any participant may have started. */
import { NexusError, type Recording, type Room } from "@nexus-rtc/web";
import { recordingsLink } from "./settings.js";
import type { Toolbar } from "./toolbar.js";

const RUNS: readonly string[] = ["queued", "running", "paused"];
/** Number of the newest recordings among which one that runs is looked for. */
const LOOKED_AT = 20;

export class RecordSwitch {
  readonly #room: Room;
  readonly #toolbar: Toolbar;
  readonly #note: (text: string) => void;

  constructor(room: Room, toolbar: Toolbar, note: (text: string) => void) {
    this.#room = room;
    this.#toolbar = toolbar;
    this.#note = note;
    // Shown as soon as the recorder has answered; a deployment may have none.
    toolbar.setHidden("record", true);
  }

  /** Shows whether the room is being recorded. */
  async follow(): Promise<void> {
    if (!this.#room.grants.record) return;
    try {
      this.#show(await this.#find());
    } catch (error) {
      if (!(error instanceof NexusError)) throw error;
      this.#toolbar.setHidden("record", true);
    }
  }

  async toggle(): Promise<void> {
    const { recordings } = this.#room;
    const running = await this.#find();
    if (running === undefined) {
      this.#show(await recordings.start({ participants: true }));
      this.#note("The recording is starting");
    } else {
      await recordings.stop(running.id);
      this.#show(undefined);
      this.#note(`The recording is at ${recordingsLink(this.#room.name)}`);
    }
  }

  async #find(): Promise<Recording | undefined> {
    const { recordings } = await this.#room.recordings.list({ pageSize: LOOKED_AT });
    return recordings.find(({ state }) => RUNS.includes(state));
  }

  #show(running: Recording | undefined): void {
    const pressed = running !== undefined;
    this.#toolbar.setHidden("record", false);
    this.#toolbar.set("record", { label: pressed ? "Stop recording" : "Record", icon: "record", pressed });
  }
}
