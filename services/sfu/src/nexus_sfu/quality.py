"""Passes the engine's stats to `core.connection_quality`, and its ratings to the rooms."""

from nexus_sfu import engine_port as port
from nexus_sfu.core import commands as cmd
from nexus_sfu.core import watching
from nexus_sfu.core.connection_quality import (
    ConnectionMeters,
    Line,
    SlotCounters,
    TrackCounters,
    layer_distance,
)
from nexus_sfu.sfu import Sfu

# Interval of ratings: longer than that of receiver reports (RFC 3550 section 6.2), but short for users.
INTERVAL_MS = 2_000


class QualityWatch:
    def __init__(self, sfu: Sfu) -> None:
        self._sfu = sfu
        self._meters = ConnectionMeters()
        self._due_ms = 0

    def is_due(self, now_ms: int) -> bool:
        """Whether the next rating is due. `now_ms` is on the monotonic clock, here and below."""
        return now_ms >= self._due_ms

    def observe(self, stats: port.StatsReady, now_ms: int) -> None:
        """Rates all participants. `stats` must be of the whole node, with details."""
        self._due_ms = now_ms + INTERVAL_MS
        for rating in self._meters.observe(self._lines(stats)):
            command = cmd.QualityChanged(rating.participant_id, rating.quality, rating.score)
            self._sfu.handle(self._sfu.media.room_key(rating.participant_id), command)

    def _lines(self, stats: port.StatsReady) -> list[Line]:
        media = self._sfu.media
        tracks: dict[str, list[TrackCounters]] = {}
        for track in stats.tracks:
            publisher = media.publisher_of(track.track)
            if publisher is not None:
                counters = TrackCounters(track.track, track.packets, track.packets_lost, track.jitter_ms)
                tracks.setdefault(publisher, []).append(counters)
        sent = {track.track: _highest(track) for track in stats.tracks}
        slots: dict[str, list[SlotCounters]] = {}
        for slot in stats.slots:
            place = media.slot_of(slot.slot)
            if place is not None:
                slots.setdefault(place[0], []).append(self._slot(slot, *place, sent))
        lines = []
        for transport in stats.transports:
            seat = media.seat_of_transport(transport.transport)
            if seat is not None:
                participant = seat[1]
                lines.append(
                    Line(
                        participant,
                        transport.state,
                        transport.rtt_ms,
                        tuple(tracks.get(participant, ())),
                        tuple(slots.get(participant, ())),
                    )
                )
        return lines

    def _slot(
        self, stats: port.SlotStats, participant_id: str, mid: str, sent: dict[int, int]
    ) -> SlotCounters:
        room = self._sfu.node.room(self._sfu.media.room_key(participant_id))
        participant = room.participant(participant_id)
        slot = participant.slots[mid]
        track = room.tracks.get(slot.track_id or "")
        distance = 0.0
        if track is not None and stats.track is not None:
            needed = watching.needed_layer(participant.views.get(track.id), track)
            target = None if stats.target is None else stats.target[0]
            distance = layer_distance(needed, sent.get(stats.track, 0), target, paused=slot.paused)
        return SlotCounters(stats.slot, stats.packets, stats.fraction_lost, track is not None, distance)


def _highest(track: port.TrackStats) -> int:
    """The highest spatial layer that arrives from the publisher."""
    return max((spatial for spatial, rates in enumerate(track.layer_bitrates) if any(rates)), default=0)
