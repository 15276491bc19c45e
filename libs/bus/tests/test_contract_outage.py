"""Contract of every bus: outages of one connection. The connection `healthy` is not affected."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest
from nexus_bus import (
    Bus,
    Change,
    MemoryBroker,
    MemoryBus,
    MessagesDropped,
    NatsBus,
    NotConnected,
    StoredMessage,
    StreamReader,
    StreamSpec,
    Synced,
    Watch,
    WatchStep,
)
from nexus_testkit import NatsServer, TcpLink, wait_until

Unique = Callable[[str], str]


@dataclass(frozen=True)
class Outage:
    bus: Bus
    healthy: Bus
    begin_link: Callable[[], Awaitable[None]]
    end_link: Callable[[], Awaitable[None]]

    async def begin(self) -> None:
        await self.begin_link()
        await wait_until(lambda: not self.bus.connected)

    async def end(self) -> None:
        await self.end_link()
        await wait_until(lambda: self.bus.connected)


@pytest.fixture(params=["memory", "nats"])
async def outage(request: pytest.FixtureRequest) -> AsyncIterator[Outage]:
    if request.param == "memory":
        broker = MemoryBroker()
        twin = MemoryBus(broker)

        async def switch(connected: bool) -> None:
            twin.set_connected(connected)

        yield Outage(twin, MemoryBus(broker), lambda: switch(False), lambda: switch(True))
        return
    server: NatsServer = request.getfixturevalue("shared_nats_server")
    async with TcpLink.to(server.url) as link:
        bus, healthy = (
            await NatsBus.connect(link.url, "cut off"),
            await NatsBus.connect(server.url, "healthy"),
        )
        yield Outage(bus, healthy, link.cut, link.restore)
        await bus.close()
        await healthy.close()


async def step(watch: Watch) -> WatchStep:
    return await asyncio.wait_for(anext(watch), 10)


async def test_listeners_are_notified(outage: Outage) -> None:
    heard: list[bool] = []
    outage.bus.on_connection(heard.append)
    await outage.begin()
    await outage.end()
    await wait_until(lambda: heard == [False, True])


async def test_operations_that_need_the_broker_raise_not_connected(outage: Outage, unique: Unique) -> None:
    kv = await outage.bus.kv(unique("out"))
    await outage.begin()
    with pytest.raises(NotConnected):
        await kv.get("k")
    with pytest.raises(NotConnected):
        await kv.put("k", b"")
    with pytest.raises(NotConnected):
        await kv.watch()
    with pytest.raises(NotConnected):
        await outage.bus.request("a", b"")
    with pytest.raises(NotConnected):
        await outage.bus.subscribe("a")
    with pytest.raises(NotConnected):
        await outage.bus.publish_durable("a", b"")
    with pytest.raises(NotConnected):
        await outage.bus.send_durable("a", b"")
    with pytest.raises(NotConnected):
        await outage.bus.read_stream("a")
    with pytest.raises(NotConnected):
        await outage.bus.bounds("a")
    with pytest.raises(NotConnected):
        await outage.bus.describe_stream("a")
    await outage.end()
    await wait_until(lambda: works_again(outage, unique("after.")))


async def works_again(outage: Outage, subject: str) -> bool:
    async with await outage.bus.subscribe(subject) as subscription:
        await outage.healthy.publish(subject, b"x")
        return (await asyncio.wait_for(anext(subscription), 10)).payload == b"x"


async def test_subscriptions_recover_and_the_buffer_is_delivered(outage: Outage, unique: Unique) -> None:
    subject = unique("buffer.")
    subscription = await outage.bus.subscribe(subject)
    witness = await outage.healthy.subscribe(subject)
    await outage.begin()
    for number in range(3):
        await outage.bus.publish(subject, b"%d" % number)
    await outage.end()
    for reader in (subscription, witness):
        read = [(await asyncio.wait_for(anext(reader), 10)).payload for _ in range(3)]
        assert read == [b"0", b"1", b"2"]
    await outage.healthy.publish(subject, b"after")
    assert (await asyncio.wait_for(anext(subscription), 10)).payload == b"after"


async def test_messages_beyond_the_buffer_are_counted_as_dropped(outage: Outage, unique: Unique) -> None:
    subject = unique("much.")
    await outage.begin()
    for _ in range(12):
        await outage.bus.publish(subject, bytes(1 << 20))
    assert outage.bus.publishes_dropped in (4, 5)
    await outage.end()
    await outage.bus.publish(subject, b"")
    assert outage.bus.publishes_dropped in (4, 5)


async def test_publishing_on_a_closed_bus_is_counted_too(outage: Outage) -> None:
    await outage.bus.close()
    await outage.bus.publish("a", b"")
    assert outage.bus.publishes_dropped == 1


async def test_a_watch_delivers_missed_changes_after_an_outage(outage: Outage, unique: Unique) -> None:
    bucket = unique("missed")
    reader, writer = await outage.bus.kv(bucket), await outage.healthy.kv(bucket)
    same = await writer.put("same", b"0")
    changed, gone = await writer.put("changed", b"0"), await writer.put("gone", b"0")
    async with await reader.watch() as watch:
        assert [await step(watch) for _ in range(4)] == [
            Change("same", b"0", same),
            Change("changed", b"0", changed),
            Change("gone", b"0", gone),
            Synced(),
        ]
        await outage.begin()
        await writer.delete("gone")
        new = await writer.put("new", b"1")
        changed = await writer.put("changed", b"1")
        await outage.end()
        seen = {s.key: s.value for s in [await step(watch) for _ in range(3)] if isinstance(s, Change)}
        assert seen == {"gone": None, "new": b"1", "changed": b"1"}
        last = await writer.put("last", b"2")
        assert last > changed > new
        assert await step(watch) == Change("last", b"2", last)


async def read_until(reader: StreamReader, last: int) -> list[StoredMessage]:
    found: list[StoredMessage] = []
    async with asyncio.timeout(30):
        while not found or found[-1].sequence < last:
            found += await reader.read()
    return found


async def test_a_reader_continues_after_an_outage_where_it_was(outage: Outage, unique: Unique) -> None:
    name = unique("READ")
    await outage.healthy.ensure_stream(StreamSpec(name, [name]))
    async with await outage.bus.read_stream(name) as reader:
        for _ in range(2):
            await outage.healthy.publish_durable(name, b"")
        seen = await read_until(reader, 2)
        await outage.begin()
        for _ in range(3):
            await outage.healthy.publish_durable(name, b"")
        assert await reader.read(timeout_seconds=0.1) == []
        await outage.end()
        seen += await read_until(reader, 5)
    assert [message.sequence for message in seen] == [1, 2, 3, 4, 5]


async def test_messages_dropped_during_an_outage_are_reported(outage: Outage, unique: Unique) -> None:
    name = unique("READ")
    await outage.healthy.ensure_stream(StreamSpec(name, [name], max_bytes=4096))
    async with await outage.bus.read_stream(name) as reader:
        await outage.healthy.publish_durable(name, b"")
        await read_until(reader, 1)
        await outage.begin()
        for _ in range(10):
            await outage.healthy.publish_durable(name, bytes(1000))
        oldest = (await outage.healthy.bounds(name)).oldest
        await outage.end()
        with pytest.raises(MessagesDropped) as dropped:
            await read_until(reader, 11)
        assert dropped.value.first == 2
        assert dropped.value.last >= oldest - 1
        assert (await read_until(reader, 11))[-1].sequence == 11
