/**
 * Another participant and the tracks that it publishes. A track belongs to its participant, not to a slot: slots come and
 * go beneath it. Both classes are in one file because each refers to the other.
 */
import { Emitter } from "../core/emitter.js";
import type {
  Codec,
  ConnectionQuality,
  DisconnectReason,
  ParticipantDescription,
  PauseReason,
  TrackDescription,
  TrackId,
  TrackKind,
  TrackSource,
  VideoLayer,
} from "../core/model.js";
import type { Sink } from "../edge/playback.js";
import { releaseElement, showIn, takeElement, type ElementOwner } from "./element_owner.js";
import { Participant } from "./participant.js";
import { RemoteView, type VideoLayerLimit } from "./remote_view.js";
import type { TrackHost } from "./track_host.js";

export type RemoteParticipantEvents = {
  /** A track was published. A listener that is added later is called for the tracks that are already there. */
  "track-published": [track: RemoteTrack];
  "track-unpublished": [track: RemoteTrack];
  "track-muted": [track: RemoteTrack, muted: boolean];
  /** Name, metadata or attributes have changed. */
  updated: [];
  /** The participant started or stopped speaking. A listener that is added while it speaks is called. */
  speaking: [speaking: boolean];
  "connection-quality": [quality: ConnectionQuality];
  left: [reason: DisconnectReason];
};

/** Another participant of the room. */
export class RemoteParticipant extends Participant<RemoteParticipantEvents> {
  /** The published tracks, by id. */
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

  /** The first track of a source. */
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

export type RemoteTrackEvents = {
  /** The publisher muted or unmuted. */
  muted: [muted: boolean];
  /** Size, layers or codec have changed. */
  updated: [];
  /** The server stopped sending the track, for a reason; or it resumed, and the reason is null. */
  paused: [paused: boolean, reason: PauseReason | null];
  /** The stream that carries the track from now on; null while nothing arrives. */
  stream: [stream: MediaStream | null];
  /** Unpublished, or its participant left. */
  ended: [];
};

/** A track that another participant publishes. */
export class RemoteTrack extends Emitter<RemoteTrackEvents> implements Sink {
  readonly participant: RemoteParticipant;
  readonly #host: TrackHost;
  readonly #elements = new Map<HTMLMediaElement, () => void>();
  readonly #owner: ElementOwner = { lose: (element) => this.#lose(element) };
  readonly #view = new RemoteView();
  #pauseReason: PauseReason | null = null;
  #description: TrackDescription;
  #stream: MediaStream | null = null;
  #volume = 1;
  #locallyMuted = false;
  #ended = false;

  /** @internal */
  constructor(host: TrackHost, participant: RemoteParticipant, description: TrackDescription) {
    super();
    this.#host = host;
    this.participant = participant;
    this.#description = description;
  }

  /** @internal */
  get description(): TrackDescription {
    return this.#description;
  }

  get id(): TrackId {
    return this.#description.id;
  }

  get kind(): TrackKind {
    return this.#description.kind;
  }

  get source(): TrackSource {
    return this.#description.source;
  }

  get name(): string {
    return this.#description.name;
  }

  get codec(): Codec {
    return this.#description.codec;
  }

  /** Whether the publisher has muted the track. */
  get muted(): boolean {
    return this.#description.muted;
  }

  get width(): number {
    return this.#description.width;
  }

