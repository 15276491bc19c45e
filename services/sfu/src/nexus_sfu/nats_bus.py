"""Room events on to NATS, and this node's heartbeat into KV `nodes`.

Nothing in the service waits for the broker: events wait in a bounded buffer while it is away, oldest dropped
first, and a reader sees what is missing by the revisions.
"""

import asyncio
from collections import deque
from collections.abc import Callable

import structlog
from nexus.events.v1 import room_pb2
from nexus.types.v1 import state_pb2
from nexus_bus import Bus, BusError, LazyKeyValue, subjects

from nexus_sfu.metrics import Metrics

log = structlog.get_logger()


def event_subject(event: room_pb2.RoomEvent) -> str:
    """`nexus.v1.<app>.room.<room>.track-published`, by the field that is set."""
    kind = event.WhichOneof("event")
    if kind is None:
        raise ValueError("an event without content")
    return subjects.room_event(event.app, event.room, kind.replace("_", "-"))


class EventPublisher:
    """Takes events at once, publishes them in order. `run` is the task that does so."""

    def __init__(self, bus: Bus, metrics: Metrics, capacity: int) -> None:
        self._bus = bus
        self._metrics = metrics
        self._waiting: deque[room_pb2.RoomEvent] = deque()
        self._capacity = capacity
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def emit(self, event: room_pb2.RoomEvent) -> None:
        if len(self._waiting) == self._capacity:
            self._waiting.popleft()
            self._metrics.events_dropped.inc()
        self._waiting.append(event)
        self._idle.clear()
        self._wake.set()

    async def run(self) -> None:
        """For as long as the service lives."""
        self._bus.on_connection(lambda _connected: self._wake.set())
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._publish_waiting()

    async def _publish_waiting(self) -> None:
        while self._waiting and self._bus.connected:
            event = self._waiting.popleft()
            try:
                await self._bus.publish(event_subject(event), event.SerializeToString())
            except (BusError, ValueError) as error:
                # A connection that is lost right now does not raise; this event can never be sent.
                log.error("event_not_published", room=event.room, error=repr(error))
                self._metrics.events_dropped.inc()
                continue
            self._metrics.events_published.labels(event.WhichOneof("event")).inc()
        if not self._waiting:
            self._idle.set()

    async def flushed(self) -> None:
        """Returns when nothing waits any more."""
        await self._idle.wait()


class Heartbeat:
    """Writes the node's record every now and then; the bucket forgets a node that does not."""

    def __init__(
        self,
        bus: Bus,
        record: Callable[[], state_pb2.NodeRecord],
        metrics: Metrics,
        *,
        interval_ms: int,
        ttl_ms: int,
    ) -> None:
        self._bus = bus
        self._record = record
        self._metrics = metrics
        self._interval_ms = interval_ms
        self._now = asyncio.Event()
        self._nodes = LazyKeyValue(bus, subjects.NODES, ttl_ms / 1000)
        self._written = False

    def beat_now(self) -> None:
        """When something changed that others should know at once."""
        self._now.set()

    async def run(self) -> None:
        """For as long as the service lives."""
        self._bus.on_connection(lambda _connected: self._now.set())
        while True:
            self._now.clear()
            await self.beat()
            try:
                async with asyncio.timeout(self._interval_ms / 1000):
                    await self._now.wait()
            except TimeoutError:
                pass

    async def beat(self) -> None:
        if not self._bus.connected:
            return
        record = self._record()
        try:
            await self._nodes.put(subjects.node_key(record.node_id), record.SerializeToString())
            self._written = True
        except BusError as error:
            self._metrics.heartbeats_failed.inc()
            log.warning("heartbeat_failed", error=repr(error))

    async def forget(self, node_id: str) -> None:
        """A node that stops says so, rather than let its record expire."""
        if self._written and self._bus.connected:
            try:
                await self._nodes.delete(subjects.node_key(node_id))
            except BusError as error:
                log.warning("node_record_not_deleted", error=repr(error))
