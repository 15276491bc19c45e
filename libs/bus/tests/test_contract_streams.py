"""Contract of every bus: durable streams."""

from collections.abc import Awaitable, Callable

import pytest
from nexus_bus import Bus, BusError, DurableMessage, NoResponder, PullConsumer, StreamMissing, StreamSpec

Connect = Callable[[], Awaitable[Bus]]
Unique = Callable[[str], str]


@pytest.fixture
async def stream(bus: Bus, unique: Unique) -> StreamSpec:
    name = unique("JOBS")
    spec = StreamSpec(name, [f"{name}.>"], work_queue=True)
    await bus.ensure_stream(spec)
    await bus.ensure_stream(spec)
    return spec


async def fetch(consumer: PullConsumer, count: int) -> list[DurableMessage]:
    found: list[DurableMessage] = []
    for _ in range(20):
        found += await consumer.fetch(count - len(found), timeout_seconds=1)
        if len(found) == count:
            return found
    raise AssertionError(f"{len(found)} of {count} messages came")


async def test_a_consumer_receives_messages_published_before_it_existed(bus: Bus, stream: StreamSpec) -> None:
    await bus.publish_durable(f"{stream.name}.a", b"1")
    consumer = await bus.pull(stream.name, "workers")
    await bus.publish_durable(f"{stream.name}.b", b"2")
    messages = await fetch(consumer, 2)
    assert [(m.subject, m.payload, m.deliveries) for m in messages] == [
        (f"{stream.name}.a", b"1", 1),
        (f"{stream.name}.b", b"2", 1),
    ]


async def test_consumers_of_one_name_share_the_messages(
    connect: Connect, bus: Bus, stream: StreamSpec
) -> None:
    first = await bus.pull(stream.name, "workers")
    second = await (await connect()).pull(stream.name, "workers")
    for number in range(4):
        await bus.publish_durable(f"{stream.name}.x", b"%d" % number)
    taken = await fetch(first, 2) + await fetch(second, 2)
    assert sorted(m.payload for m in taken) == [b"0", b"1", b"2", b"3"]


async def test_an_acked_message_is_not_delivered_again(bus: Bus, stream: StreamSpec) -> None:
    consumer = await bus.pull(stream.name, "workers", ack_wait_seconds=0.5)
    await bus.publish_durable(f"{stream.name}.x", b"done")
    await bus.publish_durable(f"{stream.name}.x", b"not done")
    done, _ = await fetch(consumer, 2)
    await done.ack()
    (again,) = await fetch(consumer, 1)
    assert (again.payload, again.deliveries) == (b"not done", 2)
    await again.ack()
    assert await consumer.fetch(1, timeout_seconds=1.5) == []


async def test_a_retried_message_is_delivered_again(bus: Bus, stream: StreamSpec) -> None:
    consumer = await bus.pull(stream.name, "workers", ack_wait_seconds=60)
    await bus.publish_durable(f"{stream.name}.x", b"job")
    (message,) = await fetch(consumer, 1)
    await message.extend()
    await message.retry()
    (again,) = await fetch(consumer, 1)
    assert (again.payload, again.deliveries) == (b"job", 2)
    await again.retry(delay_seconds=0.2)
    (third,) = await fetch(consumer, 1)
    assert third.deliveries == 3


async def test_the_same_message_id_is_stored_once(bus: Bus, stream: StreamSpec) -> None:
    consumer = await bus.pull(stream.name, "workers")
    for _ in range(3):
        await bus.publish_durable(f"{stream.name}.x", b"once", message_id="42")
    await bus.publish_durable(f"{stream.name}.x", b"other", message_id="43")
    assert [m.payload for m in await fetch(consumer, 2)] == [b"once", b"other"]


async def test_a_stream_also_stores_plain_publishes(bus: Bus, stream: StreamSpec) -> None:
    consumer = await bus.pull(stream.name, "workers")
    await bus.publish(f"{stream.name}.x", b"plain")
    assert [m.payload for m in await fetch(consumer, 1)] == [b"plain"]


async def test_a_fetch_whose_time_is_over_at_once_returns_nothing(bus: Bus, stream: StreamSpec) -> None:
    consumer = await bus.pull(stream.name, "workers")
    assert await consumer.fetch(1, timeout_seconds=1e-9) == []
    await bus.publish_durable(f"{stream.name}.x", b"later")
    assert [m.payload for m in await fetch(consumer, 1)] == [b"later"]


async def test_a_durable_publish_needs_a_stream(bus: Bus, unique: Unique) -> None:
    with pytest.raises(NoResponder):
        await bus.publish_durable(unique("nowhere."), b"")


