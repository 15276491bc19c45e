/**
 * The local tracks that a room publishes, the sections that carry them, and their descriptions by the server.
 *
 * A track has one publication at a time. Publishing it again while the first publication is pending waits for that one.
 * Unpublishing ends it, pending or not; publishing afterwards starts a new one.
 */
import { NexusError } from "../core/error.js";
import type { TrackDescription, TrackId, LayerDemand } from "../core/model.js";
import { connectionState } from "../core/session_state.js";
import { LatestValue } from "../edge/latest_value.js";
import type { Outgoing, Peer } from "../edge/peer.js";
import type { Platform } from "../edge/platform.js";
import type { SessionRunner } from "../edge/session_runner.js";
import type { LocalTrack, Publisher } from "./local_track.js";
import type { LocalParticipant } from "./local_participant.js";

/** How often the sizes of captured video are read, because no event reports their changes. */
export const SIZE_INTERVAL_MS = 1_000;

/** The parts of a session that publishing uses. */
export interface PublishingParts {
  readonly platform: Platform;
  readonly peer: Peer;
  readonly runner: SessionRunner;
}

/** One publication, pending or complete. */
interface Entry {
  readonly outgoing: Outgoing;
  readonly publisher: Publisher;
  readonly muted: LatestValue<boolean>;
  /** Settles when the server has accepted or rejected the track. */
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
  /** Tracks that the room opened, which are closed with it, published or not. */
  readonly #created = new Set<LocalTrack>();
  #local: LocalParticipant | null = null;
  #reportError: (error: unknown) => void = () => undefined;
  #cancelSizes: (() => void) | null = null;
  #closed = false;

  constructor({ platform, peer, runner }: PublishingParts) {
    this.#platform = platform;
    this.#peer = peer;
    this.#runner = runner;
  }

