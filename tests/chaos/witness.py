"""A second tap on every track of a room. What it receives is what the SFU had, so a recording must have it
too."""

import asyncio
import contextlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from deployment import APP
from nexus.sfu.v1 import sfu_pb2, track_stream_pb2
from nexus.types.v1.media_pb2 import TrackKind
from nexus_rooms import ReadEnd, ReadEnded, SfuClient, TapOptions, TrackBatch, TrackReader
from nexus_rpc import RpcError
from nexus_runtime import MetricSet, SystemClock
from prometheus_client import CollectorRegistry
from service_process import ServiceProcess

LOOK_SECONDS: Final = 0.2
RETAIN_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class SeenFrame:
    """A frame as its publisher encoded it: an Opus packet or a VP8 frame. Numbers are those of RTP."""

    first_number: int
    last_number: int
    media_time_us: int
    data: bytes


@dataclass(slots=True)
class SeenTrack:
    """One track from its first packet to its end."""

    track_id: str
    room_id: str
    kind: "TrackKind.ValueType"
    packets: list[track_stream_pb2.StreamPacket] = field(default_factory=list)
    gaps: int = 0
    ended: ReadEnd | None = None

    @property
    def media(self) -> str:
        return "video" if self.kind == TrackKind.TRACK_KIND_VIDEO else "audio"

    @property
    def last_number(self) -> int:
        return self.packets[-1].sequence_number if self.packets else -1

    def frames(self) -> Iterator[SeenFrame]:
        """The whole frames. A frame of video ends with the marker (RFC 3550 section 5.1)."""
        if self.media == "audio":
            for packet in self.packets:
                number = packet.sequence_number
                yield SeenFrame(number, number, packet.media_time_us, packet.payload)
            return
        parts: list[track_stream_pb2.StreamPacket] = []
        for packet in self.packets:
            if parts and packet.sequence_number != parts[-1].sequence_number + 1:
                parts = []
            parts.append(packet)
            if packet.marker:
                if begins_frame(parts[0].payload):
                    data = b"".join(without_descriptor(part.payload) for part in parts)
                    yield SeenFrame(
                        parts[0].sequence_number, packet.sequence_number, packet.media_time_us, data
                    )
                parts = []


def begins_frame(payload: bytes) -> bool:
    """The S bit and the partition index 0 of the payload descriptor of VP8 (RFC 7741 section 4.2)."""
    return bool(payload[0] & 0x10) and not payload[0] & 0x07


def without_descriptor(payload: bytes) -> bytes:
    """A VP8 payload without its descriptor (RFC 7741 section 4.2)."""
    size = 1
    if payload[0] & 0x80:
        extensions = payload[1]
        size += 1
        if extensions & 0x80:
            size += 2 if payload[2] & 0x80 else 1
        size += bool(extensions & 0x40) + bool(extensions & 0x30)
    return payload[size:]


class Witness:
    """``async with Witness(sfu, room) as witness``: reads until its end."""

    def __init__(self, sfu: ServiceProcess, room: str) -> None:
        self._process = sfu
        self._key = sfu_pb2.RoomKey(app=APP.key_id, room=room)
        metrics = MetricSet("witness", CollectorRegistry())
        self._sfu = SfuClient(metrics, timeout_ms=5_000, join_timeout_ms=5_000)
        self._random = random.Random(1)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._looking: asyncio.Task[None] | None = None
        self.tracks: dict[str, SeenTrack] = {}
        """The tracks by their ids, in the order in which they appeared."""

    def count(self) -> int:
        """The number of packets so far."""
        return sum(len(track.packets) for track in self.tracks.values())

    def last_numbers(self) -> dict[str, int]:
        """The number of the last packet of each track at this moment."""
        return {track_id: track.last_number for track_id, track in self.tracks.items()}

    async def _look_forever(self) -> None:
        while True:
            with contextlib.suppress(RpcError, KeyError):
                await self._look()
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> None:
        if not self._process.running:
            return
        address = self._process.grpc_address
        answer = await self._sfu.get_room(address, sfu_pb2.GetRoomRequest(room=self._key))
        for participant in answer.participants:
            for track in participant.tracks:
                if track.id not in self.tracks:
                    seen = self.tracks[track.id] = SeenTrack(track.id, answer.room.id, track.kind)
                    reading = asyncio.create_task(self._read(address, seen), name=f"witness-{track.id}")
                    self._tasks[track.id] = reading

    async def _read(self, address: str, seen: SeenTrack) -> None:
        tap = TapOptions(name="witness", retain_ms=RETAIN_MS, batch_ms=20)
        reader = TrackReader(
            self._sfu, address, self._key, seen.track_id, tap, clock=SystemClock(), rng=self._random
        )
        try:
            async for item in reader.read():
                match item:
                    case TrackBatch(response, position):
                        self._take(seen, response)
                        reader.acknowledge(position)
                    case ReadEnded(reason):
                        seen.ended = reason
        finally:
            await reader.close()

    def _take(self, seen: SeenTrack, response: track_stream_pb2.StreamTrackResponse) -> None:
        for record in response.records:
            if record.HasField("packet"):
                seen.packets.append(record.packet)
            elif record.HasField("gap"):
                seen.gaps += 1

    async def __aenter__(self) -> "Witness":
        self._looking = asyncio.create_task(self._look_forever(), name="witness")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        assert self._looking is not None
        tasks = [self._looking, *self._tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._sfu.close()
