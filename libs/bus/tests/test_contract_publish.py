"""Contract of every bus: durable publishes."""

import asyncio
from collections.abc import Callable

import pytest
from nexus_bus import (
    MAX_IN_FLIGHT,
    Bus,
    BusError,
    NoResponder,
    PayloadTooLarge,
    SequenceMismatch,
    StreamSpec,
)
from nexus_testkit import wait_until

Unique = Callable[[str], str]


@pytest.fixture
async def subject(bus: Bus, unique: Unique) -> str:
    name = unique("PUB")
    await bus.ensure_stream(StreamSpec(name, [f"{name}.>"], message_ttl=True))
    return f"{name}.a"


async def test_the_sequence_is_returned(bus: Bus, subject: str) -> None:
    assert [await bus.publish_durable(subject, b"") for _ in range(3)] == [1, 2, 3]


async def test_a_repetition_returns_the_sequence_of_the_first(bus: Bus, subject: str) -> None:
    first = await bus.publish_durable(subject, b"1", "id")
    await bus.publish_durable(subject, b"2")
    assert await bus.publish_durable(subject, b"1", "id") == first
    assert (await bus.bounds(subject.split(".")[0])).last == 2


async def test_the_expected_last_sequence_is_that_of_the_subject(bus: Bus, subject: str) -> None:
    first = await bus.publish_durable(subject, b"1", expected_last_sequence=0)
    await bus.publish_durable(f"{subject}.other", b"")
    with pytest.raises(SequenceMismatch):
        await bus.publish_durable(subject, b"2", expected_last_sequence=0)
    second = await bus.publish_durable(subject, b"2", expected_last_sequence=first)
    with pytest.raises(SequenceMismatch):
        await bus.publish_durable(subject, b"2", expected_last_sequence=first)
    assert second == 3


async def test_a_writer_is_fenced_by_a_message_on_another_subject(bus: Bus, subject: str) -> None:
    guard = f"{subject}.guard"
    first = await bus.publish_durable(guard, b"1")
    for _ in range(2):
        await bus.publish_durable(subject, b"", expected_last_sequence=first, expected_subject=guard)
    second = await bus.publish_durable(guard, b"2")
    with pytest.raises(SequenceMismatch):
        await bus.publish_durable(subject, b"", expected_last_sequence=first, expected_subject=guard)
    await bus.publish_durable(subject, b"", expected_last_sequence=second, expected_subject=guard)
    with pytest.raises(ValueError):
        await bus.publish_durable(subject, b"", expected_subject=guard)


async def test_many_messages_are_in_flight_and_stay_in_order(bus: Bus, subject: str) -> None:
    count = 2 * MAX_IN_FLIGHT + 10
    answers = [await bus.send_durable(subject, b"%d" % number) for number in range(count)]
    assert await asyncio.gather(*answers) == list(range(1, count + 1))


async def test_senders_that_wait_for_room_are_all_served(bus: Bus, subject: str) -> None:
    async def send() -> int:
        return await (await bus.send_durable(subject, bytes(1000)))

    count = MAX_IN_FLIGHT + 200
    tasks = [asyncio.create_task(send()) for _ in range(count)]
    for task in tasks[::7]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    cancelled = [result for result in results if isinstance(result, asyncio.CancelledError)]
    stored = [result for result in results if isinstance(result, int)]
    assert len(cancelled) + len(stored) == count
    assert len(set(stored)) == len(stored)
    assert await send() > 0


async def test_an_error_is_in_the_future(bus: Bus, subject: str, unique: Unique) -> None:
    refused = await bus.send_durable(subject, b"", expected_last_sequence=5)
    nowhere = await bus.send_durable(unique("nowhere."), b"")
    stored = await bus.send_durable(subject, b"")
    with pytest.raises(SequenceMismatch):
        await refused
    with pytest.raises(NoResponder):
        await nowhere
    assert await stored == 1


async def test_too_large_payloads_and_bad_lifetimes_are_refused(bus: Bus, subject: str) -> None:
    with pytest.raises(PayloadTooLarge):
        await bus.send_durable(subject, bytes((1 << 20) + 1))
    with pytest.raises(ValueError):
        await bus.publish_durable(subject, b"", ttl_seconds=0)
    with pytest.raises(ValueError):
        await bus.publish_durable("a.*", b"")


async def test_a_message_with_a_lifetime_ends(bus: Bus, subject: str) -> None:
    stream = subject.split(".")[0]
    await bus.publish_durable(subject, b"", ttl_seconds=1)
    await bus.publish_durable(f"{subject}.b", b"")

    async def ended() -> bool:
        return (await bus.bounds(stream, subject)).last == 0

    await wait_until(ended, timeout=10)
    assert (await bus.bounds(stream)).last == 2


async def test_a_lifetime_needs_a_stream_that_allows_it(bus: Bus, unique: Unique) -> None:
    name = unique("PUB")
    await bus.ensure_stream(StreamSpec(name, [name]))
    with pytest.raises(BusError):
        await bus.publish_durable(name, b"", ttl_seconds=1)
    assert await bus.publish_durable(name, b"") == 1
