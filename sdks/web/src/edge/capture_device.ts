/**
 * The one owner of what a local track captures with. Calls say what is wanted: open or let go, and which device. One
 * worker opens devices, one at a time, and looks anew after each what is wanted by then, so that the newest wish wins
 * however long a browser takes. What opens late and is not wanted any more is stopped at once. Letting go waits for
 * nothing.
 *
 * A request settles when the device has come to rest: one that a newer request has replaced shares that one's outcome
 * (docs/decisions/0021-the-last-request-about-a-device-wins.md). Nothing here knows of rooms, of muting or of elements.
 */
import { NexusError } from "../core/error.js";

/** A device that was chosen. Each choice is an object of its own: the same id chosen again opens the device anew. */
interface Choice {
  /** Undefined: as the track was created. */
  readonly deviceId: string | undefined;
}

interface Request {
  /** Whether a failure of the chosen device is this request's own. */
  readonly choosing: boolean;
  readonly resolve: () => void;
  readonly reject: (error: NexusError) => void;
}

/** Opens a device; undefined: the one that the track was created with. */
export type OpenDevice = (deviceId: string | undefined) => Promise<MediaStreamTrack>;

/** Whom a device tells what happens to it. @internal */
export interface CaptureListener {
  /** Another track captures from now on. */
  opened(track: MediaStreamTrack): void;
  /** Send this instead of what was sent before; null: nothing. */
  send(track: MediaStreamTrack | null): Promise<void>;
  /** A device that was chosen, here or before, captures from now on. */
  chosen(deviceId: string): void;
  /** The system or the browser holds the device's media back, or lets it come again ("mute" in mediacapture-main). */
  interrupted(): void;
  /** The device is gone, or the person ended the sharing. */
  ended(): void;
  /** A device was given up for another one, and neither opens now. */
  lost(error: NexusError): void;
}

export interface CaptureDeviceOptions {
  readonly track: MediaStreamTrack;
  /** Null: the track cannot be opened again (screens, tracks of the page's own). */
  readonly open: OpenDevice | null;
  /** Many systems open a camera only once: the one before has to go first. */
  readonly exclusive: boolean;
}

/** @internal */
export class CaptureDevice {
  readonly #open: OpenDevice | null;
  readonly #exclusive: boolean;
  readonly #listener: CaptureListener;
  readonly #requests: Request[] = [];
  #track: MediaStreamTrack;
  /** What the track was opened for; null when it was let go or has ended. */
  #openedFor: Choice | null;
  #wantsOpen = true;
  #choice: Choice;
  /** The last choice that did open: what a choice that fails goes back to. */
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

  /** What captures, or the last that did. */
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

  /** The system or the browser holds the media back. */
  get isInterrupted(): boolean {
    return this.#openedFor !== null && this.#track.muted;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Opens the device that was chosen last, if it is not open. */
  open(): Promise<void> {
    this.#wantsOpen = true;
    return this.#settled(false);
  }

  /** Lets go of the device: at once, also while another one is being opened. */
  release(): Promise<void> {
    this.#wantsOpen = false;
    const settled = this.#settled(false);
    if (!this.#closed) void this.#clear();
    return settled;
  }

  /** Captures with another device: from now on when `open` or when one is open, else when it is opened next. */
  choose(deviceId: string, open: boolean): Promise<void> {
    this.#choice = { deviceId };
    if (open) this.#wantsOpen = true;
    return this.#wantsOpen || this.#closed ? this.#settled(true) : Promise.resolve();
  }

  /** For good. What is still being opened is stopped when it comes, and requests that wait reject with CLOSED. */
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

  /** The worker. It begins at once: a browser may ask for permission only in the turn of a click. */
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
    // Those who wait for the device to be let go wait for the sender.
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
    // Opened once more it would end in the same way, and so on for ever.
    if (this.#hasEnded) throw new NexusError("DEVICE_NOT_FOUND", "The device ended as soon as it was open.");
    if (!this.live) return;
    const changed = this.#proven !== choice;
    this.#proven = choice;
    if (changed && choice.deviceId !== undefined) this.#listener.chosen(choice.deviceId);
  }

  /** The light goes out first; then the sender is emptied, which would send black pictures. */
  async #clear(): Promise<void> {
    this.#stopTrack();
    // Only a connection that is closed refuses it.
    await this.#listener.send(null).catch(() => undefined);
    if (!this.#wantsOpen) this.#resolveAll();
  }

  /** Our own stop() fires no "ended" (W3C mediacapture-main section 4.3.3). */
  #stopTrack(): void {
    this.#openedFor = null;
    this.#track.stop();
  }

  #failed(choice: Choice, error: NexusError): void {
    // Something newer was asked for: its outcome counts.
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
      // Another one is being opened already: a headset that is pulled out ends while the page changes to the next.
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
