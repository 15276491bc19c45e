/**
 * What one publishes in a room: tracks, the sections that carry them, and what the server says of them.
 *
 * A track has one publication at a time. Publishing it again while the first is pending waits for the same one;
 * unpublishing ends it, whether it is pending or there, and what is published afterwards is another one.
 */
import { NexusError } from "../core/error.js";
import type { TrackDescription, TrackId, WantedLayers } from "../core/model.js";
import { connectionState } from "../core/session_state.js";
import { LatestValue } from "../edge/latest_value.js";
import type { Outgoing, Peer } from "../edge/peer.js";
import type { Platform } from "../edge/platform.js";
import type { SessionRunner } from "../edge/session_runner.js";
import type { LocalTrack, Publisher } from "./local_track.js";
import type { LocalParticipant } from "./local_participant.js";

/** How often the sizes of what is captured are read: no event tells of them. */
export const SIZE_INTERVAL_MS = 1_000;

/** What publishing needs besides tracks. */
export interface PublishingParts {
  readonly platform: Platform;
  readonly peer: Peer;
  readonly runner: SessionRunner;
}

/** One track on its way to the server, or there. */
interface Entry {
  readonly outgoing: Outgoing;
  readonly publisher: Publisher;
  readonly muted: LatestValue<boolean>;
  /** Settles when the server has taken the track, or has not. */
  done: Promise<void>;
  /** Rejects `done` while it is pending. */
  abort: (error: NexusError) => void;
  id: TrackId | null;
}

/** @internal */
export class Publications {
  readonly #platform: Platform;
  readonly #peer: Peer;
  readonly #runner: SessionRunner;
  readonly #entries = new Map<LocalTrack, Entry>();
  /** Opened by the room: closed with it, published or not. */
  readonly #created = new Set<LocalTrack>();
  #local: LocalParticipant | null = null;
  #tellError: (error: unknown) => void = () => undefined;
  #cancelSizes: (() => void) | null = null;
  #closed = false;

  constructor({ platform, peer, runner }: PublishingParts) {
    this.#platform = platform;
    this.#peer = peer;
    this.#runner = runner;
  }

