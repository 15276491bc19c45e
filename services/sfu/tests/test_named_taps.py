"""Named taps over a real gRPC channel, with the memory engine: they outlive their readers and their track."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from nexus.sfu.v1 import sfu_pb2
from nexus.sfu.v1 import track_stream_pb2 as ts
from nexus.types.v1 import error_pb2, media_pb2
from nexus_sfu.engine_port import TapDemand
from nexus_sfu.memory_engine import MemoryBatch
from nexus_sfu.named_taps import MAX_NAMED_TAPS
from nexus_testkit import wait_until

Running = Any
WireError = Callable[[grpc.aio.AioRpcError], error_pb2.Error]
OfferReader = Callable[[str], str]
CAMERA = 1
NAME = "RC_1"


def packets(*numbers: int) -> MemoryBatch:
    records = [ts.StreamRecord(packet=ts.StreamPacket(sequence_number=n, payload=b"x")) for n in numbers]
    return MemoryBatch(ts.StreamTrackResponse(records=records).SerializeToString(), packets=len(numbers))


def numbers(response: ts.StreamTrackResponse) -> list[int]:
    return [record.packet.sequence_number for record in response.records]


class Camera:
    """The camera of a participant, and its named tap."""

    def __init__(self, running: Running, joined: Any) -> None:
        self.running = running
        self.joined = joined
        self.track_id = joined.participant.tracks[CAMERA].id

    def stream(self, **fields: Any) -> Any:
        request = sfu_pb2.StreamTrackRequest(
            room=self.running.room, track_id=self.track_id, **{"tap": NAME, **fields}
        )
        return self.running.stub.StreamTrack(request)

    async def update(self, **fields: Any) -> sfu_pb2.UpdateTapResponse:
        request = sfu_pb2.UpdateTapRequest(
            room=self.running.room, track_id=self.track_id, **{"tap": NAME, **fields}
        )
        answer: sfu_pb2.UpdateTapResponse = await self.running.stub.UpdateTap(request)
        return answer

    async def opened(self) -> int:
        await wait_until(lambda: self.running.engine.taps)
        taps: dict[int, object] = self.running.engine.taps
        return next(iter(taps))


async def camera_of(running: Running, read_offer: OfferReader) -> Camera:
    return Camera(running, await running.join("alice", read_offer("chromium_join")))


async def test_a_reader_continues_where_the_last_one_had_stored(
    running: Running, read_offer: OfferReader
) -> None:
    camera = await camera_of(running, read_offer)
    first = camera.stream()
    tap = await camera.opened()
    running.engine.record(tap, packets(1, 2))
    assert (await first.read()).position == 2
    running.engine.record(tap, packets(3))
    assert (await first.read()).position == 3
    assert (await camera.update(acknowledged=2)).retained_records == 1
    first.cancel()
    running.engine.record(tap, packets(4, 5))
    second = camera.stream(resume_after=2)
    assert numbers(await second.read()) == [3]
    again = await second.read()
    assert numbers(again) == [4, 5]
    assert again.position == 5
    assert list(running.engine.taps) == [tap]


async def test_a_second_reader_takes_over(
    running: Running, read_offer: OfferReader, wire_error: WireError
) -> None:
    camera = await camera_of(running, read_offer)
    first = camera.stream()
    tap = await camera.opened()
    running.engine.record(tap, packets(1))
    await first.read()
    second = camera.stream()
    assert numbers(await second.read()) == [1]
    with pytest.raises(grpc.aio.AioRpcError) as taken:
        await first.read()
    assert wire_error(taken.value).code == error_pb2.TAP_TAKEN
    running.engine.record(tap, packets(2))
    assert numbers(await second.read()) == [2]


async def test_a_track_that_ends_without_a_reader_keeps_its_records_and_its_end(
    running: Running, read_offer: OfferReader, wire_error: WireError
) -> None:
    camera = await camera_of(running, read_offer)
    await running.join("bob", read_offer("firefox_join"))
    first = camera.stream()
    tap = await camera.opened()
    running.engine.record(tap, packets(1))
    await first.read()
    first.cancel()
    running.engine.record(tap, packets(2))
    leaving = sfu_pb2.LeaveRequest(room=running.room, participant_id=camera.joined.participant.id)
    await running.stub.Leave(leaving)
    await wait_until(lambda: running.engine.taps[tap].position == 3)
    second = camera.stream(resume_after=1)
    assert numbers(await second.read()) == [2]
    last = await second.read()
    assert last.records[0].end.reason == ts.STREAM_END_REASON_PARTICIPANT_LEFT
    assert await second.read() == grpc.aio.EOF
    await camera.update(acknowledged=last.position)
    running.service.streams.named.expire()
    assert running.engine.taps == {}
    with pytest.raises(grpc.aio.AioRpcError) as gone:
        await camera.update(acknowledged=1)
    assert wire_error(gone.value).code == error_pb2.TAP_NOT_FOUND


async def test_a_closed_room_still_answers_for_its_taps(running: Running, read_offer: OfferReader) -> None:
    camera = await camera_of(running, read_offer)
    first = camera.stream()
    tap = await camera.opened()
    running.engine.record(tap, packets(1))
    await first.read()
    first.cancel()
    await running.stub.CloseRoom(sfu_pb2.CloseRoomRequest(room=running.room))
    await wait_until(lambda: running.engine.taps[tap].ended)
    second = camera.stream(resume_after=1)
    assert (await second.read()).records[0].end.reason == ts.STREAM_END_REASON_ROOM_CLOSED


async def test_a_track_with_new_ssrcs_feeds_the_same_tap_without_a_reader(
    running: Running, read_offer: OfferReader
) -> None:
    camera = await camera_of(running, read_offer)
    first = camera.stream()
    tap = await camera.opened()
    running.engine.record(tap, packets(1))
    await first.read()
    first.cancel()
    before = running.engine.taps[tap].track
    sdp = read_offer("chromium_join")
    for ssrc in running.engine.tracks[before].ssrcs:
        sdp = sdp.replace(str(ssrc), str(ssrc ^ 0x55))
    publications = [
        media_pb2.Publication(mid="0", source=media_pb2.TRACK_SOURCE_MICROPHONE),
        media_pb2.Publication(mid="1", source=media_pb2.TRACK_SOURCE_CAMERA),
    ]
    await running.stub.Offer(
        sfu_pb2.OfferRequest(
            room=running.room,
            participant_id=camera.joined.participant.id,
            sdp=sdp,
            publications=publications,
        )
    )
    await wait_until(lambda: running.engine.taps[tap].track != before)
    assert not running.engine.taps[tap].ended
    running.engine.record(tap, packets(100))
    second = camera.stream(resume_after=1)
    after = await second.read()
    assert numbers(after) == [100]
    assert after.position == 2


async def test_a_tap_without_a_reader_is_freed_after_its_retention(
    running: Running, read_offer: OfferReader
) -> None:
    camera = await camera_of(running, read_offer)
    stream = camera.stream(retain_ms=1_000)
    tap = await camera.opened()
    running.engine.record(tap, packets(1))
    await stream.read()
    stream.cancel()
    named = running.service.streams.named
    (kept,) = named._taps.values()
    await wait_until(lambda: kept.unread_since_ms is not None)
    kept.unread_since_ms -= 900
    named.expire()
    assert tap in running.engine.taps
    kept.unread_since_ms -= 200
    named.expire()
    assert running.engine.taps == {}
    # The name begins again: positions continue, so that the reader can tell.
    camera.stream(resume_after=7)
    assert running.engine.taps[await camera.opened()].options.first_position == 7


async def test_the_demand_can_be_changed_and_a_keyframe_requested(
    running: Running, read_offer: OfferReader
) -> None:
    camera = await camera_of(running, read_offer)
    demand = sfu_pb2.TapDemand(keyframe_interval_ms=2_000, max_width=640, max_height=360)
    camera.stream(demand=demand)
    tap = running.engine.taps[await camera.opened()]
    assert tap.demand == TapDemand(2_000, 640, 360)
    await camera.update(demand=sfu_pb2.TapDemand(max_width=1_280, max_height=720), request_keyframe=True)
    assert tap.demand == TapDemand(0, 1_280, 720)
    assert tap.keyframes_requested == 1
    await camera.update(remove=True)
    assert running.engine.taps == {}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"retain_ms": 60_001}, "retain_ms"),
        ({"tap": "x" * 129}, "tap"),
        ({"demand": sfu_pb2.TapDemand(keyframe_interval_ms=100)}, "keyframe_interval_ms"),
        ({"demand": sfu_pb2.TapDemand(max_width=70_000)}, "max_width"),
    ],
)
async def test_options_out_of_range_are_refused(
    running: Running, read_offer: OfferReader, wire_error: WireError, fields: dict[str, Any], field: str
) -> None:
    camera = await camera_of(running, read_offer)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await camera.stream(**fields).read()
    error = wire_error(refused.value)
    assert error.code == error_pb2.INVALID_ARGUMENT
    assert error.details["field"] == field
    assert running.engine.taps == {}


async def test_a_track_has_a_bounded_number_of_names(
    running: Running, read_offer: OfferReader, wire_error: WireError
) -> None:
    camera = await camera_of(running, read_offer)
    streams = [camera.stream(tap=f"tap-{number}") for number in range(MAX_NAMED_TAPS)]
    await wait_until(lambda: len(running.engine.taps) == len(streams))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await camera.stream(tap="one-too-many").read()
    assert wire_error(refused.value).code == error_pb2.SERVICE_UNAVAILABLE
