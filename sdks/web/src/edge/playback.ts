/**
 * From slots to ears and eyes: polls which source each slot plays, hands slot streams to the tracks that they carry, and
 * plays all audio through elements of its own.
 *
 * Audio never plays through the page's elements: which slot carries a voice changes with who speaks, without a message,
 * and a video element must stay free to be taken away. Lips stay in sync all the same, because the browser synchronises
 * the receivers whose sections share an msid, whichever elements play them.
 */
import {
  carriers,
  NOTHING_ATTRIBUTED,
  readSlot,
  type Attribution,
} from "../core/attribution.js";
import type { Mid, SlotTable, TrackDescription, TrackId } from "../core/model.js";
import { AudioOutput } from "./audio_output.js";
import type { Peer } from "./peer.js";
import type { Platform } from "./platform.js";

/** How often CSRCs are read; a frame callback of an element reads its own slot besides. */
const POLL_INTERVAL_MS = 100;

/** A remote track as playback sees it. */
export interface Sink {
  readonly description: TrackDescription;
  /** 0 to 1. */
  readonly volume: number;
  readonly locallyMuted: boolean;
  /** The stream that carries the track from now on; null: none does. */
  carry(stream: MediaStream | null): void;
}

/** @internal */
export class Playback {
  readonly #platform: Platform;
  readonly #peer: Peer;
  readonly #output: AudioOutput;
  readonly #sinks = new Map<TrackId, Sink>();
  #attribution: Attribution = NOTHING_ATTRIBUTED;
  #carried: ReadonlyMap<TrackId, Mid> = new Map();
  #cancelPoll: (() => void) | null = null;

  constructor(platform: Platform, peer: Peer, onBlocked: () => void) {
    this.#platform = platform;
    this.#peer = peer;
    this.#output = new AudioOutput(platform, onBlocked);
  }

  /** The browser holds sound back until the page has been touched. */
  get blocked(): boolean {
    return this.#output.blocked;
  }

  start(): void {
    if (this.#cancelPoll === null) this.#schedule();
  }

  close(): void {
    this.#cancelPoll?.();
    this.#cancelPoll = null;
    this.#output.close();
    for (const id of this.#carried.keys()) this.#sinks.get(id)?.carry(null);
    this.#carried = new Map();
    this.#sinks.clear();
  }

  setTable(table: SlotTable): void {
    this.#attribution = { ...this.#attribution, table };
    // A slot counts as fresh only if nothing has come through it up to this very moment.
    this.#read(table.slots.map((slot) => slot.mid));
    for (const slot of table.slots) if (slot.kind === "audio") this.#playAudio(slot.mid);
    this.#update();
  }

  addSink(sink: Sink): void {
    const { id, number } = sink.description;
    this.#sinks.set(id, sink);
    const tracks = new Map(this.#attribution.tracks).set(number, sink.description);
    this.#attribution = { ...this.#attribution, tracks };
    this.#update();
  }

  removeSink(sink: Sink): void {
    const { id, number } = sink.description;
    const tracks = new Map(this.#attribution.tracks);
    tracks.delete(number);
    this.#attribution = { ...this.#attribution, tracks };
    this.#update();
    this.#sinks.delete(id);
  }

  /** Reads the slot that carries this track, now: called when an element has just shown a frame of it. */
  readTrack(id: TrackId): void {
    const mid = this.#carried.get(id);
    if (mid !== undefined) this.#read([mid]);
  }

  midOf(id: TrackId): Mid | null {
    return this.#carried.get(id) ?? null;
  }

  trackAt(mid: Mid): TrackId | null {
    for (const [id, one] of this.#carried) if (one === mid) return id;
    return null;
  }

  /** Plays what was held back; call it from a click or a key. */
  async startAudio(): Promise<void> {
    await this.#output.start();
  }

  async setOutputDevice(deviceId: string): Promise<void> {
    await this.#output.setDevice(deviceId);
  }

  /** The volume or local muting of a track has changed. */
  applyVolumes(): void {
    for (const [mid, element] of this.#output.elements) {
      const id = this.trackAt(mid);
      const sink = id === null ? undefined : this.#sinks.get(id);
      element.volume = sink?.volume ?? 1;
      element.muted = sink?.locallyMuted ?? false;
    }
  }

  #schedule(): void {
    this.#cancelPoll = this.#platform.setTimer(POLL_INTERVAL_MS, () => {
      this.#read(this.#attribution.table.slots.map((slot) => slot.mid));
      this.#schedule();
    });
  }

  #read(mids: readonly Mid[]): void {
    const before = this.#attribution;
    for (const mid of mids) {
      const reading = this.#peer.readSlot(mid);
      if (reading !== null) this.#attribution = readSlot(this.#attribution, reading);
    }
    if (this.#attribution !== before) this.#update();
  }

  #update(): void {
    const before = this.#carried;
    this.#carried = carriers(this.#attribution);
    // Taken away first: no stream is ever with two tracks.
    for (const [id, mid] of before) if (this.#carried.get(id) !== mid) this.#sinks.get(id)?.carry(null);
    for (const [id, mid] of this.#carried) {
      if (before.get(id) !== mid) this.#sinks.get(id)?.carry(this.#peer.slotStream(mid));
    }
    this.applyVolumes();
  }

  #playAudio(mid: Mid): void {
    const stream = this.#output.elements.has(mid) ? null : this.#peer.slotStream(mid);
    if (stream !== null) this.#output.add(mid, stream);
  }
}
