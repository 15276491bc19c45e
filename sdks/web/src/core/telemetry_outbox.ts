/**
 * Numbers samples and keeps them until the server has stored them, for a bounded time and in a bounded space, and packs them
 * into messages. A message declares the series that its samples use, unless an earlier one of the session did.
 */
import type { WireSample, WireSeries, WireTelemetry } from "../wire/messages.js";
import { encodeBinary } from "../wire/binary.js";

/** How long a sample is kept. */
export const KEEP_MS = 120_000;
/** Maximum size of all samples that are kept. */
export const KEEP_BYTES = 256 * 1024;
/** Maximum size of a message in a session; the server drops larger ones. */
export const MESSAGE_BYTES = 16 * 1024;
/** Maximum size of a declaration of a series, which is not measured. */
const SERIES_BYTES = 160;

interface Entry {
  readonly sample: WireSample;
  readonly number: number;
  readonly atMs: number;
  readonly series: readonly WireSeries[];
  readonly bytes: number;
  sent: boolean;
}

export class TelemetryOutbox {
  readonly #entries: Entry[] = [];
  readonly #declared = new Map<number, WireSeries>();
  #nextNumber = 1;
  #bytes = 0;
  #dropped = 0;

  /** Number of samples that are kept. */
  get size(): number {
    return this.#entries.length;
  }

  /** Number of samples that were dropped before they were stored. */
  get dropped(): number {
    return this.#dropped;
  }

  add(sample: WireSample, series: readonly WireSeries[], atMs: number): void {
    const number = this.#nextNumber;
    this.#nextNumber += 1;
    const numbered = { ...sample, number };
    const bytes = encodeBinary("TelemetrySample", numbered).length + 4;
    this.#entries.push({ sample: numbered, number, atMs, series, bytes, sent: false });
    this.#bytes += bytes;
    for (let [oldest] = this.#entries; oldest !== undefined; [oldest] = this.#entries) {
      if (this.#bytes <= KEEP_BYTES && atMs - oldest.atMs <= KEEP_MS) break;
      this.#remove();
      this.#dropped += 1;
    }
  }

  /** The messages with the samples that this session has not been sent yet. */
  unsent(): readonly WireTelemetry[] {
    const entries = this.#entries.filter(({ sent }) => !sent);
    for (const entry of entries) entry.sent = true;
    return pack(entries, this.#declared, MESSAGE_BYTES, this.#dropped);
  }

  /** Messages with all samples that are kept, for a place that knows no series yet. The newest ones count if space is short. */
  remaining(maxBytes: number): readonly WireTelemetry[] {
    const entries: Entry[] = [];
    let bytes = 0;
    for (const entry of [...this.#entries].reverse()) {
      bytes += entry.bytes + (entries.length === 0 ? entry.series.length * SERIES_BYTES : 0);
      if (bytes > maxBytes) break;
      entries.unshift(entry);
    }
    return pack(entries, new Map(), maxBytes, this.#dropped);
  }

  /** The server has stored all samples up to a number. With `resend`, it has not kept those after it. */
  stored(number: number, resend: boolean): void {
    for (let [oldest] = this.#entries; oldest !== undefined && oldest.number <= number; [oldest] = this.#entries) this.#remove();
    if (resend) for (const entry of this.#entries) entry.sent = false;
  }

  #remove(): void {
    this.#bytes -= this.#entries.shift()?.bytes ?? 0;
  }
}

function pack(entries: readonly Entry[], declared: Map<number, WireSeries>, maxBytes: number, droppedSamples: number): WireTelemetry[] {
  const messages: WireTelemetry[] = [];
  let samples: WireSample[] = [];
  let used = new Map<number, WireSeries>();
  let declarations: WireSeries[] = [];
  let bytes = 0;
  const flush = (): void => {
    if (samples.length > 0) messages.push({ samples, series: declarations, droppedSamples });
    samples = [];
    declarations = [];
    used = new Map();
    bytes = 0;
  };
  for (const entry of entries) {
    const changed = entry.series.some((one) => (used.get(one.number ?? 0) ?? one) !== one);
    if (changed || bytes + entry.bytes + entry.series.length * SERIES_BYTES > maxBytes) flush();
    for (const one of entry.series) {
      used.set(one.number ?? 0, one);
      if (declared.get(one.number ?? 0) === one) continue;
      declared.set(one.number ?? 0, one);
      declarations.push(one);
      bytes += SERIES_BYTES;
    }
    samples.push(entry.sample);
    bytes += entry.bytes;
  }
  flush();
  return messages;
}
