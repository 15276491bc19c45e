"""The records in KV `recordings` and their events, on both buses."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from nexus.recorder.v1 import recording_pb2
from nexus.recorder.v1.recording_pb2 import EndReason
from nexus_bus import Bus, BusError, MemoryBroker, MemoryBus, subjects
from nexus_recorder.core import inputs
from nexus_recorder.core.record import Record
from nexus_recorder.core.recording import new_record
from nexus_recorder.directory import RecordingDirectory
from nexus_recorder.metrics import Metrics
from nexus_rpc import RpcError
from nexus_runtime import MetricSet
from nexus_testkit import ManualClock, wait_until
from prometheus_client import CollectorRegistry


def make_directory(bus: Bus, clock: ManualClock, limit: int = 1_000) -> RecordingDirectory:
    return RecordingDirectory(bus, clock, Metrics(MetricSet("recorder", CollectorRegistry())), limit)


def record_of(app: str, name: str = "RC_1", room: str = "lobby") -> Record:
    return new_record(recording_pb2.Recording(id=name, app=app, room=room), "", 5)


@pytest.fixture
async def directory(bus: Bus, clock: ManualClock) -> AsyncIterator[RecordingDirectory]:
    made = make_directory(bus, clock)
    following = asyncio.create_task(made.follow())
    await wait_until(lambda: made.synced)
    yield made
    following.cancel()


async def events_of(bus: Bus, app: str) -> list[tuple[str, int, str]]:
    """Every event of the app in the stream, in order."""
    consumer = await bus.pull(subjects.RECORDINGS_STREAM, f"test-{app}")
    found = []
    while messages := await consumer.fetch(64, 0.3):
        for message in messages:
            event = recording_pb2.RecordingEvent.FromString(message.payload)
            if event.app == app:
                assert message.subject == subjects.recording_events(app, event.room)
                found.append((event.recording_id, event.number, str(event.WhichOneof("event"))))
            await message.ack()
    return found


async def test_events_are_published_in_order_and_leave_the_record(
    directory: RecordingDirectory, bus: Bus, app: str
) -> None:
    stored, created = await directory.create(record_of(app))
    assert created
    assert not stored.record.unpublished
    await directory.change(app, "RC_1", inputs.Claimed(1), inputs.Started(1, "RM_1", 7))
    stored = await directory.change(app, "RC_1", inputs.Over(1, EndReason.END_REASON_STOPPED))
    stored = await directory.change(app, "RC_1", inputs.FilesMade([], "m", 1))
    assert not stored.record.unpublished
    assert await events_of(bus, app) == [
        ("RC_1", 1, "queued"),
        ("RC_1", 2, "started"),
        ("RC_1", 3, "completed"),
    ]


async def test_a_second_creation_returns_the_first_record(directory: RecordingDirectory, app: str) -> None:
    await directory.create(record_of(app))
    stored, created = await directory.create(record_of(app, room="other"))
    assert (created, stored.record.recording.room) == (False, "lobby")


async def test_writers_at_the_same_time_all_succeed(
    directory: RecordingDirectory, bus: Bus, clock: ManualClock, app: str
) -> None:
    await directory.create(record_of(app))
    other = make_directory(bus, clock)
    marks = [
        one.change(app, "RC_1", inputs.Mark(f"{number}", 1))
        for number in range(4)
        for one in (directory, other)
    ]
    await asyncio.gather(*marks)
    assert len((await directory.get(app, "RC_1")).record.recording.markers) == 8


async def test_other_processes_see_every_recording(
    directory: RecordingDirectory, bus: Bus, clock: ManualClock, app: str
) -> None:
    other = make_directory(bus, clock)
    await other.create(record_of(app))
    await wait_until(lambda: directory.catalog.get(app, "RC_1") is not None)
    stored = await other.get(app, "RC_1")
    waiting = asyncio.create_task(
        directory.wait(stored, lambda record: record.recording.stop_requested, 5_000)
    )
    await other.change(app, "RC_1", inputs.Claimed(1), inputs.Stop())
    assert (await waiting).record.recording.stop_requested
    stored = await other.get(app, "RC_1")
    await other.remove(app, "RC_1", stored.revision)
    await wait_until(lambda: directory.catalog.get(app, "RC_1") is None)


async def test_what_does_not_exist_is_not_found(directory: RecordingDirectory, app: str) -> None:
    for name in ("RC_9", "", "a.b", ">"):
        with pytest.raises(RpcError) as refused:
            await directory.get(app, name)
        assert refused.value.name == "RECORDING_NOT_FOUND"


async def test_recordings_are_bounded(clock: ManualClock) -> None:
    directory = make_directory(MemoryBus(), clock, limit=1)
    await directory.create(record_of("app"))
    with pytest.raises(RpcError) as refused:
        await directory.create(record_of("app", "RC_2"))
    assert refused.value.name == "SERVICE_UNAVAILABLE"


async def test_a_wait_ends_with_its_timeout(clock: ManualClock) -> None:
    directory = make_directory(MemoryBus(), clock)
    stored, _ = await directory.create(record_of("app"))
    assert await directory.wait(stored, lambda record: False, 1) == stored


class FailingStream(MemoryBus):
    """A bus whose streams store nothing while `failing`."""

    failing = True

    async def publish_durable(
        self, subject: str, payload: bytes, message_id: str | None = None, **options: Any
    ) -> int:
        if self.failing:
            raise BusError("the stream is full")
        return await super().publish_durable(subject, payload, message_id, **options)


async def test_another_process_publishes_what_a_dead_one_has_left(clock: ManualClock) -> None:
    broker = MemoryBroker()
    first, second = FailingStream(broker), MemoryBus(broker)
    await make_directory(first, clock).create(record_of("app"))
    other = make_directory(second, clock)
    assert len((await other.get("app", "RC_1")).record.unpublished) == 1
    await other.publish_again("app", "RC_1")
    await other.change("app", "RC_1", inputs.Stop())
    assert not (await other.get("app", "RC_1")).record.unpublished
    assert [number for _, number, _ in await events_of(second, "app")] == [1, 2]


async def test_malformed_records_are_skipped(clock: ManualClock) -> None:
    bus = MemoryBus()
    bucket = await bus.kv(subjects.RECORDINGS)
    await bucket.put(subjects.recording_key("app", "RC_1"), b"\xff")
    await bucket.put("a-key-of-nothing", b"")
    directory = make_directory(bus, clock)
    following = asyncio.create_task(directory.follow())
    await wait_until(lambda: directory.synced)
    assert await directory.find("app", "RC_1") is None
    assert len(directory.catalog) == 0
    following.cancel()
