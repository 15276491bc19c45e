/** A local camera, microphone or screen: opened before or after joining, published in a room. */
import { NexusError } from "../core/error.js";
import { Emitter } from "../core/emitter.js";
import type { Codec, TrackId, TrackKind, TrackSource, VideoCodec } from "../core/model.js";
import type { AudioOptions } from "../core/sdp.js";
import type { VideoSize } from "../core/encodings.js";
import { CaptureDevice, type CaptureListener, type OpenDevice } from "../edge/capture_device.js";
import type { Outgoing } from "../edge/peer.js";
import type { Platform } from "../edge/platform.js";
import { releaseElement, showIn, takeElement, type ElementOwner } from "./element_owner.js";

const UNKNOWN_SIZE: VideoSize = { width: 0, height: 0 };

export type LocalTrackEvents = {
  /** The track was muted or unmuted. */
  muted: [muted: boolean];
  /** Another device captures from now on. */
  "device-changed": [deviceId: string];
  /**
   * The new device did not open, and the previous one did not open again. The track is muted; unmuting tries again.
   */
  "device-failed": [error: NexusError];
  /** The system or the browser interrupted or resumed the device's media, for example for a phone call. */
  interrupted: [interrupted: boolean];
  /** The device was removed, or the user ended the sharing of a screen. A published track is then unpublished. */
  ended: [];
};

/** The source and settings of a local track. @internal */
export interface LocalTrackOrigin {
  readonly platform: Platform;
  readonly kind: TrackKind;
  readonly source: TrackSource;
  readonly name: string;
  readonly mediaStreamTrack: MediaStreamTrack;
  readonly codec: VideoCodec | null;
  readonly maxBitrateBps: number;
  /** Simulcast or SVC; false for audio. */
  readonly layered: boolean;
  /** Null for video. */
  readonly audio: AudioOptions | null;
  /** Opens the device again, or another one; null for screens, which the user has to choose. */
  readonly reopen: OpenDevice | null;
}

/** The services of a room for a track that it publishes. @internal */
export interface Publisher {
  replaceTrack(track: MediaStreamTrack | null): Promise<void>;
  /** Resolves when the server has this value or a newer one. */
  setMuted(muted: boolean): Promise<void>;
  /** Reports an error that no call is waiting for. */
  reportError(error: unknown): void;
  ended(): void;
}

/** Options of {@link LocalTrack.setMuted}. */
export interface MuteOptions {
  /** Closes the device while muted, so that a camera's light goes out; unmuting opens it again. */
  readonly releaseDevice?: boolean;
}

/**
 * A local track.
 *
 * Requests need not be awaited: the last one wins, on this page, at the device and for all participants. A request that a
 * newer one has replaced settles as the newer one does. A request that is pending when the track is stopped rejects with
 * `CLOSED`.
 */
export class LocalTrack extends Emitter<LocalTrackEvents> {
  readonly kind: TrackKind;
  readonly source: TrackSource;
  readonly name: string;
  /** The preferred codec; null for audio, which is Opus. */
  readonly codec: VideoCodec | null;
  readonly #origin: LocalTrackOrigin;
  readonly #device: CaptureDevice;
  readonly #elements = new Set<HTMLMediaElement>();
  readonly #owner: ElementOwner = { lose: (element) => this.#elements.delete(element) };
  readonly #publishers = new Set<Publisher>();
  #muted = false;
  /** The last request; `#muted` follows when the device is open. */
  #wantsMuted = false;
  /** The last unmute has to open a released device; if the track is muted before that, the device stays closed. */
  #opensToUnmute = false;
  #interrupted: boolean;
  #gone = false;
  #size: VideoSize = UNKNOWN_SIZE;
  #id: TrackId | null = null;
  #negotiatedCodec: Codec | null = null;

  /** @internal */
  constructor(origin: LocalTrackOrigin) {
    super();
    this.#origin = origin;
    this.kind = origin.kind;
    this.source = origin.source;
    this.name = origin.name;
    this.codec = origin.codec;
    const { mediaStreamTrack: track, reopen } = origin;
    this.#device = new CaptureDevice({ track, open: reopen, exclusive: origin.kind === "video" }, this.#listener());
    this.#interrupted = this.#device.isInterrupted;
  }

  /** The track's id in the room; null while it is not published. */
  get id(): TrackId | null {
    return this.#id;
  }

  get muted(): boolean {
    return this.#muted;
  }

  /**
   * Whether the device delivers no media although the page wants it: the system or the browser has interrupted it, or the
   * device was removed. Other participants see the track as muted.
   */
  get interrupted(): boolean {
    return this.#interrupted;
  }

  get stopped(): boolean {
    return this.#device.closed;
  }

  /** The negotiated codec; null while not published. */
  get negotiatedCodec(): Codec | null {
    return this.#negotiatedCodec;
  }

  /** The track that captures; while the device is released, the last one that did. */
  get mediaStreamTrack(): MediaStreamTrack {
    return this.#device.track;
  }

