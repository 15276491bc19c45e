"""Sends `UpdateTap` for one named tap, one call at a time. Requests made meanwhile are joined into the next
call, so that a reader may acknowledge every batch."""

import asyncio
from dataclasses import dataclass

import structlog
from nexus.sfu.v1 import sfu_pb2
from nexus.types.v1.error_pb2 import ErrorCode
from nexus_rpc import RpcError
from nexus_runtime import is_set_within

from nexus_rooms.backoff import Backoff
from nexus_rooms.sfu_client import Sfu

log = structlog.get_logger()

# Errors after which no further update can succeed.
_GONE = (ErrorCode.TAP_NOT_FOUND, ErrorCode.TRACK_NOT_FOUND, ErrorCode.ROOM_NOT_FOUND)


@dataclass(frozen=True, slots=True)
class TapAddress:
    """A named tap: the node's host:port, the room, the track and the name."""

    node: str
    room: sfu_pb2.RoomKey
    track_id: str
    tap: str


class TapUpdates:
    """The updates of one tap. A call that fails is repeated until `close`; the tap's end ends the updates."""

    def __init__(self, sfu: Sfu, where: TapAddress, interval_ms: int, backoff: Backoff) -> None:
        self._sfu = sfu
        self._where = where
        self._interval_ms = interval_ms
        self._backoff = backoff
        self._acknowledged = 0
        self._sent = 0
        self._keyframe = False
        self._demand: sfu_pb2.TapDemand | None = None
        self._is_gone = False
        self._hurry = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def acknowledge(self, position: int) -> None:
        """Acknowledges all records up to `position`; a lower one than before changes nothing."""
        self._acknowledged = max(self._acknowledged, position)
        self._start()

    def request_keyframe(self) -> None:
        self._keyframe = True
        self._hurry.set()
        self._start()

    def set_demand(self, demand: sfu_pb2.TapDemand) -> None:
        self._demand = demand
        self._hurry.set()
        self._start()

    async def flush(self, timeout_ms: int) -> bool:
        """Sends at once what waits. False: the node has not answered in time."""
        self._hurry.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=timeout_ms / 1000)
        return self._is_gone or not self._is_pending()

    async def close(self) -> None:
        """Gives up what waits."""
        self._is_gone = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _start(self) -> None:
        if not self._is_gone and self._is_pending() and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._run(), name="tap-updates")

    def _is_pending(self) -> bool:
        return self._acknowledged > self._sent or self._keyframe or self._demand is not None

    async def _run(self) -> None:
        while self._is_pending():
            request = self._take()
            try:
                await self._sfu.update_tap(self._where.node, request)
            except RpcError as error:
                if error.code in _GONE:
                    self._is_gone = True
                    return
                log.info("tap_update_failed", track=self._where.track_id, error=error.name)
                self._put_back(request)
                await asyncio.sleep(self._backoff.next_ms() / 1000)
            else:
                self._backoff.reset()
                self._sent = max(self._sent, request.acknowledged)
                await self._rest()

    async def _rest(self) -> None:
        """Waits for the interval, or until something is urgent."""
        await is_set_within(self._hurry, self._interval_ms / 1000)
        self._hurry.clear()

    def _take(self) -> sfu_pb2.UpdateTapRequest:
        """The request for everything that waits, which no longer waits then."""
        request = sfu_pb2.UpdateTapRequest(
            room=self._where.room,
            track_id=self._where.track_id,
            tap=self._where.tap,
            acknowledged=self._acknowledged,
            request_keyframe=self._keyframe,
            demand=self._demand,
        )
        self._keyframe, self._demand = False, None
        return request

    def _put_back(self, request: sfu_pb2.UpdateTapRequest) -> None:
        """Makes the content of a failed request wait again, unless newer content replaces it."""
        self._keyframe |= request.request_keyframe
        if self._demand is None and request.HasField("demand"):
            self._demand = request.demand
