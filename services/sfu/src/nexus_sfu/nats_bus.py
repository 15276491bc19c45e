"""Publishes room events to NATS, and writes this node's heartbeat to KV `nodes`.

The service never waits for the broker: during an outage events wait in a bounded buffer, from which the
oldest are dropped first, and readers detect missing events by the revisions.
"""

import asyncio
from collections import deque
from collections.abc import Callable

import structlog
from nexus.events.v1 import room_pb2
from nexus.types.v1 import state_pb2
from nexus_bus import Bus, BusError, LazyKeyValue, subjects
from nexus_runtime import is_set_within

from nexus_sfu.metrics import Metrics

log = structlog.get_logger()


def event_subject(event: room_pb2.RoomEvent) -> str:
    """The subject `nexus.v1.<app>.room.<room>.<event>`, by the field that is set."""
    kind = event.WhichOneof("event")
    if kind is None:
        raise ValueError("an event without content")
    return subjects.room_event(event.app, event.room, kind.replace("_", "-"))


class EventPublisher:
    """Queues events without waiting; the task `run` publishes them in order."""

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
        """Runs until cancelled."""
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
                # A lost connection does not raise here, so this event can never be sent.
                log.error("event_not_published", room=event.room, error=repr(error))
                self._metrics.events_dropped.inc()
                continue
            self._metrics.events_published.labels(event.WhichOneof("event")).inc()
        if not self._waiting:
            self._idle.set()

    async def flushed(self) -> None:
        """Returns when no event waits."""
        await self._idle.wait()


class Heartbeat:
    """Writes the node's record at an interval; the record of a node that stops doing so expires."""

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
        """Writes the record at once, after a change that other services should know."""
        self._now.set()

    async def run(self) -> None:
        """Runs until cancelled."""
        self._bus.on_connection(lambda _connected: self._now.set())
        while True:
            self._now.clear()
            await self.beat()
            await is_set_within(self._now, self._interval_ms / 1000)

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
        """Deletes the record of a node that stops, instead of letting it expire."""
        if self._written and self._bus.connected:
            try:
                await self._nodes.delete(subjects.node_key(node_id))
            except BusError as error:
                log.warning("node_record_not_deleted", error=repr(error))
