"""The engine's figures as the lines that `core.connection_quality` reads, and its ratings as room events."""

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

# Longer than a receiver's reports are apart (RFC 3550 section 6.2), shorter than people take to ask.
INTERVAL_MS = 2_000


class QualityWatch:
    def __init__(self, sfu: Sfu) -> None:
        self._sfu = sfu
        self._meters = ConnectionMeters()
        self._due_ms = 0

    def is_due(self, now_ms: int) -> bool:
        """`now_ms`, here and below, is on a steady clock."""
        return now_ms >= self._due_ms

    def observe(self, report: port.Report, now_ms: int) -> None:
        """`report` is of the whole node, with details."""
        self._due_ms = now_ms + INTERVAL_MS
        for rating in self._meters.observe(self._lines(report)):
            command = cmd.QualityChanged(rating.participant_id, rating.quality, rating.score)
            self._sfu.handle(self._sfu.media.room_key(rating.participant_id), command)

    def _lines(self, report: port.Report) -> list[Line]:
        media = self._sfu.media
        tracks: dict[str, list[TrackCounters]] = {}
        for track in report.tracks:
            publisher = media.publisher_of(track.track)
            if publisher is not None:
                counters = TrackCounters(track.track, track.packets, track.packets_lost, track.jitter_ms)
                tracks.setdefault(publisher, []).append(counters)
        sent = {track.track: _highest(track) for track in report.tracks}
        slots: dict[str, list[SlotCounters]] = {}
        for slot in report.slots:
            place = media.slot_of(slot.slot)
            if place is not None:
                slots.setdefault(place[0], []).append(self._slot(slot, *place, sent))
        lines = []
        for transport in report.transports:
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
        self, figures: port.SlotFigures, participant_id: str, mid: str, sent: dict[int, int]
    ) -> SlotCounters:
        room = self._sfu.node.room(self._sfu.media.room_key(participant_id))
        participant = room.participant(participant_id)
        slot = participant.slots[mid]
        track = room.tracks.get(slot.track_id or "")
        distance = 0.0
        if track is not None and figures.track is not None:
            wished = watching.wished_layer(participant.views.get(track.id), track)
            target = None if figures.target is None else figures.target[0]
            distance = layer_distance(wished, sent.get(figures.track, 0), target, paused=slot.paused)
        return SlotCounters(figures.slot, figures.packets, figures.fraction_lost, track is not None, distance)


def _highest(track: port.TrackFigures) -> int:
    """The highest spatial layer of which anything arrives."""
    return max((spatial for spatial, rates in enumerate(track.layer_bitrates) if any(rates)), default=0)
