/**
 * A room in which devices open and the server answers only when a test says so. Like the real server, this one keeps the
 * published tracks and whether they are muted.
 */
import type { JoinOptions, LocalTrack, Room } from "../src/index.js";
import type { FakeDevices, FakePlatform, FakeSender, ReceivedRequest, ServerBody } from "../src/testing.js";
import { slotTable, track, world, type WorldOptions } from "./fixtures.js";

/** A track at the server. */
export interface ServerTrack {
  readonly id: string;
  readonly mid: string;
  readonly source: number;
  muted: boolean;
  width: number;
  height: number;
  layers: readonly unknown[];
}

interface Publication {
  readonly mid: string;
  readonly source: number;
  readonly muted: boolean;
  readonly width: number;
  readonly height: number;
  readonly layers: readonly unknown[];
}

const TRACK_NOT_FOUND = 42;

export class SlowWorld {
  readonly platform: FakePlatform;
  readonly devices: FakeDevices;
  /** By mid. */
  readonly tracks = new Map<string, ServerTrack>();
  /** Unanswered requests of the page, oldest first. */
  readonly waiting: ReceivedRequest[] = [];
  /** Whether the server answers at once. */
  prompt = true;
  readonly #join: (options?: JoinOptions) => Promise<Room>;
  #lastId = 0;
  #revision = 1;

  constructor(options: WorldOptions = {}) {
    const fast = world(options);
    const { platform } = fast;
    this.platform = platform;
    this.devices = platform.deviceAccess;
    this.#join = (wanted) => fast.join(wanted);
    for (const name of ["offer", "setMuted", "updateSlots", "updateView"]) platform.server.on(name, (request) => this.#receive(request));
  }

  async join(options?: JoinOptions): Promise<Room> {
    const room = await this.#join(options);
    await this.rest();
    return room;
  }

  /** Lets promises settle, without advancing the time or answering requests. */
  async rest(): Promise<void> {
    for (let turn = 0; turn < 60; turn += 1) await Promise.resolve();
  }

  /** Answers the oldest request of the page; false if there is none. */
  async answer(): Promise<boolean> {
    const request = this.waiting.shift();
    if (request === undefined) return false;
    this.platform.server.reply(request.requestId, this.#answerTo(request));
    await this.rest();
    return true;
  }

  /** Opens the device of the oldest request; false if there is none. */
  async openDevice(): Promise<boolean> {
    const [request] = this.devices.pending;
    if (request === undefined) return false;
    request.open();
    await this.rest();
    return true;
  }

  async failDevice(name: string): Promise<boolean> {
    const [request] = this.devices.pending;
    if (request === undefined) return false;
    request.fail(name);
    await this.rest();
    return true;
  }

  /** Opens devices and answers requests until none is left. */
  async finish(): Promise<void> {
    await this.rest();
    while ((await this.openDevice()) || (await this.answer())) continue;
    await this.rest();
  }

  /** The server's state of a local track. */
  serverTrack(local: LocalTrack): ServerTrack | undefined {
    return [...this.tracks.values()].find(({ id }) => id === local.id);
  }

  /** The sender of a local track. */
  senderOf(local: LocalTrack): FakeSender | undefined {
    const mid = this.serverTrack(local)?.mid;
    return this.platform.peer.transceivers.find((one) => one.mid === mid)?.sender;
  }

  #receive(request: ReceivedRequest): ServerBody | null {
    if (this.prompt) return this.#answerTo(request);
    this.waiting.push(request);
    return null;
  }

  #answerTo({ name, value }: ReceivedRequest): ServerBody {
    switch (name) {
      case "offer":
        return this.#offer(value["sdp"] as string, value["publications"] as Publication[]);
      case "setMuted":
        return this.#mute(value["trackId"] as string, value["muted"] as boolean);
      case "updateSlots":
        return { case: "updateSlots", value: {} };
      default:
        return { case: name, value: {} };
    }
  }

  /** Like `Publications.reconcile` of the SFU: a section that continues keeps its track and its `muted`. */
  #offer(sdp: string, publications: readonly Publication[]): ServerBody {
    const offered = new Map(publications.map((one) => [one.mid, one]));
    for (const [mid, { source }] of this.tracks) if (offered.get(mid)?.source !== source) this.tracks.delete(mid);
    for (const { mid, source, muted, width, height, layers } of publications) {
      const known = this.tracks.get(mid);
      if (known !== undefined) Object.assign(known, { width, height, layers });
      else this.tracks.set(mid, { id: `TR_${(this.#lastId += 1)}`, mid, source, muted, width, height, layers });
    }
    const tracks = [...this.tracks.values()].map(({ id, mid, muted, source }) => track(id, 1, "PA_ada", { mid, muted, source }));
    return { case: "offer", value: { sdp: "v=0\r\nanswer", slots: slotTable(sdp, (this.#revision += 1)), tracks } };
  }

  #mute(trackId: string, muted: boolean): ServerBody {
    const found = [...this.tracks.values()].find(({ id }) => id === trackId);
    if (found === undefined) return { case: "error", value: { code: TRACK_NOT_FOUND, message: "no such track" } };
    found.muted = muted;
    return { case: "setMuted", value: {} };
  }
}