  /**
   * Shows a camera or screen in an element as a preview, without sound. An element shows the track that was attached last.
   */
  attach(element: HTMLMediaElement): void {
    takeElement(element, this.#owner);
    this.#elements.add(element);
    element.muted = true;
    element.autoplay = true;
    element.setAttribute("playsinline", "");
    this.#show(element);
  }

  /** Removes the track from one element, or from all. An element that another track has taken is not changed. */
  detach(element?: HTMLMediaElement): void {
    for (const one of element === undefined ? [...this.#elements] : [element]) {
      releaseElement(one, this.#owner);
      this.#elements.delete(one);
    }
  }

  /**
   * Mutes or unmutes the track for all participants. Muting takes effect at once; unmuting may have to open the device first,
   * and leaves the track muted if that fails.
   */
  async setMuted(muted: boolean, options: MuteOptions = {}): Promise<void> {
    await (muted ? this.#mute(options.releaseDevice === true) : this.#unmute());
  }

  /**
   * Captures with another device; a track whose device is released uses it at the next unmute. Other participants receive
   * nothing until the new device is open. If it does not open, the previous one is opened again and this rejects.
   */
  async setDevice(deviceId: string): Promise<void> {
    this.#requireOpen();
    if (!this.#device.canReopen) throw new NexusError("UNSUPPORTED", "This track has no device to choose.");
    await this.#device.choose(deviceId, !this.#wantsMuted);
  }

  /** Closes the device. A published track should be unpublished; `Room.unpublish` does both. */
  stop(): void {
    this.#device.close();
    this.detach();
  }

  /** Whether a room publishes the track, or is about to. @internal */
  get hasPublisher(): boolean {
    return this.#publishers.size > 0;
  }

  /** The muted state for other participants: muted by the page, or interrupted. @internal */
  get silenced(): boolean {
    return this.#muted || this.#interrupted;
  }

  /** The room publishes the track from now on. @internal */
  addPublisher(publisher: Publisher): void {
    this.#publishers.add(publisher);
  }

  /** @internal */
  published(id: TrackId, codec: Codec): void {
    this.#id = id;
    this.#negotiatedCodec = codec;
  }

  /** @internal */
  removePublisher(publisher: Publisher): void {
    this.#publishers.delete(publisher);
    if (this.#publishers.size > 0) return;
    this.#id = null;
    this.#negotiatedCodec = null;
  }

  /** The last known size of the video. @internal */
  size(): VideoSize {
    const { width = 0, height = 0 } = this.mediaStreamTrack.getSettings();
    if (width > 0 && height > 0) this.#size = { width, height };
    return this.#size;
  }

  /** @internal */
  outgoing(): Outgoing {
    return {
      kind: this.kind,
      mediaStreamTrack: this.mediaStreamTrack,
      codec: this.codec,
      maxBitrateBps: this.#origin.maxBitrateBps,
      layered: this.#origin.layered,
      audio: this.#origin.audio,
      size: this.size(),
      publication: () => ({
        source: this.source,
        name: this.name,
        muted: this.silenced,
        preferredCodec: this.codec ?? "opus",
      }),
    };
  }

  #show(element: HTMLMediaElement): void {
    showIn(element, this.#owner, this.#origin.platform.createStream([this.mediaStreamTrack]));
  }

  async #mute(release: boolean): Promise<void> {
    if (this.stopped) return;
    this.#wantsMuted = true;
    const releases = this.#device.canReopen && (release || this.#opensToUnmute);
    this.#opensToUnmute = false;
    this.#apply(true);
    await Promise.all([releases ? this.#device.release() : undefined, this.#sendMuted()]);
  }

  async #unmute(): Promise<void> {
    this.#requireOpen();
    this.#wantsMuted = false;
    if (!this.#device.live) await this.#openToUnmute();
    this.#followUnmute();
    await this.#sendMuted();
    this.#requireOpen();
  }

  /** There may have been a newer request while the device was opening. */
  #followUnmute(): void {
    if (!this.#wantsMuted && this.#device.live) this.#apply(false);
  }

  #requireOpen(): void {
    if (this.stopped) throw new NexusError("CLOSED", "The track has been stopped.");
  }

  async #openToUnmute(): Promise<void> {
    if (!this.#device.wantsOpen) this.#opensToUnmute = true;
    try {
      await this.#device.open();
    } catch (error) {
      if (!this.#device.wantsOpen) this.#wantsMuted = this.#muted;
      throw error;
    } finally {
      if (this.#device.live) this.#opensToUnmute = false;
    }
  }

  #apply(muted: boolean): void {
    this.mediaStreamTrack.enabled = !muted;
    if (muted === this.#muted) return;
    this.#muted = muted;
    this.emit("muted", muted);
  }

  async #sendMuted(): Promise<void> {
    await Promise.all([...this.#publishers].map((publisher) => publisher.setMuted(this.silenced)));
  }

  /** Sends the muted state after a change that no call requested. */
  #sendMutedUnasked(): void {
    for (const publisher of this.#publishers) {
      publisher.setMuted(this.silenced).catch((error: unknown) => publisher.reportError(error));
    }
  }

  #noteInterruption(): void {
    const interrupted = this.#device.isInterrupted || this.#gone;
    if (interrupted === this.#interrupted) return;
    this.#interrupted = interrupted;
    this.emit("interrupted", interrupted);
    this.#sendMutedUnasked();
  }

  #listener(): CaptureListener {
    return {
      opened: (track) => {
        track.enabled = !this.#muted;
        this.#gone = false;
        for (const element of this.#elements) this.#show(element);
        this.#noteInterruption();
      },
      send: async (track) => {
        await Promise.all([...this.#publishers].map((publisher) => publisher.replaceTrack(track)));
      },
      chosen: (deviceId) => this.emit("device-changed", deviceId),
      interrupted: () => this.#noteInterruption(),
      ended: () => {
        this.#gone = true;
        this.emit("ended");
        for (const publisher of this.#publishers) publisher.ended();
        if (!this.stopped) this.#noteInterruption();
      },
      lost: (error) => {
        // An unmute that fails leaves the track muted and rejects.
        if (this.#muted) return;
        this.#wantsMuted = true;
        this.#apply(true);
        this.#sendMutedUnasked();
        this.emit("device-failed", error);
      },
    };
  }
}
