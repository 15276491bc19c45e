"""Reads one track from its node by `StreamTrack`, and continues after a broken connection.

With a named tap nothing is lost by that: the node keeps what is not acknowledged. Reading ends with a typed
reason, and it is the caller who knows where the room is (`RoomFollower`).
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

import structlog
from nexus.sfu.v1 import sfu_pb2, track_stream_pb2
from nexus.types.v1.error_pb2 import ErrorCode
from nexus_rpc import RpcError
from nexus_runtime import Clock

from nexus_rooms.backoff import Backoff
from nexus_rooms.sfu_client import Sfu
from nexus_rooms.tap_updates import TapAddress, TapUpdates

log = structlog.get_logger()


class ReadEnd(Enum):
    """Why the reading of a track has ended."""

    # Unpublished.
    TRACK_ENDED = auto()
    PARTICIPANT_LEFT = auto()
    ROOM_CLOSED = auto()
    # The room lives on another node.
    MOVED = auto()
    # Another reader has taken over the tap.
    TAKEN = auto()
    # The node no longer has the track or the tap: it restarted, or the tap had no reader for longer than its
    # retention.
    GONE = auto()
    # The node has not answered for `ReadLimits.lost_ms`.
    NODE_LOST = auto()


_ENDS: Final[Mapping[int, ReadEnd]] = {
    track_stream_pb2.STREAM_END_REASON_PARTICIPANT_LEFT: ReadEnd.PARTICIPANT_LEFT,
    track_stream_pb2.STREAM_END_REASON_ROOM_CLOSED: ReadEnd.ROOM_CLOSED,
    track_stream_pb2.STREAM_END_REASON_MOVED: ReadEnd.MOVED,
}
_GONE: Final = (ErrorCode.TAP_NOT_FOUND, ErrorCode.TRACK_NOT_FOUND, ErrorCode.ROOM_NOT_FOUND)
# Errors that may pass.
_PASSING: Final = (
    ErrorCode.SFU_UNREACHABLE,
    ErrorCode.SERVICE_UNAVAILABLE,
    ErrorCode.NODE_DRAINING,
    ErrorCode.INTERNAL,
)


@dataclass(frozen=True, slots=True)
class TapOptions:
    """The options of `StreamTrackRequest`, with the same meaning; 0 is the node's default. Without a name the
    tap ends with its connection, so that a broken one leaves a gap that nothing reports."""

    name: str = ""
    resume_after: int = 0
    retain_ms: int = 0
    patience_ms: int = 0
    buffer_bytes: int = 0
    batch_ms: int = 0
    demand: sfu_pb2.TapDemand | None = None


@dataclass(frozen=True, slots=True)
class ReadLimits:
    # How long an unreachable node is tried before it counts as lost. Afterwards it keeps nothing anyway.
    lost_ms: int = 60_000
    # Minimum time between two calls that only acknowledge.
    acknowledge_ms: int = 500
    # The first and the longest delay before the node is tried again.
    retry_ms: int = 100
    longest_retry_ms: int = 2_000


@dataclass(frozen=True, slots=True)
class TrackBatch:
    """Records in order, and the number of the last one (0: the tap has no name)."""

    response: track_stream_pb2.StreamTrackResponse
    position: int


@dataclass(frozen=True, slots=True)
class ReadEnded:
    """The last item of a reading."""

    reason: ReadEnd


class TrackReader:
    """Reads a track with `async for item in reader.read()`. Call `close` at the end. The tap remains, so that
    the next reader of its name can continue, unless `remove` ends it."""

    def __init__(
        self,
        sfu: Sfu,
        address: str,
        room: sfu_pb2.RoomKey,
        track_id: str,
        tap: TapOptions,
        *,
        clock: Clock,
        rng: random.Random,
        limits: ReadLimits | None = None,
    ) -> None:
        self._sfu = sfu
        self._address = address
        self._tap = tap
        self._clock = clock
        self._limits = limits or ReadLimits()
        self._backoff = Backoff(rng, self._limits.retry_ms, self._limits.longest_retry_ms)
        self._request = sfu_pb2.StreamTrackRequest(
            room=room,
            track_id=track_id,
            patience_ms=tap.patience_ms,
            buffer_bytes=tap.buffer_bytes,
            batch_ms=tap.batch_ms,
            tap=tap.name,
            retain_ms=tap.retain_ms,
            resume_after=tap.resume_after,
            demand=tap.demand,
        )
        self._where = TapAddress(address, room, track_id, tap.name)
        self._updates = TapUpdates(
            sfu,
            self._where,
            self._limits.acknowledge_ms,
            Backoff(rng, self._limits.retry_ms, self._limits.longest_retry_ms),
        )
        self._has_read = False

    @property
    def position(self) -> int:
        """The number of the last record that was read, or after which reading began."""
        return self._request.resume_after

    async def read(self) -> AsyncGenerator[TrackBatch | ReadEnded, None]:
        """Yields the batches, and `ReadEnded` as the last item. After a broken connection reading continues
        behind the last batch.

        Raises RpcError if the node refuses the request, such as for a track that does not exist.
        """
        lost_since_ms: int | None = None
        while True:
            delay_ms = 0
            try:
                async with aclosing(self._sfu.stream_track(self._address, self._request)) as stream:
                    async for response in stream:
                        lost_since_ms = None
                        yield self._batch(response)
                        if response.records and response.records[-1].HasField("end"):
                            reason = response.records[-1].end.reason
                            yield ReadEnded(_ENDS.get(reason, ReadEnd.TRACK_ENDED))
                            return
            except RpcError as error:
                ended = self._end_by(error)
                if ended is not None:
                    yield ReadEnded(ended)
                    return
                if error.code == ErrorCode.SERVICE_UNAVAILABLE:
                    delay_ms = error.retry_after_ms
                log.info("track_stream_broken", track=self._request.track_id, error=error.name)
            now_ms = self._clock.monotonic_ms()
            lost_since_ms = now_ms if lost_since_ms is None else lost_since_ms
            if now_ms - lost_since_ms >= self._limits.lost_ms:
                yield ReadEnded(ReadEnd.NODE_LOST)
                return
            await asyncio.sleep(max(delay_ms, self._backoff.next_ms()) / 1000)

    def acknowledge(self, position: int) -> None:
        """Notes that all records up to `position` are safe, so that the node need not keep them. The node is
        informed soon, in one call for many positions. Raises ValueError for a position that was not read."""
        if position > self.position:
            raise ValueError(f"position {position} was not read: {self.position} was the last")
        if self._tap.name:
            self._updates.acknowledge(position)

    def request_keyframe(self) -> None:
        """Requests a keyframe from the publisher. Raises ValueError for a tap without a name."""
        self._check_named()
        self._updates.request_keyframe()

    def set_demand(self, demand: sfu_pb2.TapDemand) -> None:
        """Replaces the tap's demand. Raises ValueError for a tap without a name."""
        self._check_named()
        self._request.demand.CopyFrom(demand)
        self._updates.set_demand(demand)

    async def flush(self, timeout_ms: int) -> bool:
        """Informs the node of everything that was acknowledged; False if it has not answered in time."""
        return await self._updates.flush(timeout_ms)

    async def remove(self) -> bool:
        """Ends the tap and frees what the node keeps; False if the node does not answer."""
        await self._updates.close()
        request = sfu_pb2.UpdateTapRequest(
            room=self._where.room, track_id=self._where.track_id, tap=self._where.tap, remove=True
        )
        try:
            await self._sfu.update_tap(self._address, request)
        except RpcError as error:
            return error.code in _GONE
        return True

    async def close(self) -> None:
        """Gives up acknowledgements that were not sent; see `flush`."""
        await self._updates.close()

    def _batch(self, response: track_stream_pb2.StreamTrackResponse) -> TrackBatch:
        self._has_read = True
        self._backoff.reset()
        if self._tap.name:
            self._request.resume_after = max(self._request.resume_after, response.position)
        return TrackBatch(response, response.position)

    def _check_named(self) -> None:
        if not self._tap.name:
            raise ValueError("the tap has no name, so it cannot be updated")

    def _end_by(self, error: RpcError) -> ReadEnd | None:
        """The end that an error of the stream means; None: it may pass. Raises the error of a request that
        can never succeed."""
        if error.code == ErrorCode.TAP_TAKEN:
            return ReadEnd.TAKEN
        if error.code in _GONE and (self._has_read or self._tap.resume_after):
            return ReadEnd.GONE
        if error.code in _PASSING:
            return None
        raise error
