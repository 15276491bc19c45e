/** What one publishes in a room: tracks, the sections that carry them, and what the server says of them. */
import { NexusError } from "../core/error.js";
import type { TrackDescription, TrackId, WantedLayers } from "../core/model.js";
import { connectionState } from "../core/session_state.js";
import type { Outgoing, Peer } from "../edge/peer.js";
import type { SessionRunner } from "../edge/session_runner.js";
import type { LocalTrack } from "./local_track.js";
import type { LocalParticipant } from "./participants.js";

/** What publishing needs of a room. */
interface PublishingParts {
  readonly peer: Peer;
  readonly runner: SessionRunner;
  /** Those of the first offer. */
  readonly tracks: ReadonlyMap<LocalTrack, Outgoing>;
}

/** @internal */
export class Publications {
  readonly #peer: Peer;
  readonly #runner: SessionRunner;
  readonly #local: LocalParticipant;
  readonly #tellError: (error: unknown) => void;
  readonly #outgoing: Map<LocalTrack, Outgoing>;

  constructor(parts: PublishingParts, local: LocalParticipant, tellError: (error: unknown) => void) {
    this.#peer = parts.peer;
    this.#runner = parts.runner;
    this.#outgoing = new Map(parts.tracks);
    this.#local = local;
    this.#tellError = tellError;
  }

  get outgoing(): ReadonlyMap<LocalTrack, Outgoing> {
    return this.#outgoing;
  }

  /** After the join: the server has described the tracks that were in its offer. */
  adoptAll(own: readonly TrackDescription[]): void {
    for (const [track, outgoing] of this.#outgoing) this.#adopt(track, outgoing, own);
  }

  async publish(track: LocalTrack): Promise<void> {
    if (this.#outgoing.has(track)) return;
    if (track.stopped) throw new NexusError("INVALID_ARGUMENT", "The track has been stopped.");
    if (connectionState(this.#runner.state) === "closed") throw new NexusError("CLOSED", "The room has been left.");
    const outgoing = track.outgoing();
    this.#outgoing.set(track, outgoing);
    this.#peer.addOutgoing(outgoing);
    try {
      const own = await this.#runner.negotiate();
      if (!this.#adopt(track, outgoing, own)) {
        throw new NexusError("UNSUPPORTED_CODEC", "The server did not take the track.");
      }
    } catch (error) {
      this.#outgoing.delete(track);
      this.#peer.removeOutgoing(outgoing);
      throw NexusError.from(error, "NEGOTIATION_FAILED", "The track could not be published");
    }
  }

  async unpublish(track: LocalTrack, stop: boolean): Promise<void> {
    const outgoing = this.#outgoing.get(track);
    if (stop) track.stop();
    if (outgoing === undefined) return;
    this.#outgoing.delete(track);
    this.#peer.removeOutgoing(outgoing);
    this.#local.removeTrack(track);
    track.unpublished();
    this.#local.emit("track-unpublished", track);
    await this.#runner.negotiate();
  }

  /** What somebody watches of a track, and what therefore has to be sent. */
  want(id: TrackId, layers: WantedLayers): void {
    for (const [track, outgoing] of this.#outgoing) {
      if (track.id === id) this.#peer.setWantedLayers(outgoing, layers);
    }
  }

  /** The room is over: devices are closed. */
  close(): void {
    for (const track of this.#outgoing.keys()) {
      track.stop();
      track.unpublished();
    }
    this.#outgoing.clear();
  }

  /** The server knows the track by the mid of its section. */
  #adopt(track: LocalTrack, outgoing: Outgoing, own: readonly TrackDescription[]): boolean {
    const mid = this.#peer.midOf(outgoing);
    const description = own.find((one) => one.mid === mid);
    if (description === undefined) return false;
    track.bind({
      replaceTrack: (replacement) => this.#peer.replaceTrack(outgoing, replacement),
      tellMuted: (muted) => this.#tellMuted(description.id, muted),
      ended: () => void this.unpublish(track, true).catch(this.#tellError),
    });
    track.published(description.id, description.codec);
    const wanted = this.#runner.state.watching.wanted.get(description.id);
    if (wanted !== undefined) this.#peer.setWantedLayers(outgoing, wanted);
    this.#local.addTrack(track);
    this.#local.emit("track-published", track);
    // Muted between the offer and its answer.
    if (track.muted !== description.muted) {
      void this.#tellMuted(description.id, track.muted).catch(this.#tellError);
    }
    return true;
  }

  async #tellMuted(trackId: TrackId, muted: boolean): Promise<void> {
    await this.#runner.call({ case: "mute", value: { trackId, muted } });
  }
}