  get height(): number {
    return this.#description.height;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** The layers that the publisher sends, low to high; empty for one encoding without spatial layers. */
  get layers(): readonly VideoLayer[] {
    return this.#description.layers;
  }

  /** Whether the server sends nothing of the requested track; see `pauseReason`. */
  get paused(): boolean {
    return this.#pauseReason !== null;
  }

  /**
   * Why the server sends nothing of the track; null if it is not paused. A track paused for `bandwidth` resumes by itself. A
   * track with an `unsupported-codec` resumes when its publisher sends another codec.
   */
  get pauseReason(): PauseReason | null {
    return this.#pauseReason;
  }

  get pinned(): boolean {
    return this.#view.pinned;
  }

  /** The stream that carries the track, for analysers and canvases; null while nothing arrives. */
  get mediaStream(): MediaStream | null {
    return this.#stream;
  }

  /** 0 to 1, for audio. */
  get volume(): number {
    return this.#volume;
  }

  /** Whether the track is muted on this page only. */
  get locallyMuted(): boolean {
    return this.#locallyMuted;
  }

  /**
   * Shows the track in an element; the first element of a video track requests the video from the server. The element is
   * muted, because the room itself plays all audio from the join on. An audio track may be attached too (to a meter, or
   * because a program treats all tracks alike); it is played only once. An element shows the track that was attached last.
   */
  attach(element: HTMLMediaElement): void {
    if (this.#ended) return;
    takeElement(element, this.#owner);
    if (!this.#elements.has(element)) {
      element.muted = true;
      element.autoplay = true;
      element.setAttribute("playsinline", "");
      if (this.#elements.size === 0 && this.kind === "video") this.#host.bind(this.id, true);
      this.#elements.set(element, this.#watch(element));
    }
    this.#show(element);
  }

  /**
   * Removes the track from one element, or from all; after the last one its slot is released. An element that another track
   * has taken is not changed.
   */
  detach(element?: HTMLMediaElement): void {
    for (const one of element === undefined ? [...this.#elements.keys()] : [element]) {
      releaseElement(one, this.#owner);
      this.#lose(one);
    }
  }

  /** Gives the video bandwidth before all videos that are not pinned. */
  pin(pinned = true): void {
    this.#view.pin(pinned);
    this.#updateView();
  }

  /** 1 to 255, higher first when bandwidth is short. 0 is the server's order: screens before cameras. */
  setPriority(priority: number): void {
    this.#view.prioritise(priority);
    this.#updateView();
  }

  /**
   * Receives no more than these layers, however large the elements are; null removes the limit. Without one, the layers
   * follow the size of the elements.
   */
  setVideoLayers(limit: VideoLayerLimit | null): void {
    this.#view.limit(limit);
    this.#updateView();
  }

  /** Sets the volume on this page, 0 to 1. */
  setVolume(volume: number): void {
    this.#volume = Math.min(1, Math.max(0, volume));
    this.#host.volumeChanged();
  }

  /** Mutes the track on this page only. */
  setLocallyMuted(muted: boolean): void {
    this.#locallyMuted = muted;
    this.#host.volumeChanged();
  }

  /** Subscribes or unsubscribes: the server sends nothing of an unsubscribed track. */
  async setSubscribed(subscribed: boolean): Promise<void> {
    await this.#host.subscribe(this.id, subscribed);
  }

  /** @internal */
  carry(stream: MediaStream | null): void {
    if (stream === this.#stream) return;
    this.#stream = stream;
    for (const element of this.#elements.keys()) this.#show(element);
    this.emit("stream", stream);
  }

  /** @internal */
  redescribe(description: TrackDescription): void {
    const toggled = description.muted !== this.#description.muted;
    this.#description = description;
    if (toggled) return this.emit("muted", description.muted);
    // A limit in pixels may now mean other layers.
    if (this.#elements.size > 0) this.#updateView();
    this.emit("updated");
  }

  /** @internal */
  pause(reason: PauseReason | null): void {
    if (reason === this.#pauseReason) return;
    this.#pauseReason = reason;
    this.emit("paused", reason !== null, reason);
  }

  /** @internal */
  end(): void {
    this.#ended = true;
    this.carry(null);
    this.detach();
    this.emit("ended");
  }

  #lose(element: HTMLMediaElement): void {
    const unwatch = this.#elements.get(element);
    if (unwatch === undefined) return;
    unwatch();
    this.#elements.delete(element);
    this.#view.close(element);
    if (this.#elements.size === 0 && this.kind === "video" && !this.#ended) this.#host.bind(this.id, false);
    this.#updateView();
  }

  #show(element: HTMLMediaElement): void {
    showIn(element, this.#owner, this.#stream);
    // Muted elements may always play; an interrupted play() only means that the stream has changed again.
    if (this.#stream !== null) element.play().catch(() => undefined);
  }

  #updateView(): void {
    if (this.kind === "video" && !this.#ended) this.#host.view(this.id, this.#view.current(this.layers));
  }

  #watch(element: HTMLMediaElement): () => void {
    if (this.kind !== "video") return () => undefined;
    const ignoreFrames = this.#watchFrames(element);
    const ignoreView = this.#host.observe(element, (view) => {
      this.#view.update(element, view);
      this.#updateView();
    });
    return () => {
      ignoreFrames();
      ignoreView();
    };
  }

  /** Reads the source after each frame, so that an element is cleared within one frame of a rebind. */
  #watchFrames(element: HTMLMediaElement): () => void {
    if (!("requestVideoFrameCallback" in element)) return () => undefined;
    const video = element as HTMLVideoElement;
    let handle = 0;
    const next = (): void => {
      handle = video.requestVideoFrameCallback(() => {
        this.#host.frameShown(this.id);
        next();
      });
    };
    next();
    return () => video.cancelVideoFrameCallback(handle);
  }
}
