"""Reads the counters of a connection from aiortc, for telemetry."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from nexus_rtc.edge.peer import Peer
from nexus_rtc.edge.slot_receiver import SlotReceiver
from nexus_rtc.model import PauseReason, Track
from nexus_rtc.publishing import LocalTrack
from nexus_rtc.telemetry import PathReading, TrackReading

# Units of the RTP clock in a second, by kind.
_CLOCK_RATES: Final = {"audio": 48_000, "video": 90_000}


async def read_path(peer: Peer, senders: Iterable[LocalTrack]) -> PathReading:
    """The selected pair, the bytes of the transport, and the round-trip time that receiver reports show,
    which aiortc has only while something is sent."""
    pair = peer.selected_pair
    if pair is None:
        return PathReading()
    rtt_us: int | None = None
    for local in senders:
        for entry in await _sender_stats(local):
            if entry.type == "remote-inbound-rtp":
                rtt_us = round(entry.roundTripTime * 1e6)
    return PathReading(rtt_us, *peer.transport_bytes, f"{pair.local} {pair.remote}")


async def read_sent(local: LocalTrack, track: Track) -> TrackReading:
    packets, size, lost, jitter_us = 0, 0, None, None
    for entry in await _sender_stats(local):
        if entry.type == "outbound-rtp":
            packets, size = entry.packetsSent, entry.bytesSent
        elif entry.type == "remote-inbound-rtp":
            lost, jitter_us = entry.packetsLost, _jitter_us(entry.jitter, track.kind)
    return TrackReading(
        track_id=track.id,
        stream=f"sent {local.mid}",
        sent=True,
        kind=track.kind,
        codec=track.codec,
        source=track.source,
        muted=local.muted,
        packets=packets,
        bytes=size,
        lost=lost,
        jitter_us=jitter_us,
    )


async def read_received(
    slot: SlotReceiver, tracks: Mapping[int, Track], paused: Mapping[str, PauseReason]
) -> TrackReading | None:
    """The track that the slot received last. None if it has received none that is in the room."""
    track = tracks.get(slot.newest_source) if slot.newest_source is not None else None
    if track is None:
        return None
    lost, jitter_us = None, None
    for entry in (await slot.statistics()).values():
        if entry.type == "inbound-rtp":
            lost, jitter_us = entry.packetsLost, _jitter_us(entry.jitter, track.kind)
    return TrackReading(
        track_id=track.id,
        stream=f"received {slot.mid}",
        sent=False,
        kind=track.kind,
        codec=track.codec,
        source=track.source,
        muted=track.muted,
        paused=track.id in paused,
        packets=slot.received.packets,
        bytes=slot.received.octets,
        lost=lost,
        jitter_us=jitter_us,
        frames=slot.received.frames,
    )


async def _sender_stats(local: LocalTrack) -> Iterable[Any]:
    return () if local.transceiver is None else (await local.transceiver.sender.getStats()).values()


def _jitter_us(jitter: float, kind: str) -> int:
    return max(0, round(jitter * 1e6 / _CLOCK_RATES[kind]))
