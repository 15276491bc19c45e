/**
 * The attribution of slots to tracks: which track's media a slot carries at the moment.
 *
 * The slot table says what is bound; the CSRC of the packets that were played says what arrives (each forwarded packet has
 * exactly one, `Track.number`). A video slot is attributed to a track only while both agree, so that no frame is shown
 * under another participant's name: after a rebind the old source continues until the first keyframe of the new one. Audio
 * slots are bound by the engine alone, so only the CSRC counts for them.
 */
import type { Mid, SlotTable, TrackDescription, TrackId } from "./model.js";

/** The newest contributing source of a slot's receiver. */
export interface SlotReading {
  readonly mid: Mid;
  readonly number: number;
  /** When a packet with this CSRC was played last, on the clock of `RTCRtpContributingSource.timestamp`. */
  readonly playedAtMs: number;
}

export interface Attribution {
  readonly table: SlotTable;
  /** Remote tracks by their number. */
  readonly tracks: ReadonlyMap<number, TrackDescription>;
  /** The last reading of each slot that has carried media. */
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

/** The slot of each track that a slot carries. */
export function carriers(attribution: Attribution): ReadonlyMap<TrackId, Mid> {
  const carried = new Map<TrackId, { mid: Mid; playedAtMs: number }>();
  for (const slot of attribution.table.slots) {
    const reading = attribution.readings.get(slot.mid);
    const track = reading === undefined ? fresh(attribution, slot.trackId) : attribution.tracks.get(reading.number);
    if (track === undefined || track.kind !== slot.kind) continue;
    if (slot.kind === "video" && slot.trackId !== track.id) continue;
    const playedAtMs = reading?.playedAtMs ?? 0;
    // After a track has moved, two slots have played it last: the newer reading counts.
    const rival = carried.get(track.id);
    if (rival === undefined || rival.playedAtMs < playedAtMs) carried.set(track.id, { mid: slot.mid, playedAtMs });
  }
  return new Map([...carried].map(([id, { mid }]) => [id, mid]));
}

/**
 * The track that a slot without a reading is bound to. Such a slot has carried nothing before, so its first frame can only
 * be of this track; to wait for the first CSRC would cost a frame or two of every join.
 */
function fresh(attribution: Attribution, bound: TrackId | null): TrackDescription | undefined {
  if (bound === null) return undefined;
  for (const track of attribution.tracks.values()) if (track.id === bound) return track;
  return undefined;
}
