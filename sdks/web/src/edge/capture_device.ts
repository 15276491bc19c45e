/**
 * The device that a local track captures with. Requests set the wanted state: open or released, and which device. One
 * worker opens devices one at a time and reads the wanted state again after each, so that the last request wins however
 * long a browser takes. A device that opens after it is no longer wanted is stopped at once. A release waits for nothing.
 *
 * A request settles when the device has reached its state; one that a newer request has replaced settles as that one does
 * (docs/decisions/0021-the-last-request-about-a-device-wins.md). Rooms, muting and elements are handled elsewhere.
 */
import { NexusError } from "../core/error.js";

/** A chosen device. Each choice is a new object: choosing the same id again opens the device again. */
interface Choice {
  /** Undefined: the device that the track was created with. */
  readonly deviceId: string | undefined;
}

interface Request {
  /** Whether this request rejects when the chosen device fails. */
  readonly choosing: boolean;
  readonly resolve: () => void;
  readonly reject: (error: NexusError) => void;
}

/** Opens a device; undefined is the one that the track was created with. */
export type OpenDevice = (deviceId: string | undefined) => Promise<MediaStreamTrack>;

/** Receives the events of a capture device. @internal */
export interface CaptureListener {
  /** A new track captures from now on. */
  opened(track: MediaStreamTrack): void;
  /** The track to send from now on; null for none. */
  send(track: MediaStreamTrack | null): Promise<void>;
  /** A chosen device captures from now on. */
  chosen(deviceId: string): void;
  /** The system or the browser interrupted or resumed the device's media ("mute" in mediacapture-main). */
  interrupted(): void;
  /** The device was removed, or the user ended the sharing. */
  ended(): void;
  /** Neither the new device nor the previous one opens. */
  lost(error: NexusError): void;
}

export interface CaptureDeviceOptions {
  readonly track: MediaStreamTrack;
  /** Null for tracks that cannot be opened again: screens, and tracks that the page made. */
  readonly open: OpenDevice | null;
  /** Whether to stop the previous track first: many systems open a camera only once. */
  readonly exclusive: boolean;
}

/** @internal */
export class CaptureDevice {
  readonly #open: OpenDevice | null;
  readonly #exclusive: boolean;
  readonly #listener: CaptureListener;
  readonly #requests: Request[] = [];
  #track: MediaStreamTrack;
  /** The choice that the track was opened for; null after a release or the end of the track. */
  #openedFor: Choice | null;
  #wantsOpen = true;
  #choice: Choice;
  /** The last choice that opened, to which a failed choice reverts. */
  #proven: Choice;
  #hasEnded = false;
  #working = false;
  #closed = false;

  constructor({ track, open, exclusive }: CaptureDeviceOptions, listener: CaptureListener) {
    this.#track = track;
    this.#open = open;
    this.#exclusive = exclusive;
    this.#listener = listener;
    this.#openedFor = this.#choice = this.#proven = { deviceId: undefined };
    this.#watch(track);
  }

  /** The track that captures, or the last one that did. */
  get track(): MediaStreamTrack {
    return this.#track;
  }

  get live(): boolean {
    return this.#openedFor !== null && this.#track.readyState === "live";
  }

  get wantsOpen(): boolean {
    return this.#wantsOpen;
  }

  get canReopen(): boolean {
    return this.#open !== null;
  }

