"""The engine's figures as the lines that `core.connection_quality` reads, and its ratings as room events."""

from nexus_sfu import engine_port as port
from nexus_sfu.core import commands as cmd
from nexus_sfu.core.connection_quality import ConnectionMeters, Line, SlotCounters, TrackCounters
from nexus_sfu.sfu import Sfu

# Longer than a receiver's reports are apart (RFC 3550 section 6.2), shorter than people take to ask.
INTERVAL_MS = 2_000


class QualityWatch:
    def __init__(self, sfu: Sfu) -> None:
        self._sfu = sfu
        self._meters = ConnectionMeters()
        self._due_ms = 0

    def observe(self, report: port.Report, now_ms: int) -> None:
        """`report` is of the whole node; one that comes before its time is passed over."""
        if now_ms < self._due_ms:
            return
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
        slots: dict[str, list[SlotCounters]] = {}
        for slot in report.slots:
            place = media.slot_of(slot.slot)
            if place is not None:
                slots.setdefault(place[0], []).append(self._slot(slot, *place))
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

    def _slot(self, figures: port.SlotFigures, participant_id: str, mid: str) -> SlotCounters:
        room = self._sfu.node.room(self._sfu.media.room_key(participant_id))
        slot = room.participant(participant_id).slots[mid]
        return SlotCounters(
            figures.slot, figures.packets, figures.fraction_lost, slot.track_id is not None, slot.paused
        )
