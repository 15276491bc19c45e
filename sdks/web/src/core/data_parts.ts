/** Joins the two parts in which a message beyond 255 KiB travels (docs/reference/data.md), in whatever order they come. */
import type { DataEnvelope } from "./data_envelope.js";

/** Messages of which one part has come. Beyond, the oldest is given up: one that may be lost was, or its sender is gone. */
export const MAX_UNFINISHED = 64;

export class DataParts {
  /** By sender and number; in the order in which they began. */
  readonly #unfinished = new Map<string, DataEnvelope>();

  /** The whole message; null while a part is missing. */
  take(envelope: DataEnvelope): DataEnvelope | null {
    const { part, fromServer, sender } = envelope;
    if (part === null) return envelope;
    const key = `${fromServer}/${sender}/${part.number}`;
    const other = this.#unfinished.get(key);
    this.#unfinished.delete(key);
    if (other === undefined || other.part?.last === part.last) {
      this.#unfinished.set(key, envelope);
      this.#forgetOldest();
      return null;
    }
    const [first, last] = part.last ? [other, envelope] : [envelope, other];
    const payload = new Uint8Array(first.payload.length + last.payload.length);
    payload.set(first.payload);
    payload.set(last.payload, first.payload.length);
    return { ...first, part: null, payload };
  }

  #forgetOldest(): void {
    for (const key of this.#unfinished.keys()) {
      if (this.#unfinished.size <= MAX_UNFINISHED) return;
      this.#unfinished.delete(key);
    }
  }
}