  /** The published tracks with their sections. */
  *outgoing(): Iterable<readonly [LocalTrack, Outgoing]> {
    for (const [track, { outgoing }] of this.#entries) yield [track, outgoing];
  }

  /** The id of a published track; null while it is pending, or not published. */
  idOf(track: LocalTrack): TrackId | null {
    return this.#entries.get(track)?.id ?? null;
  }

  /** Adds a track to the first offer. */
  include(track: LocalTrack): void {
    if (!this.#entries.has(track)) this.#add(track);
  }

  /** Takes the descriptions of the tracks that were in the first offer from the join's response. */
  adoptAll(local: LocalParticipant, own: readonly TrackDescription[], reportError: (error: unknown) => void): void {
    this.#local = local;
    // Errors that occur while the room is being created wait for its listeners.
    this.#reportError = (error) => this.#platform.setTimer(0, () => this.#closed || reportError(error));
    for (const [track, entry] of [...this.#entries]) {
      if (!this.#adopt(track, entry, own)) {
        this.#end(track, entry);
        this.#reportError(notTaken());
      } else if (track.stopped) {
        // Stopped by the page, or ended by its device, during the join.
        this.#unpublishUnasked(track);
      }
    }
    this.#watchSizes();
  }

  /** Releases all tracks after a failed join: they still belong to the page. */
  abandon(): void {
    this.#closed = true;
    for (const [track, entry] of this.#entries) this.#release(track, entry);
    this.#entries.clear();
  }

  /** Registers a track that the room opened: it is closed when the room is left, published or not. */
  created(track: LocalTrack): void {
    for (const one of this.#created) if (one.stopped) this.#created.delete(one);
    this.#created.add(track);
  }

  publish(track: LocalTrack): Promise<void> {
    const pending = this.#entries.get(track);
    if (pending !== undefined) return pending.done;
    if (this.#closed || connectionState(this.#runner.state) === "closed") {
      // A published track is closed with its room, and so is one that is published too late.
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

  /** Applies the layer demand of a track. */
  setLayerDemand(id: TrackId, demand: LayerDemand): void {
    for (const entry of this.#entries.values()) {
      if (entry.id === id) this.#peer.setLayerDemand(entry.outgoing, demand);
    }
  }

  /** Closes the devices at the end of the session. */
  close(): void {
    this.#closed = true;
    this.#cancelSizes?.();
    this.#cancelSizes = null;
    for (const [track, entry] of this.#entries) {
      track.stop();
      this.#release(track, entry);
    }
    this.#entries.clear();
    for (const track of this.#created) if (!track.hasPublisher) track.stop();
    this.#created.clear();
  }

  #add(track: LocalTrack): Entry {
    const outgoing = track.outgoing();
    this.#peer.addOutgoing(outgoing);
    const entry: Entry = {
      outgoing,
      muted: new LatestValue(track.silenced, (muted) => this.#sendMuted(entry, muted)),
      publisher: {
        replaceTrack: async (replacement) => {
          await this.#peer.replaceTrack(outgoing, replacement);
          this.#resize(track, entry);
        },
        setMuted: (muted) => entry.muted.set(muted),
        reportError: (error) => this.#reportError(error),
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
    // From now on, because a device may change while the offer is in flight.
    track.addPublisher(entry.publisher);
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

  /** Ends this publication, unless it was replaced by a later one of the same track. */
  #end(track: LocalTrack, entry: Entry): void {
    if (this.#entries.get(track) !== entry) return;
    this.#entries.delete(track);
    this.#peer.removeOutgoing(entry.outgoing);
    this.#local?.removeTrack(track);
    this.#release(track, entry);
  }

  #release(track: LocalTrack, entry: Entry): void {
    entry.muted.end();
    track.removePublisher(entry.publisher);
  }

  /** Takes the track's description, found by the mid of its section; false if there is none. */
  #adopt(track: LocalTrack, entry: Entry, own: readonly TrackDescription[]): boolean {
    const mid = this.#peer.midOf(entry.outgoing);
    const description = own.find((one) => one.mid === mid);
    if (description === undefined || this.#entries.get(track) !== entry) return false;
    entry.id = description.id;
    track.published(description.id, description.codec);
    const demand = this.#runner.state.watching.demands.get(description.id);
    if (demand !== undefined) this.#peer.setLayerDemand(entry.outgoing, demand);
    this.#local?.addTrack(track);
    this.#local?.emit("track-published", track);
    // The track may have been muted between the offer and its answer.
    entry.muted.start(description.muted);
    entry.muted.set(track.silenced).catch((error: unknown) => this.#reportError(error));
    this.#resize(track, entry);
    return true;
  }

  async #sendMuted(entry: Entry, muted: boolean): Promise<void> {
    if (entry.id === null) return;
    await this.#runner.call({ case: "setMuted", value: { trackId: entry.id, muted } });
  }

  /** Unpublishes a track whose device was removed; no call waits for it. */
  #unpublishUnasked(track: LocalTrack): void {
    this.unpublish(track, true).catch((error: unknown) => this.#reportError(error));
  }

  #watchSizes(): void {
    this.#cancelSizes = this.#platform.setTimer(SIZE_INTERVAL_MS, () => {
      for (const [track, entry] of this.#entries) this.#resize(track, entry);
      this.#watchSizes();
    });
  }

  /** Follows the size of the video: another camera, a turned phone, a resized shared window. */
  #resize(track: LocalTrack, entry: Entry): void {
    if (track.kind !== "video" || entry.id === null) return;
    if (!this.#peer.resize(entry.outgoing, track.size())) return;
    // The next offer carries the new sizes.
    this.#runner.negotiate().catch((error: unknown) => this.#reportError(error));
  }
}

const notTaken = (): NexusError => new NexusError("UNSUPPORTED_CODEC", "The server did not accept the track.");
const notPublished = (cause: unknown): NexusError =>
  NexusError.from(cause, "NEGOTIATION_FAILED", "The track could not be published");
