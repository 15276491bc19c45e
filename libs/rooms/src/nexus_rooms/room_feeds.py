"""Distributes room events from the bus to readers in this process. Each room with at least one reader has one
subscription; each event is parsed and converted once for all readers."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

import structlog
from google.protobuf.message import DecodeError
from nexus.events.v1 import room_pb2
from nexus_bus import Bus, BusError, Message, NotConnected, Subscription
from nexus_bus.subjects import room_events
from nexus_runtime import MetricSet

from nexus_rooms.feed_cursor import HasEvent

log = structlog.get_logger()

RoomName = tuple[str, str]  # app, room
E = TypeVar("E", bound=HasEvent)
E_co = TypeVar("E_co", bound=HasEvent, covariant=True)
E_contra = TypeVar("E_contra", bound=HasEvent, contravariant=True)


class Member(Protocol[E_contra]):
    """A reader of a room's events. Neither method may block or raise."""

    def deliver(self, event: E_contra) -> None: ...

    def events_may_be_missing(self) -> None:
        """Called when events may have been lost: the reader must fetch the room's state."""
        ...


class Feeds(Protocol[E_co]):
    """Room events by room. `RoomFeeds` implements it, and `testing.MemoryRoomFeeds` is its twin."""

    async def enter(self, app: str, room: str, member: Member[E_co]) -> None:
        """Adds a reader. Every event of the room after the return is delivered. Raises BusError."""
        ...

    def exit(self, app: str, room: str, member: Member[E_co]) -> None: ...


class FeedMetrics:
    def __init__(self, metrics: MetricSet) -> None:
        self.rooms = metrics.gauge("rooms", "Rooms whose events this process reads.")
        self.events = metrics.counter("room_events", "Room events received.", "kind")
        self.malformed = metrics.counter("room_events_malformed", "Room events that could not be read.")
        self.dropped = metrics.counter(
            "room_events_dropped", "Room events dropped because this process was too slow."
        )


class _Feed(Generic[E]):
    """One room's subscription and its readers."""

    def __init__(self) -> None:
        # A dict, because it is ordered: events reach readers in the order in which the readers entered.
        self.members: dict[Member[E], None] = {}
        self.subscribed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.task: asyncio.Task[None] | None = None


class RoomFeeds(Generic[E]):
    """`Feeds` from the broker. `carry` converts an event, once for all readers, into what they receive."""

    def __init__(self, bus: Bus, metrics: MetricSet, carry: Callable[[room_pb2.RoomEvent], E]) -> None:
        self._bus = bus
        self._metrics = FeedMetrics(metrics)
        self._carry = carry
        self._feeds: dict[RoomName, _Feed[E]] = {}
        bus.on_connection(self._on_connection)

    @property
    def rooms(self) -> int:
        return len(self._feeds)

    async def enter(self, app: str, room: str, member: Member[E]) -> None:
        key = (app, room)
        feed = self._feeds.get(key)
        if feed is None:
            feed = self._feeds[key] = _Feed()
            feed.task = asyncio.create_task(self._run(key, feed), name="room-feed")
            self._metrics.rooms.set(len(self._feeds))
        feed.members[member] = None
        try:
            await asyncio.shield(feed.subscribed)
        except BaseException:
            self._exit(key, feed, member)
            raise

    def exit(self, app: str, room: str, member: Member[E]) -> None:
        feed = self._feeds.get((app, room))
        if feed is not None:
            self._exit((app, room), feed, member)

    def _exit(self, key: RoomName, feed: _Feed[E], member: Member[E]) -> None:
        feed.members.pop(member, None)
        if not feed.members:
            self._drop(key, feed)
            if feed.task is not None:
                feed.task.cancel()

    def _drop(self, key: RoomName, feed: _Feed[E]) -> None:
        if self._feeds.get(key) is feed:
            del self._feeds[key]
            self._metrics.rooms.set(len(self._feeds))

    async def _run(self, key: RoomName, feed: _Feed[E]) -> None:
        try:
            subscription = await self._bus.subscribe(room_events(*key))
        except Exception as error:
            self._drop(key, feed)
            failure = error if isinstance(error, BusError) else NotConnected(type(error).__name__)
            feed.subscribed.set_exception(failure)
            # Marks the exception as retrieved: without members nothing awaits the future, and asyncio would
            # log it.
            feed.subscribed.exception()
            return
        feed.subscribed.set_result(None)
        try:
            await self._follow(feed, subscription)
        finally:
            with suppress(BusError):
                await subscription.close()

    async def _follow(self, feed: _Feed[E], subscription: Subscription) -> None:
        dropped = subscription.dropped
        async for message in subscription:
            self._fan_out(feed, message)
            if subscription.dropped != dropped:
                self._metrics.dropped.inc(subscription.dropped - dropped)
                dropped = subscription.dropped
                self._report_missing(feed)
            # Let the readers run before the next event. Otherwise a burst in the subscription would overflow
            # the queues even of readers that are fast enough.
            await asyncio.sleep(0)

    def _fan_out(self, feed: _Feed[E], message: Message) -> None:
        try:
            event = room_pb2.RoomEvent.FromString(message.payload)
        except DecodeError:
            self._metrics.malformed.inc()
            log.warning("room_event_malformed", subject=message.subject)
            return
        self._metrics.events.labels(event.WhichOneof("event") or "unknown").inc()
        carried = self._carry(event)
        for member in list(feed.members):
            member.deliver(carried)

    def _report_missing(self, feed: _Feed[E]) -> None:
        for member in list(feed.members):
            member.events_may_be_missing()

    def _on_connection(self, connected: bool) -> None:
        """After an outage any event may have been missed, so every reader must fetch the room's state."""
        if connected:
            for feed in list(self._feeds.values()):
                self._report_missing(feed)
