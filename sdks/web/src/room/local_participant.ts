/** The participant of this session, and the tracks that it publishes. */
import type { ConnectionQuality, ParticipantDescription, TrackSource } from "../core/model.js";
import type { LocalTrack } from "./local_track.js";
import { Participant } from "./participant.js";

export type LocalParticipantEvents = {
  "track-published": [track: LocalTrack];
  "track-unpublished": [track: LocalTrack];
  updated: [];
  speaking: [speaking: boolean];
  "connection-quality": [quality: ConnectionQuality];
};

/** The participant of this session. */
export class LocalParticipant extends Participant<LocalParticipantEvents> {
  /** The published tracks. */
  readonly tracks: ReadonlySet<LocalTrack>;
  readonly #tracks = new Set<LocalTrack>();

  /** @internal */
  constructor(description: ParticipantDescription) {
    super(description, {
      "track-published": () => [...this.tracks].map((track) => [track]),
      speaking: () => (this.isSpeaking ? [[true]] : []),
    });
    this.tracks = this.#tracks;
  }

  /** The first published track of a source. */
  track(source: TrackSource): LocalTrack | undefined {
    return [...this.#tracks].find((track) => track.source === source);
  }

  /** @internal */
  redescribe(description: ParticipantDescription): void {
    this.described = description;
    this.emit("updated");
  }

  /** @internal */
  rate(quality: ConnectionQuality): void {
    this.described = { ...this.described, connectionQuality: quality };
    this.emit("connection-quality", quality);
  }

  /** @internal */
  setSpeaking(speaking: boolean): void {
    if (speaking === this.isSpeaking) return;
    this.isSpeaking = speaking;
    this.emit("speaking", speaking);
  }

  /** @internal */
  addTrack(track: LocalTrack): void {
    this.#tracks.add(track);
  }

  /** @internal */
  removeTrack(track: LocalTrack): void {
    this.#tracks.delete(track);
  }
}
