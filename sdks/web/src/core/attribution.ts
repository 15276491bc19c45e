/**
 * Whose media does a slot carry just now?
 *
 * The slot table says what is wished for; the CSRC of the packets that were played says what *is* (each forwarded packet
 * has exactly one, `Track.number`). A video slot is given to a track only while both agree, so that no frame is ever
 * shown under another's name: after a rebind the old source goes on until the new one's first keyframe. Audio is placed
 * by the engine alone, so there only the CSRC counts.
 */
import type { Mid, SlotTable, TrackDescription, TrackId } from "./model.js";

/** What a receiver's contributing sources said last. */
export interface SlotReading {
  readonly mid: Mid;
  readonly number: number;
  /** When a packet with this CSRC was last played, on the clock of `RTCRtpContributingSource.timestamp`. */
  readonly playedAtMs: number;
}

export interface Attribution {
  readonly table: SlotTable;
  /** Tracks of others by their number. */
  readonly tracks: ReadonlyMap<number, TrackDescription>;
  /** The last reading of each slot that has ever carried anything. */
  readonly readings: ReadonlyMap<Mid, SlotReading>;
}

export const NOTHING_ATTRIBUTED: Attribution = {
  table: { revision: 0, slots: [] },
  tracks: new Map(),
  readings: new Map(),
};

export function readSlot(attribution: Attribution, reading: SlotReading): Attribution {
  const before = attribution.readings.get(reading.mid);
  if (before?.number === reading.number && before.playedAtMs === reading.playedAtMs) return attribution;
  return { ...attribution, readings: new Map(attribution.readings).set(reading.mid, reading) };
}

/** The slot that carries each track, for tracks that are carried. */
export function carriers(attribution: Attribution): ReadonlyMap<TrackId, Mid> {
  const carried = new Map<TrackId, { mid: Mid; playedAtMs: number }>();
  for (const slot of attribution.table.slots) {
    const reading = attribution.readings.get(slot.mid);
    const track = reading === undefined ? fresh(attribution, slot.trackId) : attribution.tracks.get(reading.number);
    if (track === undefined || track.kind !== slot.kind) continue;
    if (slot.kind === "video" && slot.trackId !== track.id) continue;
    const playedAtMs = reading?.playedAtMs ?? 0;
    // A track that moved is for a moment the last thing that two slots have played: the newer word counts.
    const rival = carried.get(track.id);
    if (rival === undefined || rival.playedAtMs < playedAtMs) carried.set(track.id, { mid: slot.mid, playedAtMs });
  }
  return new Map([...carried].map(([id, { mid }]) => [id, mid]));
}

/**
 * A slot that has never carried anything shows what it was bound to from its very first frame: nothing older can be in
 * it, and waiting for the first CSRC would cost a frame or two of every join.
 */
function fresh(attribution: Attribution, bound: TrackId | null): TrackDescription | undefined {
  if (bound === null) return undefined;
  for (const track of attribution.tracks.values()) if (track.id === bound) return track;
  return undefined;
}
