"""Contract of every bus: reading a stream by sequence."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from nexus_bus import (
    Bus,
    BusError,
    MessagesDropped,
    StoredMessage,
    StreamBounds,
    StreamMissing,
    StreamReader,
    StreamRecreated,
    StreamSpec,
)
from nexus_testkit import wait_until

Connect = Callable[[], Awaitable[Bus]]
Unique = Callable[[str], str]
Delete = Callable[[str], Awaitable[None]]


@pytest.fixture
async def stream(bus: Bus, unique: Unique) -> StreamSpec:
    name = unique("READ")
    spec = StreamSpec(name, [f"{name}.>"])
    await bus.ensure_stream(spec)
    return spec


async def store(bus: Bus, spec: StreamSpec, *names: str) -> list[int]:
    """Stores a message on subject `<stream>.<name>` with the name as its payload, for each name."""
    return [await bus.publish_durable(f"{spec.name}.{name}", name.encode()) for name in names]


async def read(reader: StreamReader, count: int) -> list[StoredMessage]:
    found: list[StoredMessage] = []
    async with asyncio.timeout(20):
        while len(found) < count:
            found += await reader.read(count - len(found))
    return found


async def read_error(reader: StreamReader) -> BusError:
    async with asyncio.timeout(30):
        while True:
            try:
                await reader.read()
            except BusError as error:
                return error


async def test_a_reader_delivers_what_exists_and_what_follows_in_order(bus: Bus, stream: StreamSpec) -> None:
    sequences = await store(bus, stream, "a", "b")
    async with await bus.read_stream(stream.name) as reader:
        sequences += await store(bus, stream, "c")
        messages = await read(reader, 3)
    assert [(m.sequence, m.subject, m.payload) for m in messages] == [
        (sequence, f"{stream.name}.{name}", name.encode())
        for sequence, name in zip(sequences, "abc", strict=True)
    ]


async def test_headers_and_the_time_of_storage_are_delivered(bus: Bus, stream: StreamSpec) -> None:
    subject = f"{stream.name}.a"
    headers = {"Key": "ä=%0A b", "Other": "1"}
    for payload in (b"1", b"2"):
        await bus.publish_durable(subject, payload, headers=headers)
    await bus.publish_durable(subject, b"3")
    async with await bus.read_stream(stream.name) as reader:
        first, second, bare = await read(reader, 3)
    assert first.headers == headers
    assert bare.headers == {}
    assert 0 < first.stored_at_ms <= second.stored_at_ms


async def test_a_reader_begins_at_a_sequence(bus: Bus, stream: StreamSpec) -> None:
    _, second, third = await store(bus, stream, "a", "b", "c")
    async with await bus.read_stream(stream.name, from_sequence=second) as reader:
        assert [m.sequence for m in await read(reader, 2)] == [second, third]
    async with await bus.read_stream(stream.name, from_sequence=third + 1) as reader:
        assert await reader.read(timeout_seconds=0.1) == []
        (fourth,) = await store(bus, stream, "d")
        assert [m.sequence for m in await read(reader, 1)] == [fourth]


async def test_a_reader_delivers_only_what_matches(bus: Bus, stream: StreamSpec) -> None:
    await store(bus, stream, "a.1", "b.1", "a.2", "b.2")
    async with await bus.read_stream(stream.name, f"{stream.name}.b.*") as reader:
        assert [m.payload for m in await read(reader, 2)] == [b"b.1", b"b.2"]
        await store(bus, stream, "a.3", "b.3")
        assert [m.payload for m in await read(reader, 1)] == [b"b.3"]
        assert reader.take() == []


async def test_every_reader_gets_every_message(connect: Connect, bus: Bus, stream: StreamSpec) -> None:
    await store(bus, stream, "a", "b")
    one = await bus.read_stream(stream.name)
    other = await (await connect()).read_stream(stream.name)
    for reader in (one, other):
        assert [m.payload for m in await read(reader, 2)] == [b"a", b"b"]


async def test_a_small_buffer_delivers_everything(bus: Bus, stream: StreamSpec) -> None:
    names = [f"n{number}" for number in range(50)]
    await store(bus, stream, *names)
    async with await bus.read_stream(stream.name, max_pending=3) as reader:
        await wait_until(lambda: reader.position == 1)
        assert [m.payload.decode() for m in await read(reader, 50)] == names


async def test_messages_of_the_largest_size_arrive(bus: Bus, stream: StreamSpec) -> None:
    payload = bytes(1 << 20)[: (1 << 20) - 512]
    for _ in range(30):
        await (await bus.send_durable(f"{stream.name}.a", payload))
    async with await bus.read_stream(stream.name) as reader:
        assert {len(m.payload) for m in await read(reader, 30)} == {len(payload)}


async def test_arrivals_are_announced(bus: Bus, stream: StreamSpec) -> None:
    heard: list[int] = []
    async with await bus.read_stream(stream.name, on_arrival=lambda: heard.append(1)) as reader:
        await store(bus, stream, "a")
        await wait_until(lambda: bool(heard))
        assert [m.payload for m in reader.take()] == [b"a"]


async def test_the_position_is_where_the_next_reader_continues(bus: Bus, stream: StreamSpec) -> None:
    first, second, _ = await store(bus, stream, "a", "b", "c")
    async with await bus.read_stream(stream.name) as reader:
        await read(reader, 1)
        await wait_until(lambda: reader.position == second)
        assert first < reader.position


async def test_the_position_passes_messages_that_do_not_match(bus: Bus, stream: StreamSpec) -> None:
    await store(bus, stream, "a")
    async with await bus.read_stream(stream.name, f"{stream.name}.a") as reader:
        await read(reader, 1)
        *_, last = await store(bus, stream, "b", "b", "b")
        await wait_until(lambda: reader.position == last + 1, timeout=30)
        await store(bus, stream, "a")
        assert [m.payload for m in await read(reader, 1)] == [b"a"]


async def test_bounds_of_a_filter(bus: Bus, stream: StreamSpec) -> None:
    empty = await bus.bounds(stream.name)
    assert (empty.first, empty.last, empty.next) == (0, 0, 1)
    one, two, three, four = await store(bus, stream, "a", "b", "b", "c")
    found = await bus.bounds(stream.name, f"{stream.name}.b")
    assert found == StreamBounds(two, three, one, four + 1, found.identity)
    assert (await bus.bounds(stream.name)).last == four
    assert (await bus.bounds(stream.name, f"{stream.name}.none")).last == 0
    async with await bus.read_stream(stream.name) as reader:
        assert reader.identity == found.identity != ""


async def test_a_stream_that_does_not_exist(bus: Bus, unique: Unique) -> None:
    name = unique("NONE")
    with pytest.raises(StreamMissing):
        await bus.bounds(name)
    with pytest.raises(StreamMissing):
        await bus.read_stream(name)
    with pytest.raises(StreamMissing):
        await bus.describe_stream(name)


async def test_bad_parameters_are_refused(bus: Bus, stream: StreamSpec) -> None:
    with pytest.raises(ValueError):
        await bus.read_stream(stream.name, "a..b")
    with pytest.raises(ValueError):
        await bus.read_stream(stream.name, max_pending=0)
    with pytest.raises(ValueError):
        await bus.bounds("a.b")


async def test_a_stream_describes_itself(bus: Bus, unique: Unique) -> None:
    name = unique("KEPT")
    spec = StreamSpec(
        name,
        (f"{name}.*",),
        max_age_seconds=None,
        max_bytes=-1,
        max_messages_per_subject=1,
        message_ttl=True,
        metadata={"partitions": "4"},
    )
    await bus.ensure_stream(spec)
    assert await bus.describe_stream(name) == spec


async def test_the_last_message_of_each_subject_stays(bus: Bus, unique: Unique) -> None:
    name = unique("LAST")
    spec = StreamSpec(name, [f"{name}.*"], max_messages_per_subject=1)
    await bus.ensure_stream(spec)
    await store(bus, spec, "a", "b", "a")
    async with await bus.read_stream(name, from_sequence=1) as reader:
        assert [m.sequence for m in await read(reader, 2)] == [2, 3]
    # A message that was replaced was not dropped: its subject has a newer one.
    await store(bus, spec, "b", "a")
    async with await bus.read_stream(name, from_sequence=2) as reader:
        assert [m.sequence for m in await read(reader, 2)] == [4, 5]


async def test_messages_dropped_before_the_reader_began(bus: Bus, unique: Unique) -> None:
    name = unique("SMALL")
    spec = StreamSpec(name, [f"{name}.*"], max_bytes=4096)
    await bus.ensure_stream(spec)
    for _ in range(8):
        await bus.publish_durable(f"{name}.a", bytes(1000))
    oldest = (await bus.bounds(name)).oldest
    assert oldest > 2
    async with await bus.read_stream(name, from_sequence=2) as reader:
        error = await read_error(reader)
        assert isinstance(error, MessagesDropped)
        assert (error.first, error.last) == (2, oldest - 1)
        assert [m.sequence for m in await read(reader, 9 - oldest)] == list(range(oldest, 9))
    async with await bus.read_stream(name) as reader:  # "from the first that exists" misses nothing
        assert (await read(reader, 1))[0].sequence == oldest


async def test_messages_dropped_while_the_reader_was_too_slow(bus: Bus, unique: Unique) -> None:
    name = unique("SMALL")
    await bus.ensure_stream(StreamSpec(name, [f"{name}.*"], max_bytes=8192))
    async with await bus.read_stream(name, max_pending=2) as reader:
        for _ in range(30):
            await bus.publish_durable(f"{name}.a", bytes(1000))
        seen: list[int] = []
        error: MessagesDropped | None = None
        async with asyncio.timeout(30):
            while error is None or seen[-1] < 30:
                try:
                    seen += [m.sequence for m in await reader.read()]
                except MessagesDropped as dropped:
                    error = dropped
    missing = set(range(1, 31)) - set(seen)
    assert seen == sorted(seen)
    assert missing
    assert missing <= set(range(error.first, error.last + 1))


async def test_messages_of_other_subjects_that_were_dropped_are_no_error(bus: Bus, unique: Unique) -> None:
    name = unique("SMALL")
    spec = StreamSpec(name, [f"{name}.*"], max_bytes=4096)
    await bus.ensure_stream(spec)
    async with await bus.read_stream(name, f"{name}.quiet") as reader:
        for _ in range(10):
            await bus.publish_durable(f"{name}.busy", bytes(1000))
        await wait_until(lambda: reader.position == 11, timeout=30)
        await store(bus, spec, "quiet")
        assert [m.payload for m in await read(reader, 1)] == [b"quiet"]


async def test_a_stream_that_is_created_again_is_an_error(
    bus: Bus, stream: StreamSpec, delete_stream: Delete
) -> None:
    await store(bus, stream, "a", "b")
    before = await bus.bounds(stream.name)
    async with await bus.read_stream(stream.name) as reader:
        await read(reader, 2)
        await delete_stream(stream.name)
        assert isinstance(await read_error(reader), StreamMissing)
        await bus.ensure_stream(stream)
        await store(bus, stream, "c", "d", "e")
        for _ in range(2):
            assert isinstance(await read_error(reader), StreamRecreated)
    assert (await bus.bounds(stream.name)).identity != before.identity


async def test_a_position_beyond_the_end_belongs_to_another_stream(bus: Bus, stream: StreamSpec) -> None:
    (last,) = await store(bus, stream, "a")
    with pytest.raises(StreamRecreated):
        await bus.read_stream(stream.name, from_sequence=last + 2)


async def test_a_closed_reader_delivers_nothing(bus: Bus, stream: StreamSpec) -> None:
    reader = await bus.read_stream(stream.name)
    await reader.close()
    await store(bus, stream, "a")
    assert await reader.read(timeout_seconds=0.1) == []
    await reader.close()


async def test_a_read_that_is_cancelled_loses_nothing(bus: Bus, stream: StreamSpec) -> None:
    async with await bus.read_stream(stream.name) as reader:
        for number in range(20):
            reading = asyncio.create_task(reader.read(timeout_seconds=60))
            await asyncio.sleep(0)
            await store(bus, stream, f"n{number}")
            reading.cancel()
            (result,) = await asyncio.gather(reading, return_exceptions=True)
            messages = result if isinstance(result, list) else await read(reader, 1)
            assert [m.payload for m in messages] == [b"n%d" % number]
