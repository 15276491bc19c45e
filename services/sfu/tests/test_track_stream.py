"""StreamTrack over a real gRPC channel, with the memory engine."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from nexus.sfu.v1 import sfu_pb2
from nexus.sfu.v1 import track_stream_pb2 as ts
from nexus.types.v1 import error_pb2, media_pb2
from nexus_sfu.engine_port import TapOptions
from nexus_sfu.memory_engine import MemoryBatch
from nexus_testkit import wait_until

Running = Any
WireError = Callable[[grpc.aio.AioRpcError], error_pb2.Error]
OfferReader = Callable[[str], str]
CAMERA = 1


def packets(*numbers: int) -> MemoryBatch:
    records = [
        ts.StreamRecord(packet=ts.StreamPacket(sequence_number=n, payload=b"x" * 100)) for n in numbers
    ]
    return MemoryBatch(ts.StreamTrackResponse(records=records).SerializeToString(), packets=len(numbers))


async def started(running: Running, read_offer: OfferReader, **fields: Any) -> tuple[Any, Any, int]:
    """A publisher, a stream of its camera, and the tap in the engine."""
    joined = await running.join("alice", read_offer("chromium_join"))
    request = sfu_pb2.StreamTrackRequest(
        room=running.room, track_id=joined.participant.tracks[CAMERA].id, **fields
    )
    stream = running.stub.StreamTrack(request)
    await wait_until(lambda: running.engine.taps)
    (tap,) = running.engine.taps
    return joined, stream, tap


async def test_batches_pass_through_and_the_end_has_a_reason(
    running: Running, read_offer: OfferReader
) -> None:
    joined, stream, tap = await started(running, read_offer)
    running.engine.record(tap, packets(1, 2, 3))
    first = await stream.read()
    assert [r.packet.sequence_number for r in first.records] == [1, 2, 3]
    running.engine.record(tap, packets(4))
    assert (await stream.read()).records[0].packet.sequence_number == 4
    unpublish = sfu_pb2.UnpublishRequest(
        room=running.room,
        participant_id=joined.participant.id,
        track_ids=[joined.participant.tracks[CAMERA].id],
    )
    await running.stub.Unpublish(unpublish)
    last = await stream.read()
    assert last.records[0].end.reason == ts.STREAM_END_REASON_TRACK_ENDED
    assert await stream.read() == grpc.aio.EOF
    await wait_until(lambda: not running.engine.taps)


async def test_streams_end_with_the_participant_and_the_room(
    running: Running, read_offer: OfferReader
) -> None:
    joined, stream, _ = await started(running, read_offer)
    await running.join("bob", read_offer("firefox_join"))
    await running.stub.Leave(sfu_pb2.LeaveRequest(room=running.room, participant_id=joined.participant.id))
    assert (await stream.read()).records[0].end.reason == ts.STREAM_END_REASON_PARTICIPANT_LEFT
    await wait_until(lambda: not running.engine.taps)
    _, stream, _ = await started(running, read_offer)
    await running.stub.CloseRoom(sfu_pb2.CloseRoomRequest(room=running.room))
    assert (await stream.read()).records[0].end.reason == ts.STREAM_END_REASON_ROOM_CLOSED


async def test_lost_media_ends_the_stream(running: Running, read_offer: OfferReader) -> None:
    _, stream, _ = await started(running, read_offer)
    (transport,) = running.engine.transports
    running.engine.lose(transport, "consent_lost")
    reason = (await stream.read()).records[0].end.reason
    # The room may already be closed with its last participant.
    assert reason in (ts.STREAM_END_REASON_PARTICIPANT_LEFT, ts.STREAM_END_REASON_ROOM_CLOSED)


async def test_a_cancelled_stream_removes_its_tap(running: Running, read_offer: OfferReader) -> None:
    _, stream, tap = await started(running, read_offer)
    running.engine.record(tap, packets(1))
    await stream.read()
    stream.cancel()
    await wait_until(lambda: not running.engine.taps)
    assert running.service.streams.readers.count == 0


async def test_options_reach_the_engine_and_are_limited(
    running: Running, read_offer: OfferReader, wire_error: WireError
) -> None:
    joined, _, tap = await started(running, read_offer, patience_ms=2_000, buffer_bytes=1 << 20, batch_ms=5)
    assert running.engine.taps[tap].options == TapOptions(2_000, 5, 1 << 20)
    refusals: list[dict[str, Any]] = [{"patience_ms": 10_001}, {"buffer_bytes": 1_000}, {"batch_ms": 1_001}]
    for fields in refusals:
        request = sfu_pb2.StreamTrackRequest(
            room=running.room, track_id=joined.participant.tracks[CAMERA].id, **fields
        )
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await running.stub.StreamTrack(request).read()
        assert wire_error(refused.value).code == error_pb2.INVALID_ARGUMENT


async def test_unknown_rooms_and_tracks_are_refused(
    running: Running, read_offer: OfferReader, wire_error: WireError
) -> None:
    async def code_of(request: sfu_pb2.StreamTrackRequest) -> int:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await running.stub.StreamTrack(request).read()
        return wire_error(refused.value).code

    request = sfu_pb2.StreamTrackRequest(room=running.room, track_id="TR_nobody")
    assert await code_of(request) == error_pb2.ROOM_NOT_FOUND
    joined = await running.join("alice", read_offer("chromium_join"))
    assert await code_of(request) == error_pb2.TRACK_NOT_FOUND
    assert await code_of(sfu_pb2.StreamTrackRequest(track_id="TR_nobody")) == error_pb2.INVALID_ARGUMENT
    running.engine.refuse_tap = True
    request.track_id = joined.participant.tracks[CAMERA].id
    assert await code_of(request) == error_pb2.SERVICE_UNAVAILABLE


async def test_a_track_with_new_ssrcs_continues_the_stream(running: Running, read_offer: OfferReader) -> None:
    """New SSRCs are another track for the engine and the same stream for the reader."""
    joined, stream, tap = await started(running, read_offer)
    camera = joined.participant.tracks[CAMERA]
    sdp = read_offer("chromium_join")
    number = running.engine.taps[tap].track
    for ssrc in running.engine.tracks[number].ssrcs:
        sdp = sdp.replace(str(ssrc), str(ssrc ^ 0x55))
    publications = [
        media_pb2.Publication(mid="0", source=media_pb2.TRACK_SOURCE_MICROPHONE),
        media_pb2.Publication(mid="1", source=media_pb2.TRACK_SOURCE_CAMERA),
    ]
    offer = sfu_pb2.OfferRequest(
        room=running.room, participant_id=joined.participant.id, sdp=sdp, publications=publications
    )
    answered = await running.stub.Offer(offer)
    assert [t.id for t in answered.tracks][CAMERA] == camera.id
    await wait_until(lambda: any(t.track != number for t in running.engine.taps.values()))
    (tap,) = [i for i, t in running.engine.taps.items() if t.track != number]
    running.engine.record(tap, packets(9))
    assert (await stream.read()).records[0].packet.sequence_number == 9
