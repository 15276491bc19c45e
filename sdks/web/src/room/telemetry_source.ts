/** The tracks and the path of a room as telemetry measures them. */
import type { TrackId } from "../core/model.js";
import { connectionState } from "../core/session_state.js";
import type { MeasuredTrack, SeriesView, TrackCondition } from "../core/telemetry.js";
import type { Peer } from "../edge/peer.js";
import type { Playback } from "../edge/playback.js";
import type { SessionRunner } from "../edge/session_runner.js";
import type { LocalParticipant } from "./local_participant.js";
import type { Publications } from "./publications.js";
import type { RemoteTrack } from "./remote_participant.js";
import type { TelemetrySource } from "./telemetry.js";

const NO_VIEW: SeriesView = { elementWidth: 0, elementHeight: 0, layerHeights: [] };

interface MeasuredParts {
  readonly peer: Peer;
  readonly runner: SessionRunner;
  readonly publications: Publications;
}

/** @internal */
export function telemetrySource(
  { peer, runner, publications }: MeasuredParts,
  local: LocalParticipant,
  remote: ReadonlyMap<TrackId, RemoteTrack>,
  playback: Playback,
): TelemetrySource {
  const sent = (): MeasuredTrack[] => {
    const { own } = runner.state.roster;
    return [...publications.outgoing()].flatMap(([track, outgoing]) => {
      const [id, mid] = [publications.idOf(track), peer.midOf(outgoing)];
      const described = own?.tracks.find((one) => one.id === id);
      if (id === null || mid === null) return [];
      const unwatched = runner.state.watching.demands.get(id)?.watched === false;
      const condition = track.muted ? "MUTED" : unwatched ? "UNWATCHED" : "UNSPECIFIED";
      const rids = peer.ridsOf(outgoing);
      return { id, mid, sent: true, codec: described?.codec ?? "unknown", source: track.source, condition, rids, view: NO_VIEW };
    });
  };
  const received = (pageHidden: boolean): MeasuredTrack[] =>
    [...remote.values()].flatMap((track) => {
      const mid = playback.midOf(track.id);
      if (mid === null) return [];
      const view = runner.state.views.current.get(track.id);
      const hidden = track.kind === "video" && (pageHidden || view?.hidden === true);
      const condition: TrackCondition = track.muted ? "MUTED" : track.paused ? "PAUSED" : hidden ? "HIDDEN" : "UNSPECIFIED";
      const shown: SeriesView = {
        elementWidth: view?.width ?? 0,
        elementHeight: view?.height ?? 0,
        requestedSpatial: view?.maxSpatial,
        requestedTemporal: view?.maxTemporal,
        layerHeights: track.layers.map(({ height }) => height),
      };
      return { id: track.id, mid, sent: false, codec: track.codec, source: track.source, condition, rids: [], view: shown };
    });
  return {
    participantId: local.id,
    level: runner.state.telemetryLevel,
    report: async () => await peer.getStats(),
    tracks: (pageHidden) => [...sent(), ...received(pageHidden)],
    path: () => ({
      interrupted: connectionState(runner.state) === "interrupted",
      ...(runner.state.rttMs === null ? {} : { signalingRttMs: Math.round(runner.state.rttMs) }),
    }),
    send: (telemetry) => runner.dispatch({ type: "telemetry", telemetry }),
  };
}
