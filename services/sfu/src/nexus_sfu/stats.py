"""WatchStats: the engine's stats as messages, with the service's IDs.

The engine answers a request by an event, which is matched to the waiting caller by the request's number.
"""

import asyncio
from collections.abc import Mapping
from typing import TypeVar

from google.protobuf.message import Message
from nexus.sfu.v1 import sfu_pb2
from nexus_runtime import Clock

from nexus_sfu import engine_port as port
from nexus_sfu.core.model import RoomKey
from nexus_sfu.media import Media

STATS_TIMEOUT_SECONDS = 5.0
# Maximum number of pending requests; each watcher has one at a time.
MAX_WAITING = 1_024
# Fields that identify the object of the counters, where the engine has numbers.
IDS = frozenset({"participant_id", "track_id", "mid"})
M = TypeVar("M", bound=Message)


class StatsLost(Exception):
    """The engine did not answer, or too many requests are pending."""


class StatsRequests:
    def __init__(self, engine: port.EnginePort) -> None:
        self._engine = engine
        self._waiting: dict[int, asyncio.Future[port.StatsReady]] = {}

    def received(self, stats: port.StatsReady) -> None:
        waiter = self._waiting.get(stats.request)
        if waiter is not None and not waiter.done():
            waiter.set_result(stats)

    async def request(self, room: int | None, *, details: bool = True) -> port.StatsReady:
        """Raises StatsLost."""
        if len(self._waiting) >= MAX_WAITING:
            raise StatsLost
        number = self._engine.request_stats(room, details)
        waiter: asyncio.Future[port.StatsReady] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiter
        try:
            async with asyncio.timeout(STATS_TIMEOUT_SECONDS):
                return await waiter
        except TimeoutError:
            raise StatsLost from None
        finally:
            del self._waiting[number]


class Stats:
    def __init__(self, requests: StatsRequests, media: Media, clock: Clock) -> None:
        self._requests = requests
        self._media = media
        self._clock = clock

    async def node(self, *, details: bool) -> port.StatsReady:
        """Raises StatsLost."""
        return await self._requests.request(None, details=details)

    async def message(self, key: RoomKey | None) -> sfu_pb2.WatchStatsResponse | None:
        """The stats of a room, or of the node without `key`; None if the room is gone. Raises StatsLost."""
        room = None if key is None else self._media.room_of(key)
        if key is not None and room is None:
            return None
        return self._message(await self._requests.request(room))

    def _message(self, stats: port.StatsReady) -> sfu_pb2.WatchStatsResponse:
        transports = (self._transport(t) for t in stats.transports)
        tracks = (self._track(t) for t in stats.tracks)
        slots = (self._slot(s) for s in stats.slots)
        return sfu_pb2.WatchStatsResponse(
            at_ms=self._clock.epoch_ms(),
            engine=_copied(stats.engine, sfu_pb2.EngineStats(drops=stats.engine.drops)),
            transports=[t for t in transports if t is not None],
            tracks=[t for t in tracks if t is not None],
            slots=[s for s in slots if s is not None],
        )

    def _transport(self, stats: port.TransportStats) -> sfu_pb2.TransportStats | None:
        seat = self._media.seat_of_transport(stats.transport)
        if seat is None:
            return None
        return _copied(stats, sfu_pb2.TransportStats(participant_id=seat[1]))

    def _track(self, stats: port.TrackStats) -> sfu_pb2.TrackStats | None:
        track_id = self._media.track_of(stats.track)
        if track_id is None:
            return None
        layers = [
            sfu_pb2.LayerBitrate(spatial=spatial, temporal=temporal, bitrate_bps=bps)
            for spatial, rates in enumerate(stats.layer_bitrates)
            for temporal, bps in enumerate(rates)
            if bps > 0
        ]
        return _copied(stats, sfu_pb2.TrackStats(track_id=track_id, layers=layers))

    def _slot(self, stats: port.SlotStats) -> sfu_pb2.SlotStats | None:
        place = self._media.slot_of(stats.slot)
        if place is None:
            return None
        message = sfu_pb2.SlotStats(
            participant_id=place[0],
            mid=place[1],
            track_id=self._media.track_of(stats.track) or "",
            target=_position(stats.target),
            layer=_position(stats.layer),
        )
        return _copied(stats, message)


def _position(layer: tuple[int, int] | None) -> sfu_pb2.LayerPosition | None:
    return None if layer is None else sfu_pb2.LayerPosition(spatial=layer[0], temporal=layer[1])


def counters_of(message: type[Message]) -> tuple[str, ...]:
    """The fields with the same name as a counter of the engine: all but IDs and nested messages."""
    fields = message.DESCRIPTOR.fields
    return tuple(f.name for f in fields if f.message_type is None and f.name not in IDS)


_COUNTERS: Mapping[type[Message], tuple[str, ...]] = {
    message: counters_of(message)
    for message in (sfu_pb2.EngineStats, sfu_pb2.TransportStats, sfu_pb2.TrackStats, sfu_pb2.SlotStats)
}


def _copied(stats: object, message: M) -> M:
    for name in _COUNTERS[type(message)]:
        setattr(message, name, getattr(stats, name))
    return message
