/** A camera, microphone or screen of one's own: made before or after joining, published by a room. */
import { NexusError } from "../core/error.js";
import { Emitter } from "../core/emitter.js";
import type { Codec, TrackId, TrackKind, TrackSource, VideoCodec } from "../core/model.js";
import type { AudioOptions } from "../core/sdp.js";
import type { PictureSize } from "../core/encodings.js";
import { CaptureDevice, type CaptureListener, type OpenDevice } from "../edge/capture_device.js";
import type { Outgoing } from "../edge/peer.js";
import type { Platform } from "../edge/platform.js";
import { releaseElement, showIn, takeElement, type ElementOwner } from "./element_owner.js";

const UNKNOWN_SIZE: PictureSize = { width: 0, height: 0 };

export type LocalTrackEvents = {
  /** Muted or unmuted. */
  muted: [muted: boolean];
  /** Another device captures from now on. */
  "device-changed": [deviceId: string];
  /**
   * The device was given up for another one that did not open, and did not open again itself. The track is muted;
   * unmuting tries once more.
   */
  "device-failed": [error: NexusError];
  /** The system or the browser holds the device's media back (a phone call), or lets it come again. */
  interrupted: [interrupted: boolean];
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
  readonly audio: AudioOptions | null;
  /** Opens the device again, or another one; null for screens, which cannot be opened without asking. */
  readonly reopen: OpenDevice | null;
}

/** What a room does for a track that it publishes. @internal */
export interface Publisher {
  replaceTrack(track: MediaStreamTrack | null): Promise<void>;
  /** Resolves when everybody else knows this, or something newer. */
  tellMuted(muted: boolean): Promise<void>;
  /** An error that no caller waits for. */
  tellError(error: unknown): void;
  ended(): void;
}

/** Options of {@link LocalTrack.setMuted}. */
export interface MuteOptions {
  /** Closes the device while muted, so that the camera's light goes out; unmuting opens it again. */
  readonly releaseDevice?: boolean;
}

/**
 * A track of one's own.
 *
 * Requests need not be awaited: the last one wins, here, at the device and for everybody in the room. A request that a
 * newer one has replaced resolves or rejects with that one. What waits when the track is stopped rejects with `CLOSED`.
 */
export class LocalTrack extends Emitter<LocalTrackEvents> {
  readonly kind: TrackKind;
  readonly source: TrackSource;
  readonly name: string;
  /** The codec that is offered first; null for audio, which is Opus. */
  readonly codec: VideoCodec | null;
  readonly #origin: LocalTrackOrigin;
  readonly #device: CaptureDevice;
  readonly #elements = new Set<HTMLMediaElement>();
  readonly #owner: ElementOwner = { lose: (element) => this.#elements.delete(element) };
  readonly #publishers = new Set<Publisher>();
  #muted = false;
  /** What was asked for last; `#muted` follows when the device is open. */
  #wantsMuted = false;
  /** The newest unmute has to open a device that was let go: muting instead leaves it closed. */
  #opensToUnmute = false;
  #interrupted: boolean;
  #gone = false;
  #size: PictureSize = UNKNOWN_SIZE;
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
   * Nothing comes from the device, by no wish of the page: the system or the browser holds the media back, or the device
   * is gone. Others see the track as muted.
   */
  get interrupted(): boolean {
    return this.#interrupted;
  }

  get stopped(): boolean {
    return this.#device.closed;
  }

  /** The codec that the server agreed to; null while not published. */
  get negotiatedCodec(): Codec | null {
    return this.#negotiatedCodec;
  }

  /** What captures; while the device is let go, the last that did. */
  get mediaStreamTrack(): MediaStreamTrack {
    return this.#device.track;
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

  /**
   * Mutes or unmutes, here and for everybody in the room. Muting is at once; unmuting may have to open the device first,
   * and leaves the track muted when that fails.
   */
  async setMuted(muted: boolean, options: MuteOptions = {}): Promise<void> {
    await (muted ? this.#mute(options.releaseDevice === true) : this.#unmute());
  }

  /**
   * Captures with another device from now on; one that is muted and let go, when it is unmuted. Others see nothing until
   * the new device is open. When it does not open, the one before is opened again and this rejects.
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

  /** Whether any room publishes it, or is about to. @internal */
  get bound(): boolean {
    return this.#publishers.size > 0;
  }

  /** What others are told: muted by the page, or nothing comes from the device. @internal */
  get silenced(): boolean {
    return this.#muted || this.#interrupted;
  }

  /** From now on this room follows the track. @internal */
  bind(publisher: Publisher): void {
    this.#publishers.add(publisher);
  }

  /** @internal */
  published(id: TrackId, codec: Codec): void {
    this.#id = id;
    this.#negotiatedCodec = codec;
  }

  /** @internal */
  unbind(publisher: Publisher): void {
    this.#publishers.delete(publisher);
    if (this.#publishers.size > 0) return;
    this.#id = null;
    this.#negotiatedCodec = null;
  }

  /** The size of its pictures as far as it is known; while the device is let go, what it was. @internal */
  size(): PictureSize {
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
    const letsGo = this.#device.canReopen && (release || this.#opensToUnmute);
    this.#opensToUnmute = false;
    this.#apply(true);
    await Promise.all([letsGo ? this.#device.release() : undefined, this.#tellMuted()]);
  }

  async #unmute(): Promise<void> {
    this.#requireOpen();
    this.#wantsMuted = false;
    if (!this.#device.live) await this.#openToUnmute();
    this.#followUnmute();
    await this.#tellMuted();
    this.#requireOpen();
  }

  /** Something newer may have been asked for while the device opened. */
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

  async #tellMuted(): Promise<void> {
    await Promise.all([...this.#publishers].map((publisher) => publisher.tellMuted(this.silenced)));
  }

  /** Nobody asked for it, so nobody waits for it. */
  #tellUnasked(): void {
    for (const publisher of this.#publishers) {
      publisher.tellMuted(this.silenced).catch((error: unknown) => publisher.tellError(error));
    }
  }

  #noteInterruption(): void {
    const interrupted = this.#device.isInterrupted || this.#gone;
    if (interrupted === this.#interrupted) return;
    this.#interrupted = interrupted;
    this.emit("interrupted", interrupted);
    this.#tellUnasked();
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
        // An unmute that fails leaves the track as it was, and tells its caller.
        if (this.#muted) return;
        this.#wantsMuted = true;
        this.#apply(true);
        this.#tellUnasked();
        this.emit("device-failed", error);
      },
    };
  }
}
