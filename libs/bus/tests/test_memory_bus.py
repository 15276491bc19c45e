"""Features of the in-memory twin only: a manual clock, so that expiry needs no waiting."""

from nexus_bus import Change, MemoryBroker, MemoryBus, StreamSpec, Synced
from nexus_testkit import ManualClock


async def test_keys_expire_by_the_manual_clock(clock: ManualClock) -> None:
    broker = MemoryBroker(clock)
    bus = MemoryBus(broker)
    kv = await bus.kv("nodes", ttl_seconds=10)
    watch = await kv.watch()
    assert await anext(watch) == Synced()
    first = await kv.put("node", b"1")
    clock.advance(9.9)
    assert await kv.get("node") is not None
    beat = await kv.put("node", b"2")
    clock.advance(9.9)
    broker.expire()
    assert await anext(watch) == Change("node", b"2", beat)
    clock.advance(0.1)
    broker.expire()
    gone = await anext(watch)
    assert isinstance(gone, Change)
    assert (gone.key, gone.value) == ("node", None)
    assert gone.revision > beat > first


async def test_leases_end_by_the_manual_clock(clock: ManualClock) -> None:
    bus = MemoryBus(MemoryBroker(clock))
    await bus.ensure_stream(StreamSpec("JOBS", ["jobs.>"], work_queue=True))
    consumer = await bus.pull("JOBS", "workers", ack_wait_seconds=30)
    await bus.publish_durable("jobs.a", b"1")
    (message,) = await consumer.fetch()
    clock.advance(29)
    await message.extend()
    clock.advance(29)
    assert await consumer.fetch(timeout_seconds=0) == []
    clock.advance(1)
    (again,) = await consumer.fetch(timeout_seconds=0)
    assert again.deliveries == 2


async def test_a_full_stream_drops_its_oldest_messages() -> None:
    bus = MemoryBus()
    await bus.ensure_stream(StreamSpec("QOE", ["qoe.>"], max_bytes=10))
    for number in range(4):
        await bus.publish_durable("qoe.a", b"%04d" % number)
    consumer = await bus.pull("QOE", "reader")
    assert [message.payload for message in await consumer.fetch()] == [b"0002", b"0003"]
