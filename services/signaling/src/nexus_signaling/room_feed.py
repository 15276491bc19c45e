"""Room events from the bus to the sessions of this replica: one subscription per room with somebody here,
each event parsed once and serialised once per subprotocol."""

import asyncio
from contextlib import suppress
from typing import Protocol

import structlog
from google.protobuf.message import DecodeError
from nexus.events.v1 import room_pb2
from nexus_bus import Bus, BusError, Message, NotConnected, Subscription
from nexus_bus.subjects import room_events

from nexus_signaling.metrics import Metrics
from nexus_signaling.outgoing import SharedEvent

log = structlog.get_logger()

RoomName = tuple[str, str]  # app, room


class Member(Protocol):
    """A session, as the feed sees it. Neither method may block or raise."""

    def deliver(self, event: SharedEvent) -> None: ...

    def events_may_be_missing(self) -> None: ...


class _Feed:
    """One room's subscription and who listens."""

    def __init__(self) -> None:
        # A dict for its order: events reach sessions in the order in which they came.
        self.members: dict[Member, None] = {}
        self.subscribed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.task: asyncio.Task[None] | None = None


class RoomFeeds:
    def __init__(self, bus: Bus, metrics: Metrics) -> None:
        self._bus = bus
        self._metrics = metrics
        self._feeds: dict[RoomName, _Feed] = {}
        bus.on_connection(self._on_connection)

    @property
    def rooms(self) -> int:
        return len(self._feeds)

    async def enter(self, app: str, room: str, member: Member) -> None:
        """From its return on, every event of the room is delivered. Raises BusError."""
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

    def exit(self, app: str, room: str, member: Member) -> None:
        feed = self._feeds.get((app, room))
        if feed is not None:
            self._exit((app, room), feed, member)

    def _exit(self, key: RoomName, feed: _Feed, member: Member) -> None:
        feed.members.pop(member, None)
        if not feed.members:
            self._drop(key, feed)
            if feed.task is not None:
                feed.task.cancel()

    def _drop(self, key: RoomName, feed: _Feed) -> None:
        if self._feeds.get(key) is feed:
            del self._feeds[key]
            self._metrics.rooms.set(len(self._feeds))

    async def _run(self, key: RoomName, feed: _Feed) -> None:
        try:
            subscription = await self._bus.subscribe(room_events(*key))
        except Exception as error:
            self._drop(key, feed)
            failure = error if isinstance(error, BusError) else NotConnected(type(error).__name__)
            feed.subscribed.set_exception(failure)
            feed.subscribed.exception()  # seen: with no member left nobody else would look
            return
        feed.subscribed.set_result(None)
        try:
            await self._follow(feed, subscription)
        finally:
            with suppress(BusError):
                await subscription.close()

    async def _follow(self, feed: _Feed, subscription: Subscription) -> None:
        dropped = subscription.dropped
        async for message in subscription:
            self._fan_out(feed, message)
            if subscription.dropped != dropped:
                self._metrics.events_dropped.inc(subscription.dropped - dropped)
                dropped = subscription.dropped
                self._tell_missing(feed)
            # Let the sessions write before the next event: a burst that waits in the subscription would else
            # fill the outboxes of clients that do read.
            await asyncio.sleep(0)

    def _fan_out(self, feed: _Feed, message: Message) -> None:
        try:
            event = room_pb2.RoomEvent.FromString(message.payload)
        except DecodeError:
            self._metrics.events_malformed.inc()
            log.warning("room_event_malformed", subject=message.subject)
            return
        self._metrics.events.labels(event.WhichOneof("event") or "unknown").inc()
        shared = SharedEvent(event)
        for member in list(feed.members):
            member.deliver(shared)

    def _tell_missing(self, feed: _Feed) -> None:
        for member in list(feed.members):
            member.events_may_be_missing()

    def _on_connection(self, connected: bool) -> None:
        """After an outage nobody knows what was missed: everybody looks."""
        if connected:
            for feed in list(self._feeds.values()):
                self._tell_missing(feed)