async def test_a_consumer_needs_its_stream(bus: Bus, unique: Unique) -> None:
    with pytest.raises(BusError):
        await bus.pull(unique("NONE"), "workers")


async def test_a_filtered_consumer_receives_only_its_subjects(bus: Bus, stream: StreamSpec) -> None:
    small = await bus.pull(stream.name, "small", filter_subject=f"{stream.name}.small")
    await bus.publish_durable(f"{stream.name}.large", b"1")
    await bus.publish_durable(f"{stream.name}.small", b"2")
    large = await bus.pull(stream.name, "large", filter_subject=f"{stream.name}.large")
    await bus.publish_durable(f"{stream.name}.large", b"3")
    assert [m.payload for m in await fetch(small, 1)] == [b"2"]
    messages = await fetch(large, 2)
    assert [m.payload for m in messages] == [b"1", b"3"]
    for message in messages:
        await message.ack()
    assert await small.fetch(1, timeout_seconds=0.2) == []


async def test_messages_that_no_consumer_wants_stay(bus: Bus, stream: StreamSpec) -> None:
    await bus.pull(stream.name, "small", filter_subject=f"{stream.name}.small")
    await bus.publish_durable(f"{stream.name}.other", b"1")
    other = await bus.pull(stream.name, "other", filter_subject=f"{stream.name}.other")
    assert [m.payload for m in await fetch(other, 1)] == [b"1"]


async def test_consumers_of_a_work_queue_have_different_subjects(bus: Bus, stream: StreamSpec) -> None:
    await bus.pull(stream.name, "small", filter_subject=f"{stream.name}.small")
    await bus.pull(stream.name, "small", filter_subject=f"{stream.name}.small")
    with pytest.raises(BusError):
        await bus.pull(stream.name, "rival", filter_subject=f"{stream.name}.*")
    with pytest.raises(BusError):
        await bus.pull(stream.name, "everything")


async def test_a_bad_filter_is_refused(bus: Bus, stream: StreamSpec) -> None:
    with pytest.raises(ValueError):
        await bus.pull(stream.name, "bad", filter_subject="a..b")


async def test_a_subject_belongs_to_one_stream(bus: Bus, stream: StreamSpec) -> None:
    with pytest.raises(BusError):
        await bus.ensure_stream(StreamSpec(f"{stream.name}B", [f"{stream.name}.x.*"]))


async def test_one_server_keeps_one_replica(bus: Bus, unique: Unique) -> None:
    name = unique("REPLICAS")
    await bus.ensure_stream(StreamSpec(name, [f"{name}.>"], replicas=1))
    with pytest.raises(BusError):
        await bus.ensure_stream(StreamSpec(name, [f"{name}.>"], replicas=3))
    with pytest.raises(BusError):
        await bus.ensure_stream(StreamSpec(f"{name}B", [f"{name}B.>"], replicas=3))


@pytest.mark.parametrize("replicas", [0, 6])
async def test_a_bad_number_of_replicas_is_refused(bus: Bus, unique: Unique, replicas: int) -> None:
    name = unique("REPLICAS")
    with pytest.raises(ValueError):
        await bus.ensure_stream(StreamSpec(name, [f"{name}.>"], replicas=replicas))
    with pytest.raises(ValueError):
        await bus.kv(unique("replicas"), replicas=replicas)


async def test_single_messages_are_found_by_sequence_and_subject(bus: Bus, unique: Unique) -> None:
    name = unique("LOG")
    await bus.ensure_stream(StreamSpec(name, [f"{name}.>"]))

    async def found(from_sequence: int, filter_subject: str = ">") -> tuple[int, str, bytes] | None:
        message = await bus.next_message(name, from_sequence, filter_subject)
        return None if message is None else (message.sequence, message.subject, message.payload)

    assert await found(1) is None
    for subject, payload in (("a.x", b"1"), ("b.x", b"2"), ("a.y", b"")):
        await bus.publish_durable(f"{name}.{subject}", payload)
    assert await found(1) == (1, f"{name}.a.x", b"1")
    assert await found(2) == (2, f"{name}.b.x", b"2")
    assert await found(2, f"{name}.a.*") == (3, f"{name}.a.y", b"")
    assert await found(1, f"{name}.b.>") == (2, f"{name}.b.x", b"2")
    assert await found(3, f"{name}.b.>") is None
    assert await found(4) is None
    assert await found(1_000) is None
    with pytest.raises(StreamMissing):
        await bus.next_message(unique("NONE"), 1)
