/**
 * Keeps a value at the server up to date: one request at a time, so that none overtakes another, and the newest value last.
 * Values that are replaced while a request is in flight are not sent.
 */
import { NexusError } from "../core/error.js";

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: NexusError) => void;
}

/** @internal */
export class LatestValue<Value extends string | number | boolean> {
  readonly #send: (value: Value) => Promise<void>;
  readonly #waiting: Waiting[] = [];
  /** The value that the server has; undefined while that is uncertain. */
  #known: Value | undefined;
  #newest: Value;
  #state: "waiting" | "idle" | "sending" | "ended" = "waiting";

  constructor(newest: Value, send: (value: Value) => Promise<void>) {
    this.#newest = newest;
    this.#send = send;
  }

  /** The server has this value; changes are sent from now on. */
  start(known: Value): void {
    if (this.#state !== "waiting") return;
    this.#known = known;
    this.#state = "idle";
    void this.#work();
  }

  /** Resolves when the server has this value or a newer one, or after `end()`. */
  set(value: Value): Promise<void> {
    this.#newest = value;
    if (this.#state === "ended") return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      if (this.#state === "idle") void this.#work();
    });
  }

  /** Ends the updates: nothing more is sent. */
  end(): void {
    this.#state = "ended";
    for (const { resolve } of this.#waiting.splice(0)) resolve();
  }

  async #work(): Promise<void> {
    this.#state = "sending";
    while (this.#known !== this.#newest) {
      const value = this.#newest;
      this.#known = undefined;
      try {
        await this.#send(value);
      } catch (cause) {
        if (this.#isEnded()) return;
        // A newer value is tried next. Without one, the next call tries again.
        if (value !== this.#newest) continue;
        const error = NexusError.from(cause, "INTERNAL", "The server did not take the new value");
        for (const { reject } of this.#waiting.splice(0)) reject(error);
        break;
      }
      if (this.#isEnded()) return;
      this.#known = value;
    }
    this.#state = "idle";
    for (const { resolve } of this.#waiting.splice(0)) resolve();
  }

  /** It may have ended during any await. */
  #isEnded(): boolean {
    return this.#state === "ended";
  }
}
