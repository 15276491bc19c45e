"""Events and heartbeats on the bus: outages with the memory bus, and one test with a real nats-server."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from nexus.events.v1 import room_pb2
from nexus.types.v1 import state_pb2
from nexus_bus import Bus, Change, MemoryBus, NatsBus, subjects
from nexus_bus.memory_bus import MemoryBroker
from nexus_runtime import MetricSet
from nexus_sfu.metrics import Metrics
from nexus_sfu.nats_bus import EventPublisher, Heartbeat, event_subject
from nexus_testkit import NatsServer, wait_until
from prometheus_client import CollectorRegistry

Running = Any
OfferReader = Callable[[str], str]


def event(revision: int, room: str = "lobby") -> room_pb2.RoomEvent:
    closed = room_pb2.RoomClosed()
    return room_pb2.RoomEvent(app="devkey", room=room, revision=revision, room_closed=closed)


@asynccontextmanager
async def background(work: Coroutine[Any, Any, None]) -> Any:
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> Metrics:
    return Metrics(MetricSet("sfu", registry))


def test_subjects_of_events() -> None:
    published = room_pb2.RoomEvent(app="devkey", room="a.b >", track_published=room_pb2.TrackPublished())
    assert event_subject(published) == subjects.room_event("devkey", "a.b >", "track-published")
    with pytest.raises(ValueError, match="without content"):
        event_subject(room_pb2.RoomEvent(app="devkey", room="lobby"))


async def test_events_of_an_outage_are_published_later_in_order(metrics: Metrics) -> None:
    broker = MemoryBroker()
    bus, reader = MemoryBus(broker), MemoryBus(broker)
    events = EventPublisher(bus, metrics, capacity=100)
    async with await reader.subscribe(subjects.room_events("devkey", "lobby")) as inbox:
        async with background(events.run()):
            events.emit(event(1))
            await events.flushed()
            bus.set_connected(False)
            for revision in (2, 3):
                events.emit(event(revision))
            bus.set_connected(True)
            await events.flushed()
        received = [room_pb2.RoomEvent.FromString((await anext(inbox)).payload) for _ in range(3)]
    assert [e.revision for e in received] == [1, 2, 3]


async def test_a_long_outage_drops_and_counts_the_oldest_events(
    metrics: Metrics, registry: CollectorRegistry
) -> None:
    broker = MemoryBroker()
    bus, reader = MemoryBus(broker), MemoryBus(broker)
    events = EventPublisher(bus, metrics, capacity=2)
    bus.set_connected(False)
    async with await reader.subscribe(subjects.all_room_events()) as inbox:
        async with background(events.run()):
            for revision in range(1, 6):
                events.emit(event(revision))
            bus.set_connected(True)
            await events.flushed()
        received = [room_pb2.RoomEvent.FromString((await anext(inbox)).payload) for _ in range(2)]
    assert [e.revision for e in received] == [4, 5]
    assert registry.get_sample_value("nexus_sfu_room_events_dropped_total") == 3


async def test_an_event_that_cannot_be_sent_does_not_stop_the_next(metrics: Metrics) -> None:
    broker = MemoryBroker()
    bus, reader = MemoryBus(broker), MemoryBus(broker)
    events = EventPublisher(bus, metrics, capacity=10)
    async with await reader.subscribe(subjects.all_room_events()) as inbox:
        async with background(events.run()):
            events.emit(event(1, room=""))
            events.emit(event(2))
            await events.flushed()
        assert room_pb2.RoomEvent.FromString((await anext(inbox)).payload).revision == 2


async def test_heartbeats_survive_an_outage(metrics: Metrics) -> None:
    bus = MemoryBus(MemoryBroker())
    beats = 0

    def record() -> state_pb2.NodeRecord:
        nonlocal beats
        beats += 1
        return state_pb2.NodeRecord(node_id="sfu-1", heartbeat_at_ms=beats)

    heartbeat = Heartbeat(bus, record, metrics, interval_ms=20, ttl_ms=10_000)
    nodes = await bus.kv(subjects.NODES, 10)

    async def last_beat() -> int:
        entry = await nodes.get("sfu-1")
        return state_pb2.NodeRecord.FromString(entry.value).heartbeat_at_ms if entry else 0

    async with background(heartbeat.run()) as task:
        await wait_until(last_beat)
        bus.set_connected(False)
        bus.set_connected(True)
        before = await last_beat()
        await wait_until(lambda: beats > before + 2)
        assert not task.done()
    assert await last_beat() > before
    await heartbeat.forget("sfu-1")
    assert await nodes.get("sfu-1") is None


class TestOverNats:
    """The service on a separate NATS server, which the test may stop."""

    @pytest.fixture
    async def bus(self, nats_server: NatsServer) -> AsyncIterator[Bus]:
        async with connected(nats_server, "sfu") as bus:
            yield bus

    async def test_a_real_server_through_an_outage(
        self, running: Running, bus: Bus, read_offer: OfferReader, nats_server: NatsServer
    ) -> None:
        await the_whole_way(running, bus, read_offer, nats_server)


async def the_whole_way(running: Running, bus: Bus, read_offer: OfferReader, nats_server: NatsServer) -> None:
    service = running.service
    async with (
        connected(nats_server, "reader") as reader,
        background(service.events.run()),
        background(service.heartbeat.run()),
    ):
        nodes = await reader.kv(subjects.NODES, 10)

        async def seen() -> state_pb2.NodeRecord | None:
            entry = await nodes.get("sfu-test")
            return state_pb2.NodeRecord.FromString(entry.value) if entry else None

        record = await wait_until(seen)
        assert record is not None
        assert record.grpc_address == f"127.0.0.1:{service.grpc.port}"
        async with await reader.subscribe(subjects.all_room_events()) as inbox:
            joined = await running.join("alice", read_offer("chromium_join"))
            message = await anext(inbox)
        assert subjects.parse_room_event(message.subject) == ("devkey", "lobby", "participant-joined")
        reported = room_pb2.RoomEvent.FromString(message.payload)
        assert reported.participant_joined.participant.id == joined.participant.id
        await service.measure()
        service.heartbeat.beat_now()

        async def loaded() -> bool:
            record = await seen()
            return record is not None and record.load.participants == 1 and record.load.tracks == 2

        await wait_until(loaded)
        # Without a broker, requests and media continue.
        nats_server.stop()
        await wait_until(lambda: not bus.connected)
        bob = await running.join("bob", read_offer("chromium_join"), bind_existing=True)
        assert len(running.engine.transports) == 2
        assert any(slot.track_id for slot in bob.slots.slots)


@asynccontextmanager
async def connected(server: NatsServer, name: str) -> Any:
    bus = await NatsBus.connect(server.url, name)
    try:
        yield bus
    finally:
        await bus.close()


async def test_a_node_that_stops_deletes_its_record(running: Running, bus: Bus) -> None:
    nodes = await bus.kv(subjects.NODES, 10)
    async with await nodes.watch() as steps, background(running.service.heartbeat.run()):
        present = [step async for step in take_changes(steps, 1)]
        running.runtime.life.stop()
        await running.service.drain()
        draining = [step async for step in take_changes(steps, 1)]
        await running.service.heartbeat.forget("sfu-test")
        gone = [step async for step in take_changes(steps, 1)]
    states = [state_pb2.NodeRecord.FromString(c.value).draining for c in [*present, *draining] if c.value]
    assert states == [False, True]
    assert gone[0].value is None


async def take_changes(steps: Any, count: int) -> Any:
    async for step in steps:
        if isinstance(step, Change):
            yield step
            count -= 1
        if count == 0:
            return
