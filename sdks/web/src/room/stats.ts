/** The result of `Room.getStats()`: the stats of sections, by track and participant. */
import type { MediaStats } from "../core/media_stats.js";
import type { ParticipantId } from "../core/model.js";
import { worstQuality, type Quality } from "../core/quality.js";
import type { LocalTrack } from "./local_track.js";
import type { RemoteTrack } from "./remote_participant.js";

/** Stats of one track over the interval since the last `getStats()`. */
export interface TrackStats extends MediaStats {
  readonly track: LocalTrack | RemoteTrack;
  readonly participantId: ParticipantId;
}

/** Stats of a room. */
export interface RoomStats {
  /** Round-trip time of the media path; 0 while unknown. */
  readonly rttMs: number;
  /** The browser's estimate of its uplink; 0 while unknown. */
  readonly uplinkEstimateBps: number;
  /** Round-trip time of the WebSocket; null before the first answered ping. */
  readonly signalingRttMs: number | null;
  /** Tracks that are being sent or received. */
  readonly tracks: readonly TrackStats[];
  /** By participant, the worst quality of its tracks; without those of whom nothing is sent or played. */
  readonly quality: ReadonlyMap<ParticipantId, Quality>;
}

export function roomStats(
  path: Pick<RoomStats, "rttMs" | "uplinkEstimateBps" | "signalingRttMs">,
  tracks: readonly TrackStats[],
): RoomStats {
  const byParticipant = new Map<ParticipantId, Quality[]>();
  for (const { participantId, quality } of tracks) {
    if (quality !== null) byParticipant.set(participantId, [...(byParticipant.get(participantId) ?? []), quality]);
  }
  const quality = new Map<ParticipantId, Quality>();
  for (const [id, all] of byParticipant) {
    const worst = worstQuality(all);
    if (worst !== null) quality.set(id, worst);
  }
  return { ...path, tracks, quality };
}
