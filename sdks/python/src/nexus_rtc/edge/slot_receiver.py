"""Receives a slot: decoded frames, each with the number of its track.

The server writes the track's number into the CSRC of every packet (docs/architecture/contracts.md,
"Attribution of packets"). aiortc drops CSRCs between packet and frame, so this module hooks into its receiver
twice: where packets arrive, to record the CSRC of each RTP timestamp, and where timestamps are mapped, to
find the CSRC by the timestamp of a frame. Only this module and `peer.py` use aiortc's private names (of
version 1.16).
"""

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from aiortc import RTCRtpTransceiver, RTCStatsReport
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpreceiver import TimestampMapper
from aiortc.rtp import RtpPacket
from av import AudioFrame, VideoFrame

# Maximum number of timestamps remembered between packet and frame; jitter buffers hold far fewer.
REMEMBERED: Final = 1024

OnFrame = Callable[[int, AudioFrame | VideoFrame], None]


@dataclass(slots=True)
class Received:
    """The media received through a slot."""

    packets: int = 0
    octets: int = 0
    frames: int = 0
    first_packet_at: float | None = None
    first_frame_at: float | None = None
    without_source: int = 0
    """Packets without exactly one CSRC, which belong to no track."""


class Remembered(OrderedDict[int, int]):
    """A map that drops its oldest entries."""

    def __setitem__(self, key: int, value: int) -> None:
        super().__setitem__(key, value)
        while len(self) > REMEMBERED:
            self.popitem(last=False)


class SourceMapper(TimestampMapper):
    """Maps timestamps as aiortc does and remembers their tracks."""

    def __init__(self, source_of: Remembered) -> None:
        super().__init__()
        self._source_of = source_of
        self.source_at: Remembered = Remembered()

    def map(self, timestamp: int) -> int:
        mapped = super().map(timestamp)
        source = self._source_of.get(timestamp)
        if source is not None:
            self.source_at[mapped] = source
        return mapped


class SlotReceiver:
    """Reads one receiver as soon as aiortc has a track for it."""

    def __init__(self, transceiver: RTCRtpTransceiver, on_frame: OnFrame) -> None:
        self.received = Received()
        self.sources: dict[int, int] = {}
        """Packets by track number. The server assigns as many numbers as a room has tracks; bounded
        nevertheless."""
        self.newest_source: int | None = None
        """The number of the track whose packet arrived last."""
        self._transceiver = transceiver
        self._on_frame = on_frame
        self._source_of = Remembered()
        self._mapper = SourceMapper(self._source_of)
        self._pump: asyncio.Task[None] | None = None
        receiver: Any = transceiver.receiver
        self._inner = receiver._handle_rtp_packet
        receiver._handle_rtp_packet = self._handle_rtp_packet
        receiver._RTCRtpReceiver__timestamp_mapper = self._mapper

    @property
    def mid(self) -> str:
        return self._transceiver.mid or ""

    @property
    def kind(self) -> str:
        return self._transceiver.kind

    async def statistics(self) -> RTCStatsReport:
        """Returns aiortc's report: `inbound-rtp` for each SSRC, jitter in units of the RTP clock."""
        return await self._transceiver.receiver.getStats()

    def start(self) -> None:
        """Starts reading after an answer. A refused section has no track and is not read."""
        if self._pump is None and self._transceiver.receiver.track is not None:
            self._pump = asyncio.create_task(self._run(), name=f"slot {self.mid}")

    async def stop(self) -> None:
        if self._pump is not None:
            self._pump.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._pump

    async def _handle_rtp_packet(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        self._note(packet)
        await self._inner(packet, arrival_time_ms=arrival_time_ms)

    def _note(self, packet: RtpPacket) -> None:
        received = self.received
        received.packets += 1
        received.octets += len(packet.payload)
        if received.first_packet_at is None:
            received.first_packet_at = time.monotonic()
        if len(packet.csrc) != 1:
            received.without_source += 1
            return
        number = packet.csrc[0]
        self.newest_source = number
        self._source_of[packet.timestamp] = number
        if number in self.sources or len(self.sources) < REMEMBERED:
            self.sources[number] = self.sources.get(number, 0) + 1

    async def _run(self) -> None:
        track = self._transceiver.receiver.track
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                self.received.frames += 1
                if self.received.first_frame_at is None:
                    self.received.first_frame_at = time.monotonic()
                source = None if frame.pts is None else self._mapper.source_at.get(frame.pts)
                if source is not None and isinstance(frame, AudioFrame | VideoFrame):
                    self._on_frame(source, frame)
