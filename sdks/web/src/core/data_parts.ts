/** Joins the two parts of a message above 255 KiB (docs/reference/data.md), in whatever order they arrive. */
import type { DataEnvelope } from "./data_envelope.js";

/**
 * Maximum number of messages of which one part has arrived. The oldest is dropped beyond it: its other part was lost, or its
 * sender has left.
 */
export const MAX_UNFINISHED = 64;

export class DataParts {
  /** By sender and number, in the order of arrival. */
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
      this.#dropOldest();
      return null;
    }
    const [first, last] = part.last ? [other, envelope] : [envelope, other];
    const payload = new Uint8Array(first.payload.length + last.payload.length);
    payload.set(first.payload);
    payload.set(last.payload, first.payload.length);
    return { ...first, part: null, payload };
  }

  #dropOldest(): void {
    for (const key of this.#unfinished.keys()) {
      if (this.#unfinished.size <= MAX_UNFINISHED) return;
      this.#unfinished.delete(key);
    }
  }
}