  /** What is published, with what carries it. */
  *outgoing(): Iterable<readonly [LocalTrack, Outgoing]> {
    for (const [track, { outgoing }] of this.#entries) yield [track, outgoing];
  }

  /** For the first offer. */
  include(track: LocalTrack): void {
    if (!this.#entries.has(track)) this.#add(track);
  }

  /** After the join: the server has described the tracks that were in its offer. */
  adoptAll(local: LocalParticipant, own: readonly TrackDescription[], tellError: (error: unknown) => void): void {
    this.#local = local;
    // What is reported while the room is being made waits for its listeners.
    this.#tellError = (error) => this.#platform.setTimer(0, () => this.#closed || tellError(error));
    for (const [track, entry] of [...this.#entries]) {
      if (!this.#adopt(track, entry, own)) {
        this.#end(track, entry);
        this.#tellError(notTaken());
      } else if (track.stopped) {
        // By the page, or by its device, while the room was being joined.
        this.#unpublishUnasked(track);
      }
    }
    this.#watchSizes();
  }

  /** The room has not been joined: the tracks go on being the page's. */
  abandon(): void {
    this.#closed = true;
    for (const [track, entry] of this.#entries) this.#release(track, entry);
    this.#entries.clear();
  }

  /** Opened for this room: closed when it is left, published or not. */
  created(track: LocalTrack): void {
    for (const one of this.#created) if (one.stopped) this.#created.delete(one);
    this.#created.add(track);
  }

  publish(track: LocalTrack): Promise<void> {
    const pending = this.#entries.get(track);
    if (pending !== undefined) return pending.done;
    if (this.#closed || connectionState(this.#runner.state) === "closed") {
      // A published track is closed with its room, and so is one that comes too late.
      track.stop();
      return Promise.reject(new NexusError("CLOSED", "The room has been left."));
    }
    if (track.stopped) return Promise.reject(new NexusError("INVALID_ARGUMENT", "The track has been stopped."));
    try {
      const entry = this.#add(track);
      entry.done = this.#negotiate(track, entry);
      return entry.done;
    } catch (cause) {
      return Promise.reject(notPublished(cause));
    }
  }

  async unpublish(track: LocalTrack, stop: boolean): Promise<void> {
    const entry = this.#entries.get(track);
    this.#created.delete(track);
    if (entry !== undefined) this.#end(track, entry);
    if (stop) track.stop();
    if (entry === undefined) return;
    entry.abort(new NexusError("ABORTED", "The track was unpublished while it was being published."));
    if (entry.id !== null) this.#local?.emit("track-unpublished", track);
    await this.#runner.negotiate();
  }

  /** What somebody watches of a track, and what therefore has to be sent. */
  want(id: TrackId, layers: WantedLayers): void {
    for (const entry of this.#entries.values()) {
      if (entry.id === id) this.#peer.setWantedLayers(entry.outgoing, layers);
    }
  }

  /** The room is over: devices are closed. */
  close(): void {
    this.#closed = true;
    this.#cancelSizes?.();
    this.#cancelSizes = null;
    for (const [track, entry] of this.#entries) {
      track.stop();
      this.#release(track, entry);
    }
    this.#entries.clear();
    for (const track of this.#created) if (!track.bound) track.stop();
    this.#created.clear();
  }

  #add(track: LocalTrack): Entry {
    const outgoing = track.outgoing();
    this.#peer.addOutgoing(outgoing);
    const entry: Entry = {
      outgoing,
      muted: new LatestValue(track.silenced, (muted) => this.#tellMuted(entry, muted)),
      publisher: {
        replaceTrack: async (replacement) => {
          await this.#peer.replaceTrack(outgoing, replacement);
          this.#resize(track, entry);
        },
        tellMuted: (muted) => entry.muted.tell(muted),
        tellError: (error) => this.#tellError(error),
        ended: () => {
          if (this.#local === null) track.stop();
          else this.#unpublishUnasked(track);
        },
      },
      done: Promise.resolve(),
      abort: () => undefined,
      id: null,
    };
    this.#entries.set(track, entry);
    // From now on: a device that is changed while the offer is on its way belongs to the sender too.
    track.bind(entry.publisher);
    return entry;
  }

  async #negotiate(track: LocalTrack, entry: Entry): Promise<void> {
    const aborted = new Promise<never>((_, reject) => (entry.abort = reject));
    try {
      const own = await Promise.race([aborted, this.#runner.negotiate()]);
      if (!this.#adopt(track, entry, own)) throw notTaken();
    } catch (cause) {
      this.#end(track, entry);
      throw notPublished(cause);
    }
  }

  /** Only if it is still this one: a later publication of the same track is none of its business. */
  #end(track: LocalTrack, entry: Entry): void {
    if (this.#entries.get(track) !== entry) return;
    this.#entries.delete(track);
    this.#peer.removeOutgoing(entry.outgoing);
    this.#local?.removeTrack(track);
    this.#release(track, entry);
  }

  #release(track: LocalTrack, entry: Entry): void {
    entry.muted.end();
    track.unbind(entry.publisher);
  }

  /** The server knows the track by the mid of its section. */
  #adopt(track: LocalTrack, entry: Entry, own: readonly TrackDescription[]): boolean {
    const mid = this.#peer.midOf(entry.outgoing);
    const description = own.find((one) => one.mid === mid);
    if (description === undefined || this.#entries.get(track) !== entry) return false;
    entry.id = description.id;
    track.published(description.id, description.codec);
    const wanted = this.#runner.state.watching.wanted.get(description.id);
    if (wanted !== undefined) this.#peer.setWantedLayers(entry.outgoing, wanted);
    this.#local?.addTrack(track);
    this.#local?.emit("track-published", track);
    // Muted between the offer and its answer.
    entry.muted.start(description.muted);
    entry.muted.tell(track.silenced).catch((error: unknown) => this.#tellError(error));
    this.#resize(track, entry);
    return true;
  }

  async #tellMuted(entry: Entry, muted: boolean): Promise<void> {
    if (entry.id === null) return;
    await this.#runner.call({ case: "setMuted", value: { trackId: entry.id, muted } });
  }

  /** The device is gone: nobody waits for the end of the publication. */
  #unpublishUnasked(track: LocalTrack): void {
    this.unpublish(track, true).catch((error: unknown) => this.#tellError(error));
  }

  #watchSizes(): void {
    this.#cancelSizes = this.#platform.setTimer(SIZE_INTERVAL_MS, () => {
      for (const [track, entry] of this.#entries) this.#resize(track, entry);
      this.#watchSizes();
    });
  }

  /** A camera was exchanged for a smaller one, a phone was turned, a shared window was resized. */
  #resize(track: LocalTrack, entry: Entry): void {
    if (track.kind !== "video" || entry.id === null) return;
    if (!this.#peer.resize(entry.outgoing, track.size())) return;
    // The next offer carries what is sent now.
    this.#runner.negotiate().catch((error: unknown) => this.#tellError(error));
  }
}

const notTaken = (): NexusError => new NexusError("UNSUPPORTED_CODEC", "The server did not take the track.");
const notPublished = (cause: unknown): NexusError =>
  NexusError.from(cause, "NEGOTIATION_FAILED", "The track could not be published");
