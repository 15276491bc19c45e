/** The people of a room: others, and oneself. */
import { Emitter, type EventMap, type Standing } from "../core/emitter.js";
import type {
  ConnectionQuality,
  DisconnectReason,
  ParticipantDescription,
  ParticipantId,
  TrackId,
  TrackSource,
} from "../core/model.js";
import type { LocalTrack } from "./local_track.js";
import type { RemoteTrack } from "./remote_track.js";

/** What is known of anybody in a room. */
export abstract class Participant<Events extends EventMap> extends Emitter<Events> {
  /** @internal */
  protected described: ParticipantDescription;
  /** @internal */
  protected isSpeaking = false;

  /** @internal */
  protected constructor(description: ParticipantDescription, standing: Standing<Events>) {
    super(standing);
    this.described = description;
  }

  get id(): ParticipantId {
    return this.described.id;
  }

  /** The `sub` of the token. */
  get identity(): string {
    return this.described.identity;
  }

  /** What to show; the identity when no name was given. */
  get name(): string {
    return this.described.name === "" ? this.described.identity : this.described.name;
  }

  get metadata(): string {
    return this.described.metadata;
  }

  get attributes(): Readonly<Record<string, string>> {
    return this.described.attributes;
  }

  get joinedAtMs(): number {
    return this.described.joinedAtMs;
  }

  /** How their connection to the server does, as the server measures it; one's own included. */
  get connectionQuality(): ConnectionQuality {
    return this.described.connectionQuality;
  }

  /** As the room was told last; known from the moment of joining. */
  get speaking(): boolean {
    return this.isSpeaking;
  }
}

export type RemoteParticipantEvents = {
  /** A track is there. A listener that comes late is told of those that are there already. */
  "track-published": [track: RemoteTrack];
  "track-unpublished": [track: RemoteTrack];
  "track-muted": [track: RemoteTrack, muted: boolean];
  /** Name, metadata or attributes have changed. */
  updated: [];
  /** Has begun or ceased to speak. A listener that comes late is told when they speak already. */
  speaking: [speaking: boolean];
  "connection-quality": [quality: ConnectionQuality];
  left: [reason: DisconnectReason];
};

/** Somebody else in the room. */
export class RemoteParticipant extends Participant<RemoteParticipantEvents> {
  /** What they publish, by track id. */
  readonly tracks: ReadonlyMap<TrackId, RemoteTrack>;
  readonly #tracks = new Map<TrackId, RemoteTrack>();

  /** @internal */
  constructor(description: ParticipantDescription) {
    super(description, {
      "track-published": () => [...this.tracks.values()].map((track) => [track]),
      speaking: () => (this.isSpeaking ? [[true]] : []),
    });
    this.tracks = this.#tracks;
  }

  /** Their first track of a source. */
  track(source: TrackSource): RemoteTrack | undefined {
    return [...this.#tracks.values()].find((track) => track.source === source);
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
  addTrack(track: RemoteTrack): void {
    this.#tracks.set(track.id, track);
  }

  /** @internal */
  removeTrack(track: RemoteTrack): void {
    this.#tracks.delete(track.id);
  }
}

export type LocalParticipantEvents = {
  "track-published": [track: LocalTrack];
  "track-unpublished": [track: LocalTrack];
  updated: [];
  speaking: [speaking: boolean];
  "connection-quality": [quality: ConnectionQuality];
};

/** Oneself. */
export class LocalParticipant extends Participant<LocalParticipantEvents> {
  /** What one publishes. */
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

  /** One's first published track of a source. */
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
