"""Reading a track: positions, acknowledgements, broken connections, and every way in which reading ends."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from nexus.sfu.v1 import sfu_pb2, track_stream_pb2
from nexus.types.v1 import media_pb2
from nexus.types.v1.error_pb2 import ErrorCode
from nexus_bus import MemoryBus
from nexus_rooms import (
    ReadEnd,
    ReadEnded,
    ReadLimits,
    Sfu,
    SfuClient,
    TapOptions,
    TrackBatch,
    TrackReader,
)
from nexus_rooms.testing import FakeSfu, FakeTaps, MemorySfu
from nexus_rpc import RpcError
from nexus_runtime import Clock, MetricSet, SystemClock
from nexus_testkit import VirtualTimeLoop, run_in_virtual_time, wait_until
from prometheus_client import CollectorRegistry

KEY = sfu_pb2.RoomKey(app="app", room="lobby")
TRACK = "TR_1"
TAP = TapOptions(name="recorder/1", retain_ms=30_000)
SOURCE = track_stream_pb2.StreamRecord(source=track_stream_pb2.StreamSource(clock_rate=90_000))

StreamEndReason = track_stream_pb2.StreamEndReason
Item = TrackBatch | ReadEnded


def packet(number: int) -> track_stream_pb2.StreamRecord:
    return track_stream_pb2.StreamRecord(packet=track_stream_pb2.StreamPacket(sequence_number=number))


async def sfu_with_track() -> tuple[FakeSfu, FakeTaps]:
    """An SFU with one room and one track, which has sent its source and packets 1 and 2."""
    fake = FakeSfu(MemoryBus())
    grants = media_pb2.Grants(create=True, publish=True)
    join = sfu_pb2.JoinRequest(room=KEY, room_id="RM_1", identity="ann", grants=grants)
    await MemorySfu({"here:1": fake}).join("here:1", join)
    taps = fake.taps[TRACK] = FakeTaps()
    taps.add(SOURCE, packet(1), packet(2))
    return fake, taps


def make_reader(
    sfu: Sfu, clock: Clock, tap: TapOptions = TAP, address: str = "here:1", limits: ReadLimits | None = None
) -> TrackReader:
    return TrackReader(sfu, address, KEY, TRACK, tap, clock=clock, rng=random.Random(1), limits=limits)


def numbers(items: list[Item]) -> list[int]:
    """The sequence numbers of the packets."""
    return [
        record.packet.sequence_number
        for item in items
        if isinstance(item, TrackBatch)
        for record in item.response.records
        if record.HasField("packet")
    ]


async def collect(reader: TrackReader, items: list[Item]) -> None:
    async for item in reader.read():
        items.append(item)


@dataclass
class Case:
    sfu: Sfu
    taps: FakeTaps
    fake: FakeSfu
    address: str

    def reader(self, tap: TapOptions = TAP, limits: ReadLimits | None = None) -> TrackReader:
        return make_reader(self.sfu, SystemClock(), tap, self.address, limits)


class TestReading:
    @pytest.fixture(params=["twin", "grpc"])
    async def case(self, request: pytest.FixtureRequest) -> AsyncIterator[Case]:
        fake, taps = await sfu_with_track()
        if request.param == "twin":
            yield Case(MemorySfu({"here:1": fake}), taps, fake, "here:1")
            return
        await fake.start()
        metrics = MetricSet("contract", CollectorRegistry())
        client = SfuClient(metrics, timeout_ms=20_000, join_timeout_ms=20_000)
        yield Case(client, taps, fake, fake.address)
        await client.close()
        await fake.stop()

    async def test_batches_have_positions_until_the_track_ends(self, case: Case) -> None:
        items: list[Item] = []
        reader = case.reader()
        reading = asyncio.create_task(collect(reader, items))
        await wait_until(lambda: reader.position == 3)
        case.taps.add(packet(3))
        await wait_until(lambda: reader.position == 4)
        case.taps.end(track_stream_pb2.STREAM_END_REASON_TRACK_ENDED)
        await reading
        assert numbers(items) == [1, 2, 3]
        assert [item.position for item in items if isinstance(item, TrackBatch)] == [3, 4, 5]
        assert items[-1] == ReadEnded(ReadEnd.TRACK_ENDED)
        await reader.close()

    async def test_the_next_reader_continues_behind_the_acknowledged_position(self, case: Case) -> None:
        first: list[Item] = []
        reader = case.reader()
        reading = asyncio.create_task(collect(reader, first))
        await wait_until(lambda: reader.position == 3)
        reader.acknowledge(2)
        assert await reader.flush(20_000)
        assert case.taps.taps[TAP.name].acknowledged == 2
        reading.cancel()  # the reader is killed: record 3 was read, but it is not safe
        await asyncio.gather(reading, return_exceptions=True)
        await reader.close()
        case.taps.add(packet(3))
        case.taps.end(track_stream_pb2.STREAM_END_REASON_PARTICIPANT_LEFT)
        second: list[Item] = []
        await collect(case.reader(TapOptions(name=TAP.name, resume_after=2)), second)
        assert numbers(second) == [2, 3]
        assert second[-1] == ReadEnded(ReadEnd.PARTICIPANT_LEFT)

    async def test_a_second_reader_takes_over(self, case: Case) -> None:
        first: list[Item] = []
        reader = case.reader()
        reading = asyncio.create_task(collect(reader, first))
        await wait_until(lambda: reader.position == 3)
        items: list[Item] = []
        second = case.reader(TapOptions(name=TAP.name, resume_after=3))
        taking = asyncio.create_task(collect(second, items))
        await reading
        assert first[-1] == ReadEnded(ReadEnd.TAKEN)
        case.taps.end(track_stream_pb2.STREAM_END_REASON_ROOM_CLOSED)
        await taking
        assert items[-1] == ReadEnded(ReadEnd.ROOM_CLOSED)

    async def test_a_broken_connection_loses_and_repeats_nothing(self, case: Case) -> None:
        items: list[Item] = []
        reader = case.reader(limits=ReadLimits(retry_ms=1, longest_retry_ms=5))
        reading = asyncio.create_task(collect(reader, items))
        for number in range(3, 20):
            await wait_until(lambda number=number: reader.position == number)  # type: ignore[misc]
            case.taps.break_streams()
            case.taps.add(packet(number))
        case.taps.end(track_stream_pb2.STREAM_END_REASON_MOVED)
        await reading
        assert numbers(items) == list(range(1, 20))
        assert items[-1] == ReadEnded(ReadEnd.MOVED)

    async def test_a_tap_can_be_updated_and_removed(self, case: Case) -> None:
        reader = case.reader()
        reading = asyncio.create_task(collect(reader, []))
        await wait_until(lambda: reader.position == 3)
        reader.request_keyframe()
        reader.set_demand(sfu_pb2.TapDemand(max_width=640, max_height=360))
        await wait_until(lambda: case.taps.keyframe_requests == 1 and case.taps.demand.max_width == 640)
        assert await reader.remove()
        assert case.taps.taps == {}
        assert await reader.remove()  # a second call has no effect
        await reading

    async def test_a_track_that_does_not_exist_is_refused_at_once(self, case: Case) -> None:
        del case.fake.taps[TRACK]
        with pytest.raises(RpcError) as refused:
            await collect(case.reader(), [])
        assert refused.value.code == ErrorCode.TRACK_NOT_FOUND

    async def test_a_restarted_node_no_longer_has_the_track(self, case: Case) -> None:
        items: list[Item] = []
        reader = case.reader(limits=ReadLimits(retry_ms=1))
        reading = asyncio.create_task(collect(reader, items))
        await wait_until(lambda: reader.position == 3)
        case.fake.rooms.clear()
        case.taps.break_streams()
        await reading
        assert items[-1] == ReadEnded(ReadEnd.GONE)

    async def test_a_position_that_was_not_read_cannot_be_acknowledged(self, case: Case) -> None:
        with pytest.raises(ValueError, match="position 9 was not read"):
            case.reader().acknowledge(9)


# Time


def in_virtual_time(test: Callable[[VirtualTimeLoop], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """A test whose sleeps pass at once."""

    def run() -> None:
        run_in_virtual_time(test)

    run.__name__ = test.__name__
    return run


@in_virtual_time
async def test_acknowledgements_are_joined(clock: VirtualTimeLoop) -> None:
    fake, taps = await sfu_with_track()
    reader = make_reader(MemorySfu({"here:1": fake}), clock)
    reading = asyncio.create_task(collect(reader, []))
    for number in range(3, 203):  # 100 batches a second, for two seconds
        await asyncio.sleep(0.01)
        taps.add(packet(number))
        await asyncio.sleep(0)
        reader.acknowledge(reader.position)
    await asyncio.sleep(1)
    assert taps.taps[TAP.name].acknowledged == reader.position == 203
    assert 4 <= len(fake.tap_updates) <= 7  # one in 500 ms
    reading.cancel()
    await reader.close()


@in_virtual_time
async def test_a_keyframe_is_requested_without_delay(clock: VirtualTimeLoop) -> None:
    fake, taps = await sfu_with_track()
    reader = make_reader(MemorySfu({"here:1": fake}), clock)
    reading = asyncio.create_task(collect(reader, []))
    await asyncio.sleep(0.1)
    reader.acknowledge(1)
    await asyncio.sleep(0.01)  # the next call that only acknowledges is due in 490 ms
    reader.acknowledge(2)
    reader.request_keyframe()
    await asyncio.sleep(0.01)
    assert (taps.keyframe_requests, taps.taps[TAP.name].acknowledged) == (1, 2)
    reading.cancel()
    await reader.close()


@in_virtual_time
async def test_an_acknowledgement_waits_for_a_node_that_does_not_answer(clock: VirtualTimeLoop) -> None:
    fake, taps = await sfu_with_track()
    nodes: dict[str, Any] = {"here:1": fake}
    reader = make_reader(MemorySfu(nodes), clock)
    reading = asyncio.create_task(collect(reader, []))
    await asyncio.sleep(0.1)
    del nodes["here:1"]
    reader.acknowledge(3)
    assert not await reader.flush(5_000)
    assert not await reader.remove()
    nodes["here:1"] = fake
    assert taps.taps[TAP.name].acknowledged == 0
    reading.cancel()
    await reader.close()


@in_virtual_time
async def test_an_acknowledgement_is_repeated_until_the_node_answers(clock: VirtualTimeLoop) -> None:
    fake, taps = await sfu_with_track()
    nodes: dict[str, Any] = {"here:1": fake}
    reader = make_reader(MemorySfu(nodes), clock)
    reading = asyncio.create_task(collect(reader, []))
    await asyncio.sleep(0.1)
    del nodes["here:1"]
    reader.acknowledge(3)
    reader.request_keyframe()
    await asyncio.sleep(4)
    nodes["here:1"] = fake
    await asyncio.sleep(2.5)  # the longest delay is 2 s
    assert (taps.taps[TAP.name].acknowledged, taps.keyframe_requests) == (3, 1)
    reading.cancel()
    await reader.close()


@in_virtual_time
async def test_a_node_that_stays_away_is_lost(clock: VirtualTimeLoop) -> None:
    fake, taps = await sfu_with_track()
    nodes: dict[str, Any] = {"here:1": fake}
    items: list[Item] = []
    reader = make_reader(MemorySfu(nodes), clock)
    reading = asyncio.create_task(collect(reader, items))
    await asyncio.sleep(30)
    for away_seconds in (50, 50):  # twice less than a minute is no loss
        del nodes["here:1"]
        taps.break_streams()
        await asyncio.sleep(away_seconds)
        assert not reading.done()
        nodes["here:1"] = fake
        await asyncio.sleep(5)
    del nodes["here:1"]
    taps.break_streams()
    began_ms = clock.monotonic_ms()
    await reading
    assert items[-1] == ReadEnded(ReadEnd.NODE_LOST)
    assert 60_000 <= clock.monotonic_ms() - began_ms <= 62_500
    await reader.close()


class Refusing(MemorySfu):
    """An SFU that refuses every stream with an error, and notes when it was asked."""

    def __init__(self, error: RpcError, clock: Clock, asked_ms: list[int]) -> None:
        super().__init__({})
        self._error = error
        self._clock = clock
        self._asked_ms = asked_ms

    async def stream_track(
        self, address: str, request: sfu_pb2.StreamTrackRequest
    ) -> AsyncGenerator[track_stream_pb2.StreamTrackResponse, None]:
        nothing: list[track_stream_pb2.StreamTrackResponse] = []
        for response in nothing:
            yield response
        self._asked_ms.append(self._clock.monotonic_ms())
        raise self._error


@in_virtual_time
async def test_a_node_is_tried_at_growing_intervals(clock: VirtualTimeLoop) -> None:
    tried_ms: list[int] = []
    items: list[Item] = []
    away = Refusing(RpcError(ErrorCode.SFU_UNREACHABLE, "away"), clock, tried_ms)
    await collect(make_reader(away, clock), items)
    assert items == [ReadEnded(ReadEnd.NODE_LOST)]
    gaps = [after - before for before, after in pairwise(tried_ms)]
    assert 50 <= gaps[0] <= 101
    assert all(1_000 <= gap <= 2_001 for gap in gaps[5:])
    assert len(set(gaps[5:])) > 1  # so that many readers do not come back in one moment


@in_virtual_time
async def test_a_busy_node_says_when_to_try_again(clock: VirtualTimeLoop) -> None:
    tried_ms: list[int] = []
    error = RpcError(ErrorCode.SERVICE_UNAVAILABLE, "busy", retry_after_ms=1_500)
    await collect(make_reader(Refusing(error, clock, tried_ms), clock), [])
    assert tried_ms[1] - tried_ms[0] >= 1_500


@in_virtual_time
async def test_without_a_name_nothing_is_acknowledged(clock: VirtualTimeLoop) -> None:
    fake, taps = await sfu_with_track()
    reader = make_reader(MemorySfu({"here:1": fake}), clock, TapOptions())
    items: list[Item] = []
    reading = asyncio.create_task(collect(reader, items))
    await asyncio.sleep(0.1)
    taps.add(packet(3))
    await asyncio.sleep(0.1)
    reader.acknowledge(0)
    for update in (reader.request_keyframe, lambda: reader.set_demand(sfu_pb2.TapDemand())):
        with pytest.raises(ValueError, match="no name"):
            update()
    taps.end(track_stream_pb2.STREAM_END_REASON_TRACK_ENDED)
    await reading
    assert (numbers(items), reader.position) == ([3], 0)
    assert (fake.tap_updates, taps.taps) == ([], {})
