/** What `Room.getStats()` gives: the media sections' figures under the names of tracks and people. */
import type { MediaStats } from "../core/media_stats.js";
import type { ParticipantId } from "../core/model.js";
import { worstQuality, type Quality } from "../core/quality.js";
import type { LocalTrack } from "./local_track.js";
import type { RemoteTrack } from "./remote_participant.js";

/** Figures of one track over the time since the last `getStats()`. */
export interface TrackStats extends MediaStats {
  readonly track: LocalTrack | RemoteTrack;
  readonly participantId: ParticipantId;
}

/** Figures of a room. */
export interface RoomStats {
  /** Of the media path; 0 while unknown. */
  readonly rttMs: number;
  /** What the browser thinks that its uplink carries; 0 while unknown. */
  readonly uplinkEstimateBps: number;
  /** Of the WebSocket; null before the first ping came back. */
  readonly signalingRttMs: number | null;
  /** Tracks that are being sent or received just now. */
  readonly tracks: readonly TrackStats[];
  /** For a badge: the worst of a participant's tracks. */
  readonly quality: ReadonlyMap<ParticipantId, Quality>;
}

export function roomStats(
  path: Pick<RoomStats, "rttMs" | "uplinkEstimateBps" | "signalingRttMs">,
  tracks: readonly TrackStats[],
): RoomStats {
  const byParticipant = new Map<ParticipantId, Quality[]>();
  for (const { participantId, quality } of tracks) {
    byParticipant.set(participantId, [...(byParticipant.get(participantId) ?? []), quality]);
  }
  const quality = new Map<ParticipantId, Quality>();
  for (const [id, all] of byParticipant) {
    const worst = worstQuality(all);
    if (worst !== null) quality.set(id, worst);
  }
  return { ...path, tracks, quality };
}
