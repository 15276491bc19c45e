"""The cost of taps to the SFU and to publishers at worst: records that are not acknowledged, and readers
that request keyframes all the time."""

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from _load_nexus import ROOM
from _recording_system import RecordingSystem
from nexus.sfu.v1 import sfu_pb2

# The longest takeover that is aimed at. For so long nothing is acknowledged.
TAKEOVER_MS: Final = 8_000
RETAINED_SECONDS: Final = 14.0
# How long the SFU's own buffers for retransmission grow after participants have joined.
SETTLE_SECONDS: Final = 8.0
FLOOD_SECONDS: Final = 9.0
FLOODING_TAPS: Final = 8
REQUESTS_PER_SECOND: Final = 20


@dataclass(frozen=True, slots=True)
class Retention:
    """Records of `tracks` videos with audio, kept for `kept_ms` without an acknowledgement."""

    tracks: int
    kept_ms: int
    bytes_per_track: int
    memory_bytes_per_track: int


@dataclass(frozen=True, slots=True)
class Flood:
    """Keyframe requests of several taps of one track, and what reached the publisher."""

    taps: int
    requests: int
    seconds: float
    plis: int
    keyframes: int


async def measure_retention(system: RecordingSystem) -> Retention:
    tracks = len(system.participants)
    await asyncio.sleep(SETTLE_SECONDS)
    before, kept_before = system.sfu.memory_bytes(), await system.sfu_metric("tap_retained_bytes")
    async with AsyncExitStack() as taps:
        for track_id in await _tracks(system):
            await taps.enter_async_context(_Tap(system, track_id, "retention", TAKEOVER_MS))
        await asyncio.sleep(RETAINED_SECONDS)
        kept = await system.sfu_metric("tap_retained_bytes") - kept_before
        grown = system.sfu.memory_bytes() - before
    return Retention(tracks, TAKEOVER_MS, round(kept / tracks), round(grown / tracks))


async def measure_flood(system: RecordingSystem) -> Flood:
    track_id = (await _tracks(system))[-1]
    async with AsyncExitStack() as stack:
        taps = [
            await stack.enter_async_context(_Tap(system, track_id, f"flood-{n}", TAKEOVER_MS))
            for n in range(FLOODING_TAPS)
        ]
        await asyncio.sleep(1)
        before = await _video(system, track_id)
        began, requests = time.monotonic(), 0
        while time.monotonic() - began < FLOOD_SECONDS:
            await asyncio.gather(*(tap.request_keyframe() for tap in taps))
            requests += len(taps)
            await asyncio.sleep(1 / REQUESTS_PER_SECOND)
        seconds = time.monotonic() - began
        after = await _video(system, track_id)
    plis, keyframes = (later - earlier for earlier, later in zip(before, after, strict=True))
    return Flood(len(taps), requests, round(seconds, 1), plis, keyframes)


async def _tracks(system: RecordingSystem) -> list[str]:
    """All tracks of the room; the videos are last."""
    room = await system.sfu.stub().GetRoom(sfu_pb2.GetRoomRequest(room=ROOM))
    tracks = [track for participant in room.participants for track in participant.tracks]
    return [track.id for track in sorted(tracks, key=lambda track: track.kind)]


async def _video(system: RecordingSystem, track_id: str) -> tuple[int, int]:
    stats = await system.sfu_stats()
    track = next(track for track in stats.tracks if track.track_id == track_id)
    return track.plis_sent, track.keyframes


class _Tap:
    """A named tap that is read and never acknowledged. It is removed at the end."""

    def __init__(self, system: RecordingSystem, track_id: str, name: str, retain_ms: int) -> None:
        self._system = system
        self._update = sfu_pb2.UpdateTapRequest(room=ROOM, track_id=track_id, tap=name)
        self._request = sfu_pb2.StreamTrackRequest(
            room=ROOM, track_id=track_id, tap=name, retain_ms=retain_ms, batch_ms=500
        )
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "_Tap":
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        assert self._reading is not None
        remove = sfu_pb2.UpdateTapRequest(remove=True)
        remove.MergeFrom(self._update)
        await self._system.sfu.stub().UpdateTap(remove)
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def request_keyframe(self) -> None:
        request = sfu_pb2.UpdateTapRequest(request_keyframe=True)
        request.MergeFrom(self._update)
        await self._system.sfu.stub().UpdateTap(request)

    async def _read(self) -> None:
        async for _ in self._system.sfu.stub().StreamTrack(self._request):
            pass
