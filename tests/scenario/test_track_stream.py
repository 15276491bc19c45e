"""StreamTrack in a real room: a recorder can decode the streams of a participant's camera and microphone."""

import asyncio
from collections.abc import Iterator

import grpc
import pytest
from av import AudioFrame, CodecContext, Packet, VideoFrame
from dev_system import Development, development
from nexus.sfu.v1 import sfu_pb2, sfu_pb2_grpc, track_stream_pb2
from nexus.types.v1 import media_pb2
from nexus_cli import development as settings
from nexus_rtc import App, LocalTrack, NexusClient, mint_token
from nexus_rtc.synthetic import SyntheticCamera, SyntheticMicrophone, colour_of

APP = App(settings.KEY_ID, settings.SECRET)
COLOUR = (220, 30, 30)
PATIENCE_SECONDS = 90.0

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Development]:
    with development(tmp_path_factory.mktemp("dev")) as running:
        yield running


async def packets_of(
    stub: sfu_pb2_grpc.SfuServiceStub, room: sfu_pb2.RoomKey, track_id: str, count: int
) -> list[track_stream_pb2.StreamPacket]:
    """The first `count` packets; the first record must be the source."""
    records: list[track_stream_pb2.StreamRecord] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        stream = stub.StreamTrack(sfu_pb2.StreamTrackRequest(room=room, track_id=track_id))
        async for batch in stream:
            records += batch.records
            if sum(r.HasField("packet") for r in records) >= count:
                break
        stream.cancel()
    assert records[0].HasField("source")
    return [r.packet for r in records if r.HasField("packet")]


def without_vp8_descriptor(payload: bytes) -> bytes:
    """RFC 7741 section 4.2."""
    size = 1
    if payload[0] & 0x80:
        extensions = payload[1]
        size += 1
        if extensions & 0x80:
            size += 2 if payload[2] & 0x80 else 1
        size += bool(extensions & 0x40) + bool(extensions & 0x30)
    return payload[size:]


def pictures_of(packets: list[track_stream_pb2.StreamPacket]) -> list[VideoFrame]:
    decoder = CodecContext.create("vp8", "r")
    pictures: list[VideoFrame] = []
    frame = b""
    for packet in packets:
        frame += without_vp8_descriptor(packet.payload)
        if packet.marker:
            pictures += decoder.decode(Packet(frame))
            frame = b""
    return pictures


async def test_a_recorder_can_decode_both_tracks(dev: Development) -> None:
    camera = LocalTrack(SyntheticCamera(COLOUR, width=160, height=96, fps=10), width=160, height=96)
    microphone = LocalTrack(SyntheticMicrophone())
    token = mint_token(APP, room="recorded", identity="alice", grants=("create", "publish"))
    room = await NexusClient(server_url=dev.url, token=token, connect_seconds=60).join(
        tracks=(camera, microphone)
    )
    key = sfu_pb2.RoomKey(app=APP.key_id, room="recorded")
    async with grpc.aio.insecure_channel(dev.sfu) as channel:
        stub = sfu_pb2_grpc.SfuServiceStub(channel)
        there = await stub.GetRoom(sfu_pb2.GetRoomRequest(room=key))
        tracks = {t.kind: t.id for p in there.participants for t in p.tracks}
        video, audio = await asyncio.gather(
            packets_of(stub, key, tracks[media_pb2.TRACK_KIND_VIDEO], 30),
            packets_of(stub, key, tracks[media_pb2.TRACK_KIND_AUDIO], 100),
        )
        pictures = pictures_of(video)
        assert video[0].keyframe
        assert len(pictures) >= 10
        assert colour_of(pictures[-1]) == pytest.approx(COLOUR, abs=40)
        numbers = [p.sequence_number for p in audio]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        decoder = CodecContext.create("opus", "r")
        sound = [f for p in audio for f in decoder.decode(Packet(p.payload))]
        assert all(isinstance(f, AudioFrame) for f in sound)
        assert sum(f.samples for f in sound) >= 90 * 960
        # Both are on one timeline: the streams were requested together.
        assert abs(video[0].media_time_us - audio[0].media_time_us) < 5_000_000

        # The stream ends with the participant.
        request = sfu_pb2.StreamTrackRequest(room=key, track_id=tracks[media_pb2.TRACK_KIND_AUDIO])
        left = False
        last = track_stream_pb2.StreamRecord()
        async with asyncio.timeout(PATIENCE_SECONDS):
            async for batch in stub.StreamTrack(request):
                last = batch.records[-1]
                if not left:
                    left = True
                    await room.leave()
        assert last.end.reason in (
            track_stream_pb2.STREAM_END_REASON_PARTICIPANT_LEFT,
            track_stream_pb2.STREAM_END_REASON_ROOM_CLOSED,
        )


