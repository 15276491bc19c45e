"""Measurements at the end of a probe, from RTP statistics (RFC 3550 section 6.4) and decoded media."""

from collections.abc import Callable, Iterable
from typing import Any, Final

from nexus_rtc import Room
from nexus_rtc.synthetic import Colour

from nexus_cli.probe.collector import Collector, Taken
from nexus_cli.probe.report import ReceivedTrack, Report, SentTrack, SlotStats

_CLOCKS_HZ: Final = {"audio": 48_000, "video": 90_000}
# Tolerances: far wider than the change that a codec makes, far narrower than the difference between two
# sources.
COLOUR_TOLERANCE: Final = 48
PITCH_TOLERANCE_HZ: Final = 40.0


def resembles(taken: Taken, colour: Colour, tone_hz: float) -> bool | None:
    """Whether this is the colour or tone that was sent; None while there is too little media to decide."""
    if taken.track.kind == "video":
        seen = taken.colour
        if seen is None:
            return None
        return all(abs(a - b) <= COLOUR_TOLERANCE for a, b in zip(seen, colour, strict=True))
    pitch = taken.heard.pitch_hz()
    return None if pitch is None else abs(pitch - tone_hz) <= PITCH_TOLERANCE_HZ


async def fill(
    report: Report, room: Room, collector: Collector, expected: Callable[[Taken], bool | None]
) -> None:
    report.signaling_rtt_ms = _rounded(room.signaling_rtt_ms)
    report.sent = [await _sent(local) for local in room.published]
    report.slots = [stats for slot in room.peer.slots if (stats := await _slot(slot, room)) is not None]
    packets = _packets_by_number(room)
    report.received = [
        ReceivedTrack(
            participant=taken.participant.identity,
            kind=taken.track.kind,
            source=taken.track.source,
            codec=taken.track.codec,
            packets=packets.get(taken.track.number, 0),
            frames=taken.frames,
            frames_per_second=round(taken.frames_per_second, 1),
            width=taken.width,
            height=taken.height,
            expected=expected(taken),
        )
        for taken in collector.taken.values()
    ]
    rtts = [one.rtt_ms for one in report.sent if one.rtt_ms is not None]
    report.rtt_ms = min(rtts, default=None)


def summary(report: Report) -> str:
    received = sum(slot.packets for slot in report.slots)
    lost = sum(slot.lost for slot in report.slots)
    jitter = max((slot.jitter_ms for slot in report.slots), default=0.0)
    share = lost / (received + lost) if received + lost else 0.0
    rtt = "no round trip measured" if report.rtt_ms is None else f"round trip {report.rtt_ms:.1f} ms"
    return f"{received} packets received, {share:.1%} lost, jitter {jitter:.1f} ms, {rtt}"


async def _sent(local: Any) -> SentTrack:
    statistics = list((await local.transceiver.sender.getStats()).values())
    out = _first(statistics, "outbound-rtp")
    heard = _first(statistics, "remote-inbound-rtp")
    return SentTrack(
        kind=local.media.kind,
        codec=local.codec or "opus",
        packets=out.packetsSent if out else 0,
        octets=out.bytesSent if out else 0,
        lost=heard.packetsLost if heard else None,
        rtt_ms=_rounded(heard.roundTripTime * 1000) if heard and heard.roundTripTime is not None else None,
    )


async def _slot(slot: Any, room: Room) -> SlotStats | None:
    """The slot's statistics, or None if it received nothing. Retransmissions have their own SSRC and are not
    counted."""
    signaled = {one.mid: one.ssrc for one in room.slots}
    statistics = (await slot.statistics()).values()
    streams = [
        one
        for one in statistics
        if one.type == "inbound-rtp" and signaled.get(slot.mid) in (None, 0, one.ssrc)
    ]
    if not streams:
        return None
    return SlotStats(
        mid=slot.mid,
        kind=slot.kind,
        packets=sum(one.packetsReceived for one in streams),
        lost=sum(max(0, one.packetsLost) for one in streams),
        jitter_ms=round(max(one.jitter for one in streams) * 1000 / _CLOCKS_HZ[slot.kind], 2),
    )


def _packets_by_number(room: Room) -> dict[int, int]:
    packets: dict[int, int] = {}
    for slot in room.peer.slots:
        for number, count in slot.sources.items():
            packets[number] = packets.get(number, 0) + count
    return packets


def _first(statistics: Iterable[Any], kind: str) -> Any:
    return next((one for one in statistics if one.type == kind), None)


def _rounded(ms: float | None) -> float | None:
    return None if ms is None else round(ms, 2)
