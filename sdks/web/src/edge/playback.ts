/**
 * The playback of slots: polls which source each slot plays, gives the streams of slots to the tracks that they carry, and
 * plays all audio through elements of its own.
 *
 * Audio never plays through the page's elements: the slot of an audio track changes with the active speakers, without a
 * message, and the page may remove a video element at any time. Audio and video stay in sync all the same, because the
 * browser synchronises the receivers whose sections share an msid, whichever elements play them.
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

/** How often CSRCs are read. In addition, each frame callback of an element reads its own slot. */
const POLL_INTERVAL_MS = 100;

/** A remote track as playback uses it. */
export interface Sink {
  readonly description: TrackDescription;
  /** 0 to 1. */
  readonly volume: number;
  readonly locallyMuted: boolean;
  /** The stream that carries the track from now on; null for none. */
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

  /** Whether the browser blocks audio until the user has interacted with the page. */
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
    // A slot counts as fresh only if it has carried nothing up to now.
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

  /** Reads the slot of this track; called when an element has shown a frame of it. */
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

  /** Plays blocked audio; call it from a click or key press. */
  async startAudio(): Promise<void> {
    await this.#output.start();
  }

  async setOutputDevice(deviceId: string): Promise<void> {
    await this.#output.setDevice(deviceId);
  }

  /** Applies the volumes and local muting of all tracks. */
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
    // Streams are removed first, so that no stream belongs to two tracks.
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
