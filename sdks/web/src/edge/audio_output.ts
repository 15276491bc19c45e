/**
 * The audio elements of a session, one for each audio slot, and whether the browser blocks any of them until the user has
 * interacted with the page.
 */
import { NexusError, type NexusErrorCode } from "../core/error.js";
import type { Mid } from "../core/model.js";
import type { Platform } from "./platform.js";

/** Codes for the errors of `setSinkId` (W3C audio-output, section 3.1). */
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
  /** Elements whose `play()` was rejected and has not succeeded since. */
  readonly #blockedElements = new Set<HTMLAudioElement>();
  #deviceId = "";

  constructor(platform: Platform, onBlocked: () => void) {
    this.#platform = platform;
    this.#onBlocked = onBlocked;
  }

  /** Whether the browser blocks at least one element. */
  get blocked(): boolean {
    return this.#blockedElements.size > 0;
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
    // `blocked` reports a blocked element; any other rejection means that the element was closed in the meantime.
    void this.#play(element);
  }

  /** Plays all elements. Rejects while any of them is blocked or cannot be played. */
  async start(): Promise<void> {
    // All in this turn, because the user's gesture counts only while it runs.
    const errors = await Promise.all([...this.#elements.values()].map((element) => this.#play(element)));
    const blockedBy = errors.find(isBlocked);
    if (blockedBy !== undefined) {
      const message = "The browser blocks audio: call startAudio() from a click or key press.";
      throw new NexusError("AUTOPLAY_BLOCKED", message, { cause: blockedBy });
    }
    const other = errors.find((one) => one !== null);
    if (other !== undefined) throw NexusError.from(other, "UNSUPPORTED", "The audio could not be played");
  }

  /** Selects the speaker, where the browser can. If it cannot be used, the previous one stays selected. */
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
      throw NexusError.from(cause, code, "The speaker could not be used");
    }
  }

  close(): void {
    for (const element of this.#elements.values()) {
      element.pause();
      element.srcObject = null;
    }
    this.#elements.clear();
    this.#blockedElements.clear();
  }

  /** Null if the element plays or has been closed; else the error. */
  async #play(element: HTMLAudioElement): Promise<unknown> {
    try {
      await element.play();
      this.#blockedElements.delete(element);
      return null;
    } catch (error) {
      // Closed in the meantime, or a later call has succeeded.
      if (![...this.#elements.values()].includes(element) || !element.paused) return null;
      if (isBlocked(error)) this.#addBlocked(element);
      return error;
    }
  }

  #addBlocked(element: HTMLAudioElement): void {
    const first = !this.blocked;
    this.#blockedElements.add(element);
    if (first) this.#onBlocked();
  }

  async #setSinks(deviceId: string): Promise<void> {
    await Promise.all([...this.#elements.values()].map((element) => setSink(element, deviceId)));
  }
}

const isBlocked = (error: unknown): boolean => error instanceof Error && error.name === "NotAllowedError";

/** Not every browser can select the speaker. */
async function setSink(element: HTMLAudioElement, deviceId: string): Promise<void> {
  if ("setSinkId" in element) await element.setSinkId(deviceId);
}
