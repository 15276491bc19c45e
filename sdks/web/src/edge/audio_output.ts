/**
 * The audio elements of a session, one for each audio slot: plays them, and knows which of them the browser holds back
 * until the page has been touched.
 */
import { NexusError, type NexusErrorCode } from "../core/error.js";
import type { Mid } from "../core/model.js";
import type { Platform } from "./platform.js";

/** Of `setSinkId` (W3C audio-output, section 3.1). */
const OUTPUT_ERRORS: Readonly<Record<string, NexusErrorCode>> = {
  NotFoundError: "DEVICE_NOT_FOUND",
  NotAllowedError: "DEVICE_DENIED",
  AbortError: "DEVICE_IN_USE",
};

/** @internal */
export class AudioOutput {
  readonly #platform: Platform;
  readonly #onBlocked: () => void;
  readonly #elements = new Map<Mid, HTMLAudioElement>();
  /** Those whose `play()` was refused and has not succeeded since. */
  readonly #heldBack = new Set<HTMLAudioElement>();
  #deviceId = "";

  constructor(platform: Platform, onBlocked: () => void) {
    this.#platform = platform;
    this.#onBlocked = onBlocked;
  }

  /** The browser holds at least one element back. */
  get blocked(): boolean {
    return this.#heldBack.size > 0;
  }

  get elements(): ReadonlyMap<Mid, HTMLAudioElement> {
    return this.#elements;
  }

  /** Plays a slot from now on. */
  add(mid: Mid, stream: MediaStream): void {
    const element = this.#platform.createAudioElement();
    element.autoplay = true;
    element.srcObject = stream;
    this.#elements.set(mid, element);
    if (this.#deviceId !== "") void setSink(element, this.#deviceId).catch(() => undefined);
    // What is held back is told by `blocked`; any other refusal means that the element was closed meanwhile.
    void this.#play(element);
  }

  /** Plays what was held back. Rejects while any element is held back, or cannot be played. */
  async start(): Promise<void> {
    // All in this turn: the gesture counts for as long as it runs.
    const refusals = await Promise.all([...this.#elements.values()].map((element) => this.#play(element)));
    const heldBack = refusals.find(isHeldBack);
    if (heldBack !== undefined) {
      const message = "The browser holds sound back: call startAudio() from a click or a key press.";
      throw new NexusError("AUTOPLAY_BLOCKED", message, { cause: heldBack });
    }
    const other = refusals.find((one) => one !== null);
    if (other !== undefined) throw NexusError.from(other, "UNSUPPORTED", "The sound could not be played");
  }

  /** Chooses the loudspeaker; where the browser cannot, nothing changes. The one before stays when this one cannot be used. */
  async setDevice(deviceId: string): Promise<void> {
    const before = this.#deviceId;
    this.#deviceId = deviceId;
    try {
      await this.#setSinks(deviceId);
    } catch (cause) {
      if (this.#deviceId === deviceId) {
        this.#deviceId = before;
        await this.#setSinks(before).catch(() => undefined);
      }
      const code = OUTPUT_ERRORS[cause instanceof Error ? cause.name : ""] ?? "UNSUPPORTED";
      throw NexusError.from(cause, code, "The loudspeaker could not be used");
    }
  }

  close(): void {
    for (const element of this.#elements.values()) {
      element.pause();
      element.srcObject = null;
    }
    this.#elements.clear();
    this.#heldBack.clear();
  }

  /** Null when the element plays, or is not ours any more; else why it does not. */
  async #play(element: HTMLAudioElement): Promise<unknown> {
    try {
      await element.play();
      this.#heldBack.delete(element);
      return null;
    } catch (error) {
      // Closed meanwhile, or a later call has succeeded.
      if (![...this.#elements.values()].includes(element) || !element.paused) return null;
      if (isHeldBack(error)) this.#holdBack(element);
      return error;
    }
  }

  #holdBack(element: HTMLAudioElement): void {
    const first = !this.blocked;
    this.#heldBack.add(element);
    if (first) this.#onBlocked();
  }

  async #setSinks(deviceId: string): Promise<void> {
    await Promise.all([...this.#elements.values()].map((element) => setSink(element, deviceId)));
  }
}

const isHeldBack = (refusal: unknown): boolean => refusal instanceof Error && refusal.name === "NotAllowedError";

/** Not every browser can choose the loudspeaker. */
async function setSink(element: HTMLAudioElement, deviceId: string): Promise<void> {
  if ("setSinkId" in element) await element.setSinkId(deviceId);
}
