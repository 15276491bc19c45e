"""Keeps `Room.recording` true at the SFU while media of a room is being received, so that every participant
sees it, and false otherwise."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import structlog
from nexus.sfu.v1 import sfu_pb2
from nexus_bus import BusError
from nexus_rooms import Rooms
from nexus_rpc import RpcError
from nexus_runtime import Background, is_set_within

from nexus_recorder.metrics import Metrics

log = structlog.get_logger()

# How often the state is set again, in case that the room moved to another node, or that a recording of
# another replica has cleared it.
REPEAT_SECONDS: Final = 10.0
RETRY_SECONDS: Final = 1.0
# How often clearing is tried: a node that is gone has no participants to inform.
MAX_CLEARING: Final = 30

RoomName = tuple[str, str]
# Whether another recording of the room receives media. Called with app, room and the ids to leave out.
OthersRecord = Callable[[str, str, frozenset[str]], Awaitable[bool]]


class RoomStates(Protocol):
    """The call of `nexus_rooms.Sfu` that sets the state of a room."""

    async def update_room(
        self, address: str, request: sfu_pb2.UpdateRoomRequest
    ) -> sfu_pb2.UpdateRoomResponse: ...


class RoomIndicator:
    def __init__(
        self,
        rooms: Rooms,
        sfu: RoomStates,
        background: Background,
        metrics: Metrics,
        others_record: OthersRecord,
    ) -> None:
        self._rooms = rooms
        self._sfu = sfu
        self._background = background
        self._metrics = metrics
        self._others_record = others_record
        # The recordings of this replica that receive media, by room.
        self._recording: dict[RoomName, set[str]] = {}
        self._wake: dict[RoomName, asyncio.Event] = {}
        # Rooms whose state is left as it is when no recording of this replica is left.
        self._left: set[RoomName] = set()

    def set(self, app: str, room: str, recording_id: str, receives: bool) -> None:
        """Notes whether a recording receives media of the room. The SFU is informed in the background, again
        and again while it does not answer."""
        key = (app, room)
        self._left.discard(key)
        recordings = self._recording.setdefault(key, set())
        if receives:
            recordings.add(recording_id)
        else:
            recordings.discard(recording_id)
        if key in self._wake:
            self._wake[key].set()
            return
        self._wake[key] = asyncio.Event()
        self._background.start(f"indicator-{app}-{room}", self._keep(key, recording_id))

    def leave(self, app: str, room: str, recording_id: str) -> None:
        """Leaves the state to the next owner of the recording, because its taps go on meanwhile."""
        key = (app, room)
        if key in self._wake:
            self._recording[key].discard(recording_id)
            self._left.add(key)
            self._wake[key].set()

    def repeat(self, app: str, room: str) -> None:
        """Sets the state again now, because the room has moved to another node."""
        if (wake := self._wake.get((app, room))) is not None:
            wake.set()

    async def _keep(self, key: RoomName, last_id: str) -> None:
        wake = self._wake[key]
        failures = 0
        try:
            while True:
                wake.clear()
                wanted = bool(self._recording[key])
                if not wanted and key in self._left:
                    return
                done = await self._inform(key, wanted, last_id)
                failures = 0 if done else failures + 1
                if not wanted and not wake.is_set() and (done or failures >= MAX_CLEARING):
                    return
                await is_set_within(wake, REPEAT_SECONDS if done else RETRY_SECONDS)
        finally:
            del self._wake[key]
            self._left.discard(key)
            if not self._recording[key]:
                del self._recording[key]

    async def _inform(self, key: RoomName, wanted: bool, last_id: str) -> bool:
        """Returns whether the room has the state, or does not exist any more."""
        app, room = key
        try:
            if not wanted and await self._others_record(app, room, frozenset({last_id})):
                return True
            place = await self._rooms.find(app, room)
            if place is None:
                return not wanted
            request = sfu_pb2.UpdateRoomRequest(room=sfu_pb2.RoomKey(app=app, room=room), recording=wanted)
            await self._sfu.update_room(place.address, request)
        except (BusError, RpcError) as error:
            self._metrics.indications_failed.inc()
            log.debug("room_not_informed", room=room, recording=wanted, error=repr(error))
            return False
        return True
