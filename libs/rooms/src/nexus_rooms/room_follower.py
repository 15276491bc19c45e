"""Follows rooms: finds the node of a room, fetches the room, reads its events, and notices when it is held
elsewhere.

Events come at once. The room is looked up again when an event of another life of it arrives, when events may
be missing, and at an interval, because a node that dies emits nothing. While the broker is away, the node
itself is still asked for the room.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import structlog
from nexus.sfu.v1 import sfu_pb2
from nexus.types.v1.error_pb2 import ErrorCode
from nexus_bus import BusError
from nexus_rpc import RpcError
from nexus_runtime import Clock, is_set_within

from nexus_rooms.feed_cursor import HasEvent
from nexus_rooms.followed_room import FollowedRoom
from nexus_rooms.room_changes import RoomChange
from nexus_rooms.room_feeds import Feeds
from nexus_rooms.room_lookup import RoomPlace, Rooms
from nexus_rooms.sfu_client import Sfu

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class FollowLimits:
    # How often the room is looked up although nothing has happened.
    lookup_ms: int = 2_000
    # How often the whole room is fetched although no event seems to be missing: the last one may be.
    fetch_ms: int = 10_000
    # Minimum time between two lookups, whatever happens.
    pause_ms: int = 250
    # Maximum number of events that wait for the reader, or for a snapshot. More count as lost.
    held_events: int = 4_096


class _Inbox:
    """The events of a room that wait for the reader of its changes."""

    def __init__(self, limit: int) -> None:
        self.missing = False
        self._limit = limit
        self._events: deque[HasEvent] = deque()
        self._wake = asyncio.Event()

    def deliver(self, event: HasEvent) -> None:
        if len(self._events) >= self._limit:
            self._events.clear()
            self.missing = True
        self._events.append(event)
        self._wake.set()

    def events_may_be_missing(self) -> None:
        self.missing = True
        self._wake.set()

    def next(self) -> HasEvent | None:
        return self._events.popleft() if self._events else None

    async def wait(self, timeout_ms: int) -> None:
        """Returns when something has arrived, or after the timeout."""
        if not self._events and not self.missing:
            self._wake.clear()
            await is_set_within(self._wake, timeout_ms / 1000)


@dataclass(frozen=True, slots=True)
class _Sources:
    rooms: Rooms
    feeds: Feeds[HasEvent]
    sfu: Sfu
    clock: Clock
    limits: FollowLimits


class RoomFollower:
    """`RoomChanges` of the deployment."""

    def __init__(
        self,
        rooms: Rooms,
        feeds: Feeds[HasEvent],
        sfu: Sfu,
        clock: Clock,
        limits: FollowLimits | None = None,
    ) -> None:
        self._sources = _Sources(rooms, feeds, sfu, clock, limits or FollowLimits())

    async def follow(self, app: str, room: str) -> AsyncGenerator[RoomChange, None]:
        """See `RoomChanges.follow`."""
        following = _Following(self._sources, app, room)
        try:
            while True:
                for change in await following.step():
                    yield change
        finally:
            following.exit()


class _Following:
    """One room that is followed, with its I/O."""

    def __init__(self, sources: _Sources, app: str, room: str) -> None:
        self._sources = sources
        self._limits = sources.limits
        self._key = sfu_pb2.RoomKey(app=app, room=room)
        self._state = FollowedRoom(self._limits.held_events)
        self._inbox = _Inbox(self._limits.held_events)
        self._entered = False
        now_ms = sources.clock.monotonic_ms()
        self._lookup_at_ms = now_ms
        self._fetch_at_ms = now_ms
        self._paused_until_ms = now_ms

    async def step(self) -> list[RoomChange]:
        """Waits for the next input and returns what it changes."""
        if self._inbox.missing:
            self._inbox.missing = False
            self._state.lose()
        event = self._inbox.next()
        if event is not None:
            return self._state.take(event)
        now_ms = self._now_ms()
        wanted = self._state.wants_snapshot or self._state.wants_place
        due_ms = max(now_ms if wanted else self._lookup_at_ms, self._paused_until_ms)
        if due_ms > now_ms:
            await self._inbox.wait(due_ms - now_ms)
            return []
        self._paused_until_ms = now_ms + self._limits.pause_ms
        self._lookup_at_ms = now_ms + self._limits.lookup_ms
        return await self._look()

    def exit(self) -> None:
        self._sources.feeds.exit(self._key.app, self._key.room, self._inbox)

    async def _look(self) -> list[RoomChange]:
        await self._enter()
        try:
            place = await self._sources.rooms.find(self._key.app, self._key.room)
        except (BusError, RpcError) as error:
            # The broker or the node's state is unknown. If the room is known, its node can still be asked.
            log.info("room_lookup_failed", room=self._key.room, error=type(error).__name__)
            place = self._state.place
            if place is None:
                self._pause()
                return []
        if place is None:
            self._pause()
            return self._state.missing()
        self._state.wants_place = False
        return await self._fetch(place)

    async def _enter(self) -> None:
        """Subscribes to the events, before the room is fetched, so that none is missed between."""
        if self._entered:
            return
        try:
            await self._sources.feeds.enter(self._key.app, self._key.room, self._inbox)
        except BusError as error:
            log.info("room_feed_unavailable", room=self._key.room, error=type(error).__name__)
        else:
            self._entered = True
            self._state.lose()

    async def _fetch(self, place: RoomPlace) -> list[RoomChange]:
        known = self._state.place
        same = known is not None and known.node_id == place.node_id and known.room_id == place.room_id
        now_ms = self._now_ms()
        if same and not self._state.wants_snapshot and now_ms < self._fetch_at_ms:
            return []
        try:
            answer = await self._sources.sfu.get_room(place.address, sfu_pb2.GetRoomRequest(room=self._key))
        except RpcError as error:
            self._pause()
            return self._state.missing() if error.code == ErrorCode.ROOM_NOT_FOUND else []
        self._fetch_at_ms = now_ms + self._limits.fetch_ms
        return self._state.fetched(place, answer)

    def _pause(self) -> None:
        """Delays the next lookup, after one that found nothing."""
        self._paused_until_ms = self._now_ms() + min(4 * self._limits.pause_ms, self._limits.lookup_ms)

    def _now_ms(self) -> int:
        return self._sources.clock.monotonic_ms()