  /** Whether the system or the browser has interrupted the media. */
  get isInterrupted(): boolean {
    return this.#openedFor !== null && this.#track.muted;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Opens the last chosen device, unless it is open. */
  open(): Promise<void> {
    this.#wantsOpen = true;
    return this.#settled(false);
  }

  /** Releases the device at once, even while another one is being opened. */
  release(): Promise<void> {
    this.#wantsOpen = false;
    const settled = this.#settled(false);
    if (!this.#closed) void this.#clear();
    return settled;
  }

  /** Captures with another device: now if `open` is set or a device is open, else the next time one is opened. */
  choose(deviceId: string, open: boolean): Promise<void> {
    this.#choice = { deviceId };
    if (open) this.#wantsOpen = true;
    return this.#wantsOpen || this.#closed ? this.#settled(true) : Promise.resolve();
  }

  /** Closes permanently. A device that is still being opened is stopped later; pending requests reject with CLOSED. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopTrack();
    this.#rejectAll(() => true, stopped());
  }

  #settled(choosing: boolean): Promise<void> {
    if (this.#closed) return Promise.reject(stopped());
    return new Promise((resolve, reject) => {
      this.#requests.push({ choosing, resolve, reject });
      if (!this.#working) void this.#work();
    });
  }

  /** The worker. It starts in the same turn, because a browser may allow a permission prompt only in the turn of a click. */
  async #work(): Promise<void> {
    this.#working = true;
    while (this.#mustOpen()) {
      const choice = this.#choice;
      try {
        await this.#openFor(choice);
      } catch (cause) {
        this.#failed(choice, NexusError.from(cause, "NEGOTIATION_FAILED", "The browser cannot send what the device captures"));
      }
    }
    this.#working = false;
    // Requests to release the device settle once the sender is empty.
    if (this.#wantsOpen) this.#resolveAll();
  }

  #mustOpen(): boolean {
    return !this.#closed && this.#wantsOpen && !(this.live && this.#openedFor === this.#choice);
  }

  async #openFor(choice: Choice): Promise<void> {
    if (this.#open === null) throw new NexusError("UNSUPPORTED", "This track has no device that can be opened again.");
    if (this.#exclusive) this.#stopTrack();
    const track = await this.#open(choice.deviceId);
    if (this.#closed || !this.#wantsOpen || choice !== this.#choice) return track.stop();
    this.#stopTrack();
    this.#track = track;
    this.#openedFor = choice;
    this.#hasEnded = track.readyState === "ended";
    this.#watch(track);
    this.#listener.opened(track);
    await this.#listener.send(track);
    // Opening it again would fail in the same way, forever.
    if (this.#hasEnded) throw new NexusError("DEVICE_NOT_FOUND", "The device ended as soon as it was open.");
    if (!this.live) return;
    const changed = this.#proven !== choice;
    this.#proven = choice;
    if (changed && choice.deviceId !== undefined) this.#listener.chosen(choice.deviceId);
  }

  /** Stops the device first, so that its light goes out, then empties the sender, which would send black frames. */
  async #clear(): Promise<void> {
    this.#stopTrack();
    // Only a closed connection rejects this.
    await this.#listener.send(null).catch(() => undefined);
    if (!this.#wantsOpen) this.#resolveAll();
  }

  /** stop() fires no "ended" (W3C mediacapture-main section 4.3.3). */
  #stopTrack(): void {
    this.#openedFor = null;
    this.#track.stop();
  }

  #failed(choice: Choice, error: NexusError): void {
    // A newer request has replaced this one: its outcome counts.
    if (this.#closed || !this.#wantsOpen || choice !== this.#choice) return;
    const choosing = this.#requests.some((request) => request.choosing);
    if (choosing && this.#proven !== choice) {
      this.#choice = this.#proven;
      return this.#rejectAll((request) => request.choosing, error);
    }
    this.#wantsOpen = false;
    this.#rejectAll(() => true, error);
    void this.#clear();
    this.#listener.lost(error);
  }

  #resolveAll(): void {
    for (const { resolve } of this.#requests.splice(0)) resolve();
  }

  #rejectAll(which: (request: Request) => boolean, error: NexusError): void {
    const waiting = this.#requests.splice(0);
    for (const request of waiting) {
      if (which(request)) request.reject(error);
      else this.#requests.push(request);
    }
  }

  #watch(track: MediaStreamTrack): void {
    const current = (): boolean => track === this.#track && this.#openedFor !== null && !this.#closed;
    track.addEventListener("ended", () => {
      if (!current()) return;
      this.#openedFor = null;
      this.#hasEnded = true;
      // Another device is being opened already, for example after a headset was unplugged.
      if (this.#working) return;
      this.#wantsOpen = false;
      this.#listener.ended();
    });
    const onInterruption = (): void => {
      if (current()) this.#listener.interrupted();
    };
    track.addEventListener("mute", onInterruption);
    track.addEventListener("unmute", onInterruption);
  }
}

const stopped = (): NexusError => new NexusError("CLOSED", "The track has been stopped.");