async def test_a_named_tap_outlives_its_readers(dev: Development) -> None:
    """Three readers of one name, each of which dies after it has acknowledged only a part, receive together
    what a second tap receives without interruption."""
    microphone = LocalTrack(SyntheticMicrophone())
    token = mint_token(APP, room="resumed", identity="alice", grants=("create", "publish"))
    room = await NexusClient(server_url=dev.url, token=token, connect_seconds=60).join(tracks=(microphone,))
    key = sfu_pb2.RoomKey(app=APP.key_id, room="resumed")
    async with grpc.aio.insecure_channel(dev.sfu) as channel:
        stub = sfu_pb2_grpc.SfuServiceStub(channel)
        there = await stub.GetRoom(sfu_pb2.GetRoomRequest(room=key))
        track_id = next(t.id for p in there.participants for t in p.tracks)
        witness: dict[int, bytes] = {}
        watching = asyncio.create_task(_watch(stub, key, track_id, witness))
        kept: dict[int, bytes] = {}
        position = 0
        for _ in range(3):
            position = await _read_and_die(stub, key, track_id, position, kept)
        await room.leave()
        ended = False
        async with asyncio.timeout(PATIENCE_SECONDS):
            request = sfu_pb2.StreamTrackRequest(
                room=key, track_id=track_id, tap="recorder", resume_after=position
            )
            async for batch in stub.StreamTrack(request):
                for record in batch.records:
                    assert not record.HasField("gap")
                    ended = record.HasField("end")
                    if record.HasField("packet"):
                        kept[record.packet.sequence_number] = record.packet.payload
            await watching
    assert ended
    numbers = sorted(kept)
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert {number: kept[number] for number in witness if number >= numbers[0]} == {
        number: payload for number, payload in witness.items() if number >= numbers[0]
    }
    assert numbers[-1] == max(witness)


async def _watch(
    stub: sfu_pb2_grpc.SfuServiceStub, key: sfu_pb2.RoomKey, track_id: str, seen: dict[int, bytes]
) -> None:
    async for batch in stub.StreamTrack(sfu_pb2.StreamTrackRequest(room=key, track_id=track_id)):
        for record in batch.records:
            if record.HasField("packet"):
                seen[record.packet.sequence_number] = record.packet.payload


async def _read_and_die(
    stub: sfu_pb2_grpc.SfuServiceStub,
    key: sfu_pb2.RoomKey,
    track_id: str,
    after: int,
    kept: dict[int, bytes],
) -> int:
    """Reads about two seconds, keeps and acknowledges the first half, and drops the rest. Returns the
    acknowledged position."""
    request = sfu_pb2.StreamTrackRequest(room=key, track_id=track_id, tap="recorder", resume_after=after)
    stream = stub.StreamTrack(request)
    packets: dict[int, bytes] = {}
    acknowledged = after
    async with asyncio.timeout(PATIENCE_SECONDS):
        first = True
        async for batch in stream:
            assert not first or batch.records[0].HasField("source")
            first = False
            for record in batch.records:
                if record.HasField("packet"):
                    packets[record.packet.sequence_number] = record.packet.payload
            if acknowledged == after and len(packets) >= 50:
                acknowledged = batch.position
                kept.update(packets)
                update = sfu_pb2.UpdateTapRequest(
                    room=key, track_id=track_id, tap="recorder", acknowledged=acknowledged
                )
                await stub.UpdateTap(update)
            if len(packets) >= 100:
                break
    stream.cancel()
    return acknowledged
