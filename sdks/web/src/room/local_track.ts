/** A camera, microphone or screen of one's own: made before or after joining, published by a room. */
import { NexusError } from "../core/error.js";
import { Emitter } from "../core/emitter.js";
import type { Codec, TrackId, TrackKind, TrackSource, VideoCodec } from "../core/model.js";
import type { AudioWish } from "../core/sdp.js";
import type { Outgoing } from "../edge/peer.js";
import type { Platform } from "../edge/platform.js";
import { releaseElement, showIn, takeElement, type ElementOwner } from "./element_owner.js";

export type LocalTrackEvents = {
  /** Muted or unmuted. */
  muted: [muted: boolean];
  /** Another device captures from now on. */
  "device-changed": [deviceId: string];
  /** The device is gone, or the person ended the sharing of the screen. A published track is then unpublished. */
  ended: [];
};

/** How a local track came to be. @internal */
export interface LocalTrackOrigin {
  readonly platform: Platform;
  readonly kind: TrackKind;
  readonly source: TrackSource;
  readonly name: string;
  readonly mediaStreamTrack: MediaStreamTrack;
  readonly codec: VideoCodec | null;
  readonly maxBitrateBps: number;
  /** Simulcast or SVC; of no meaning for audio. */
  readonly layered: boolean;
  /** Null for video. */
  readonly audio: AudioWish | null;
  /** Opens the device again, or another one; null for screens, which cannot be opened without asking. */
  readonly reopen: ((deviceId: string | undefined) => Promise<MediaStreamTrack>) | null;
}

/** What a room does for a track that it publishes. @internal */
export interface Publisher {
  replaceTrack(track: MediaStreamTrack | null): Promise<void>;
  tellMuted(muted: boolean): Promise<void>;
  ended(): void;
}

/** Options of {@link LocalTrack.setMuted}. */
export interface MuteOptions {
  /** Closes the device while muted, so that the camera's light goes out; unmuting opens it again. */
  readonly releaseDevice?: boolean;
}

/** A track of one's own. */
export class LocalTrack extends Emitter<LocalTrackEvents> {
  readonly kind: TrackKind;
  readonly source: TrackSource;
  readonly name: string;
  /** The codec that is offered first; null for audio, which is Opus. */
  readonly codec: VideoCodec | null;
  readonly #origin: LocalTrackOrigin;
  readonly #elements = new Set<HTMLMediaElement>();
  readonly #owner: ElementOwner = { lose: (element) => this.#elements.delete(element) };
  #track: MediaStreamTrack;
  #muted = false;
  #stopped = false;
  #id: TrackId | null = null;
  #negotiatedCodec: Codec | null = null;
  #publisher: Publisher | null = null;

  /** @internal */
  constructor(origin: LocalTrackOrigin) {
    super();
    this.#origin = origin;
    this.kind = origin.kind;
    this.source = origin.source;
    this.name = origin.name;
    this.codec = origin.codec;
    this.#track = origin.mediaStreamTrack;
    this.#watch();
  }

  /** The track's id in the room; null while it is not published. */
  get id(): TrackId | null {
    return this.#id;
  }

  get muted(): boolean {
    return this.#muted;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** The codec that the server agreed to; null while not published. */
  get negotiatedCodec(): Codec | null {
    return this.#negotiatedCodec;
  }

  get mediaStreamTrack(): MediaStreamTrack {
    return this.#track;
  }

  /**
   * Shows a camera or screen in an element: a preview. It makes no sound. An element shows the track attached last: it is
   * taken from the one before.
   */
  attach(element: HTMLMediaElement): void {
    takeElement(element, this.#owner);
    this.#elements.add(element);
    element.muted = true;
    element.autoplay = true;
    element.setAttribute("playsinline", "");
    this.#show(element);
  }

  /** Takes the track out of one element, or of all. An element that another track has taken stays as it is. */
  detach(element?: HTMLMediaElement): void {
    for (const one of element === undefined ? [...this.#elements] : [element]) {
      releaseElement(one, this.#owner);
      this.#elements.delete(one);
    }
  }

  /** Mutes or unmutes, here and for everybody in the room. */
  async setMuted(muted: boolean, options: MuteOptions = {}): Promise<void> {
    if (muted === this.#muted || this.#stopped) return;
    // Unmuting may fail to open a device that was let go; muting never fails.
    if (!muted && this.#track.readyState === "ended") await this.#reopen(undefined);
    this.#muted = muted;
    this.#track.enabled = !muted;
    if (muted && options.releaseDevice === true && this.#origin.reopen !== null) {
      await this.#publisher?.replaceTrack(null);
      this.#track.stop();
    }
    this.emit("muted", muted);
    await this.#publisher?.tellMuted(muted);
  }

  /** Captures with another device from now on. */
  async setDevice(deviceId: string): Promise<void> {
    if (this.#stopped) throw new NexusError("CLOSED", "The track has been stopped.");
    await this.#reopen(deviceId);
    this.emit("device-changed", deviceId);
  }

  /** Closes the device. A published track should be unpublished; `Room.unpublish` does both. */
  stop(): void {
    this.#stopped = true;
    this.#track.stop();
    this.detach();
  }

  /** @internal */
  bind(publisher: Publisher): void {
    this.#publisher = publisher;
  }

  /** @internal */
  published(id: TrackId, codec: Codec): void {
    this.#id = id;
    this.#negotiatedCodec = codec;
  }

  /** @internal */
  unpublished(): void {
    this.#id = null;
    this.#negotiatedCodec = null;
    this.#publisher = null;
  }

  /** @internal */
  outgoing(): Outgoing {
    const { width = 0, height = 0 } = this.#track.getSettings();
    return {
      kind: this.kind,
      mediaStreamTrack: this.#track,
      codec: this.codec,
      maxBitrateBps: this.#origin.maxBitrateBps,
      layered: this.#origin.layered,
      audio: this.#origin.audio,
      publication: {
        source: this.source,
        name: this.name,
        muted: this.#muted,
        width,
        height,
        preferredCodec: this.codec ?? "opus",
      },
    };
  }

  #show(element: HTMLMediaElement): void {
    showIn(element, this.#owner, this.#origin.platform.createStream([this.#track]));
  }

  async #reopen(deviceId: string | undefined): Promise<void> {
    if (this.#origin.reopen === null) throw new NexusError("UNSUPPORTED", "A screen has no device to choose.");
    // Many systems open a camera only once: the old one must go first.
    if (this.kind === "video") this.#track.stop();
    const track = await this.#origin.reopen(deviceId);
    this.#track.stop();
    this.#track = track;
    track.enabled = !this.#muted;
    this.#watch();
    for (const element of this.#elements) this.#show(element);
    await this.#publisher?.replaceTrack(track);
  }

  #watch(): void {
    const track = this.#track;
    // Not fired by our own stop() (W3C mediacapture-main, "ended").
    track.addEventListener("ended", () => {
      if (track !== this.#track || this.#stopped) return;
      this.emit("ended");
      this.#publisher?.ended();
    });
  }
}
