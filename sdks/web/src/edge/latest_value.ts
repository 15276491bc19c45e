/**
 * Tells the server the newest value of something: one request at a time, so that none overtakes another, and the newest
 * value last. What changes back and forth meanwhile is not sent at all.
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
  /** What the server is known to have; undefined while that is uncertain. */
  #known: Value | undefined;
  #newest: Value;
  #state: "waiting" | "idle" | "sending" | "ended" = "waiting";

  constructor(newest: Value, send: (value: Value) => Promise<void>) {
    this.#newest = newest;
    this.#send = send;
  }

  /** The server has this value: from now on it is told others. */
  start(known: Value): void {
    if (this.#state !== "waiting") return;
    this.#known = known;
    this.#state = "idle";
    void this.#work();
  }

  /** Resolves when the server has this value or a newer one, or need not be told any more. */
  tell(value: Value): Promise<void> {
    this.#newest = value;
    if (this.#state === "ended") return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      if (this.#state === "idle") void this.#work();
    });
  }

  /** There is nothing left to tell of. */
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
        // Something newer is tried; else whoever asks again tries again.
        if (value !== this.#newest) continue;
        const error = NexusError.from(cause, "INTERNAL", "The server could not be told");
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
