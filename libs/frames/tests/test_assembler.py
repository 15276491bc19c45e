"""Frames from packets of real encoders, and what becomes of losses and of payloads that no decoder takes."""

import base64
import json
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import pytest
from av import CodecContext, Packet
from av.video.codeccontext import VideoCodecContext
from nexus.sfu.v1 import track_stream_pb2 as pb
from nexus_frames import (
    AudioFormat,
    Codec,
    EndReason,
    Frame,
    FrameAssembler,
    Gap,
    GapReason,
    Mute,
    Orientation,
    SourceChange,
    StreamEnd,
    StreamEvent,
    Undecodable,
    UndecodableReason,
    VideoFormat,
)
from nexus_frames.assembler import MAX_FRAME_PACKETS
from nexus_frames.testing import Encoded, TrackWriter, encode_sound, encode_video, packetize

VIDEO = (Codec.VP8, Codec.VP9, Codec.H264, Codec.AV1)
START_US = 1_700_000_000_000_000
FRAME_US = 33_333
DECODERS = {Codec.VP8: "vp8", Codec.VP9: "vp9", Codec.H264: "h264", Codec.AV1: "libdav1d"}
START_CODE = b"\0\0\0\1"
T = TypeVar("T", bound=StreamEvent)


def of(kind: type[T], events: Iterable[StreamEvent]) -> list[T]:
    return [event for event in events if isinstance(event, kind)]


def written(codec: Codec, frames: Iterable[Encoded]) -> TrackWriter:
    writer = TrackWriter(codec)
    writer.source()
    for number, frame in enumerate(frames):
        writer.frame(frame.data, START_US + number * FRAME_US, keyframe=frame.keyframe)
    return writer


def units_of(access_unit: bytes) -> list[bytes]:
    return [unit for unit in access_unit.replace(START_CODE, b"\0\0\1").split(b"\0\0\1") if unit]


def decoded_sizes(codec: Codec, frames: Iterable[Frame]) -> list[tuple[int, int]]:
    decoder = CodecContext.create(DECODERS[codec], "r")
    assert isinstance(decoder, VideoCodecContext)
    decoder.thread_count = 1
    pictures = [picture for frame in frames for picture in decoder.decode(Packet(frame.data))]
    pictures += decoder.decode(None)
    return [(picture.width, picture.height) for picture in pictures]


@pytest.mark.parametrize("codec", VIDEO)
def test_frames_of_a_real_encoder_decode(codec: Codec) -> None:
    encoded = encode_video(codec, 40)
    assembler = FrameAssembler()
    events = assembler.add(written(codec, encoded).take())
    assert events[0] == SourceChange(codec, 96, 90_000, 1)
    frames = of(Frame, events)
    assert [frame.keyframe for frame in frames] == [frame.keyframe for frame in encoded]
    assert [frame.media_time_us for frame in frames] == [START_US + i * FRAME_US for i in range(40)]
    assert {frame.duration_us for frame in frames} == {None, FRAME_US}
    assert frames[0].first_sequence_number == 65_530
    for before, after in pairwise(frames):
        assert after.first_sequence_number == before.last_sequence_number + 1
    described = frames[-1].format
    assert isinstance(described, VideoFormat)
    assert (described.codec, described.width, described.height) == (codec, 160, 96)
    assert bool(described.configuration) == (codec in (Codec.H264, Codec.AV1))
    assert decoded_sizes(codec, frames) == [(160, 96)] * 40
    assert assembler.counters.frames == 40
    assert not any(frame.follows_loss for frame in frames)


@pytest.mark.parametrize("codec", VIDEO)
def test_another_size_is_another_format(codec: Codec) -> None:
    small, large = encode_video(codec, 3), encode_video(codec, 3, width=320, height=192)
    frames = of(Frame, FrameAssembler().add(written(codec, [*small, *large]).take()))
    sizes = [(f.format.width, f.format.height) for f in frames if isinstance(f.format, VideoFormat)]
    assert sizes == [(160, 96)] * 3 + [(320, 192)] * 3
    assert decoded_sizes(codec, frames) == sizes


@pytest.mark.parametrize("codec", VIDEO)
@pytest.mark.parametrize("lost", [0, -1])
def test_a_lost_packet_drops_frames_until_a_keyframe(codec: Codec, lost: int) -> None:
    encoded = encode_video(codec, 40)
    writer = TrackWriter(codec, limit=20)
    writer.source()
    for number, frame in enumerate(encoded):
        count = len(packetize(codec, frame.data, frame.keyframe, 20))
        lose = [lost % count] if number == 10 else []
        assert count > 1
        writer.frame(frame.data, START_US + number * FRAME_US, keyframe=frame.keyframe, lose=lose)
    assembler = FrameAssembler()
    events = assembler.add(writer.take())
    frames = of(Frame, events)
    assert len(frames) == 10 + 10  # up to the loss, and from the keyframe 30 on
    assert frames[10].keyframe
    assert frames[10].follows_loss
    assert decoded_sizes(codec, frames) == [(160, 96)] * 20
    assert [gap.reason for gap in of(Gap, events)] == [GapReason.LOST]
    counters = assembler.counters
    # Behind a lost last packet, the next frame may lack its start.
    assert counters.incomplete == (1 if lost == 0 else 2)
    assert counters.incomplete + counters.awaiting_keyframe == 20


def test_a_frame_without_a_marker_ends_where_the_time_changes() -> None:
    encoded = encode_video(Codec.VP8, 5)
    writer = written(Codec.VP8, encoded)
    for record in writer.records[1:]:
        record.packet.marker = False
    frames = of(Frame, FrameAssembler().add(writer.take()))
    assert [frame.data for frame in frames] == [frame.data for frame in encoded[:4]]


def test_a_batch_may_end_within_a_frame() -> None:
    encoded = encode_video(Codec.VP8, 4, width=640, height=384, bitrate_bps=4_000_000)
    writer = written(Codec.VP8, encoded)
    records = writer.records
    whole = FrameAssembler().add(writer.take())
    assembler = FrameAssembler()
    events: list[StreamEvent] = []
    held = []
    for record in records:
        events += assembler.add(pb.StreamTrackResponse(records=[record]))
        held.append(assembler.held_records)
    assert events == whole
    assert held[0] == 0  # the source
    assert held[1:4] == [1, 2, 3]
    assert held[-1] == 0


@pytest.mark.parametrize("codec", VIDEO)
def test_a_stream_continues_behind_an_acknowledged_position(codec: Codec) -> None:
    encoded = encode_video(codec, 20, width=640, height=384, bitrate_bps=4_000_000)
    records = written(codec, encoded).records
    whole = of(Frame, FrameAssembler().add(pb.StreamTrackResponse(records=records)))
    cut = len(records) // 2 + 1
    first = FrameAssembler()
    frames = of(Frame, first.add(pb.StreamTrackResponse(records=records[:cut])))
    second = FrameAssembler(resume=first.state)
    frames += of(Frame, second.add(pb.StreamTrackResponse(records=records[cut - first.held_records :])))
    assert [(f.data, f.format, f.keyframe) for f in frames] == [(f.data, f.format, f.keyframe) for f in whole]


def test_a_mute_is_an_event_and_video_begins_again() -> None:
    encoded = encode_video(Codec.VP8, 40)
    writer = written(Codec.VP8, encoded[:10])
    writer.mute(True, START_US + 10 * FRAME_US)
    writer.mute(False, START_US + 20 * FRAME_US)
    writer.frame(encoded[20].data, START_US + 20 * FRAME_US)
    writer.frame(encoded[30].data, START_US + 30 * FRAME_US, keyframe=True)
    writer.end()
    assembler = FrameAssembler()
    events = assembler.add(writer.take())
    assert [event.muted for event in of(Mute, events)] == [True, False]
    assert len(of(Frame, events)) == 11
    assert assembler.counters.awaiting_keyframe == 1
    assert events[-1] == StreamEnd(EndReason.TRACK_ENDED)


def test_another_source_begins_with_its_own_configuration() -> None:
    first, second = encode_video(Codec.H264, 3), encode_video(Codec.VP8, 3)
    writer = written(Codec.H264, first)
    writer.source(codec=Codec.VP8, ssrc=2)
    for number, frame in enumerate(second):
        writer.frame(frame.data, START_US + (3 + number) * FRAME_US, keyframe=frame.keyframe)
    events = FrameAssembler().add(writer.take())
    assert [source.codec for source in of(SourceChange, events)] == [Codec.H264, Codec.VP8]
    assert [frame.format.codec for frame in of(Frame, events)] == [Codec.H264] * 3 + [Codec.VP8] * 3
    assert of(Frame, events)[-1].format == VideoFormat(Codec.VP8, 160, 96)


def test_parameter_sets_that_are_sent_once_are_in_every_keyframe() -> None:
    encoded = encode_video(Codec.H264, 20, keyframe_every=10)
    bare = b"".join(START_CODE + unit for unit in units_of(encoded[10].data) if unit[0] & 31 == 5)
    writer = written(Codec.H264, [*encoded[:10], Encoded(bare, False), *encoded[11:]])
    frames = of(Frame, FrameAssembler().add(writer.take()))
    assert frames[10].keyframe
    assert isinstance(frames[10].format, VideoFormat)
    assert frames[10].data.startswith(frames[10].format.configuration)
    assert decoded_sizes(Codec.H264, frames) == [(160, 96)] * 20


def test_parameter_sets_in_a_packet_of_their_own_belong_to_the_keyframe() -> None:
    (key, *_) = encode_video(Codec.H264, 1)
    units = units_of(key.data)
    sets = b"".join(START_CODE + unit for unit in units if unit[0] & 31 in (7, 8))
    picture = b"".join(START_CODE + unit for unit in units if unit[0] & 31 == 5)
    writer = TrackWriter(Codec.H264)
    writer.source()
    writer.frame(sets, START_US, keyframe=True)  # with a marker
    writer.frame(picture, START_US)
    (frame,) = of(Frame, FrameAssembler().add(writer.take()))
    assert frame.keyframe
    assert decoded_sizes(Codec.H264, [frame]) == [(160, 96)]


def test_the_spatial_layers_of_vp9_are_a_superframe_that_ffmpeg_decodes() -> None:
    """Two frames of a plain stream stand for two layers. Without an index FFmpeg decodes only the first."""
    encoded = encode_video(Codec.VP9, 20)
    writer = TrackWriter(Codec.VP9)
    writer.source()
    for number in range(0, 20, 2):
        pair = [encoded[number].data, encoded[number + 1].data]
        writer.frame(pair, START_US + number * FRAME_US, keyframe=encoded[number].keyframe)
    frames = of(Frame, FrameAssembler().add(writer.take()))
    assert len(frames) == 10
    assert isinstance(frames[0].format, VideoFormat)
    assert frames[0].format.spatial_layers == 2
    decoder = CodecContext.create("vp9", "r")
    assert isinstance(decoder, VideoCodecContext)
    pictures = [picture for frame in frames for picture in decoder.decode(Packet(frame.data))]
    assert len(pictures + decoder.decode(None)) == 20


def svc_pictures() -> list[list[bytes]]:
    """Pictures of a real encoder, each with the frames of its spatial layers."""
    path = Path(__file__).parent / "data" / "vp9_svc.json"
    pictures = json.loads(path.read_text())["pictures"]
    return [[base64.b64decode(layer) for layer in picture] for picture in pictures]


def decoded_pictures(name: str, frames: Iterable[bytes]) -> list[tuple[int, int, bytes]]:
    decoder = CodecContext.create(name, "r")
    assert isinstance(decoder, VideoCodecContext)
    decoder.thread_count = 1
    pictures = [picture for frame in frames for picture in decoder.decode(Packet(frame))]
    pictures += decoder.decode(None)
    return [(p.width, p.height, p.to_ndarray().tobytes()) for p in pictures]


def test_only_the_highest_spatial_layer_of_vp9_is_shown() -> None:
    """Chromium marks every layer as shown. FFmpeg would show each; libvpx, the decoder of calls, the last."""
    pictures = svc_pictures()
    assert {len(layers) for layers in pictures} == {2}
    writer = TrackWriter(Codec.VP9)
    writer.source()
    for number, layers in enumerate(pictures):
        writer.frame(layers, number * FRAME_US, keyframe=number == 0)
    frames = of(Frame, FrameAssembler().add(writer.take()))
    shown = decoded_pictures("vp9", [frame.data for frame in frames])
    assert [picture[:2] for picture in shown] == [(640, 360)] * len(pictures)
    # The same pictures as those of the layers as they were sent.
    sent = decoded_pictures("vp9", [layer for layers in pictures for layer in layers])
    assert shown == sent[1::2]
    assert shown == decoded_pictures("libvpx-vp9", [frame.data for frame in frames])


def test_a_layer_that_is_added_between_keyframes_changes_the_size() -> None:
    pictures = svc_pictures()
    writer = TrackWriter(Codec.VP9)
    writer.source()
    writer.frame(pictures[0][0], 0, keyframe=True)
    writer.frame(pictures[0], FRAME_US)
    writer.frame(pictures[1], 2 * FRAME_US)
    formats = [frame.format for frame in of(Frame, FrameAssembler().add(writer.take()))]
    low = VideoFormat(Codec.VP9, 320, 180)
    high = VideoFormat(Codec.VP9, 640, 360, spatial_layers=2)
    assert formats == [low, high, high]


def test_orientation_of_the_last_packet_is_the_frames() -> None:
    encoded = encode_video(Codec.VP8, 4)
    writer = TrackWriter(Codec.VP8)
    writer.source()
    for number, orientation in enumerate((1, None, 6, 0)):
        frame = encoded[number]
        writer.frame(frame.data, number * FRAME_US, keyframe=frame.keyframe, orientation=orientation)
    formats = [frame.format for frame in of(Frame, FrameAssembler().add(writer.take()))]
    assert [f.orientation for f in formats if isinstance(f, VideoFormat)] == [
        Orientation(90),
        Orientation(90),
        Orientation(180, flipped=True),
        Orientation(0),
    ]


def test_opus_packets_are_frames_with_their_durations() -> None:
    sounds = encode_sound(10)
    writer = TrackWriter(Codec.OPUS)
    writer.source()
    for number, sound in enumerate(sounds):
        writer.frame(sound, START_US + number * 20_000)
    writer.records[1].packet.audio_level = 37
    writer.gap(1)
    writer.frame(sounds[0], START_US + 220_000)
    events = FrameAssembler().add(writer.take())
    frames = of(Frame, events)
    assert [frame.data for frame in frames[:10]] == list(sounds)
    assert {frame.duration_us for frame in frames} == {20_000}
    assert frames[0].format == AudioFormat()
    assert (frames[0].audio_level, frames[1].audio_level) == (37, None)
    assert frames[-1].follows_loss
    assert of(Gap, events)[0].first_sequence_number == 65_540


class Reversed:
    """A cipher that a test can undo."""

    def transform(self, codec: Codec, keyframe: bool, data: bytes) -> bytes | None:
        return data[::-1] if data else None


class Refusing:
    def transform(self, codec: Codec, keyframe: bool, data: bytes) -> bytes | None:
        return None


def test_a_transform_sees_each_frame_before_it_is_read() -> None:
    encoded = encode_video(Codec.VP8, 5)
    writer = written(Codec.VP8, [Encoded(frame.data[::-1], frame.keyframe) for frame in encoded])
    batch = writer.take()
    frames = of(Frame, FrameAssembler(Reversed()).add(batch))
    assert [frame.data for frame in frames] == [frame.data for frame in encoded]
    assembler = FrameAssembler()
    events = assembler.add(batch)
    assert not of(Frame, events)
    assert [event.reason for event in of(Undecodable, events)] == [UndecodableReason.BITSTREAM]
    assembler = FrameAssembler(Refusing())
    assert of(Undecodable, assembler.add(batch))[0].reason is UndecodableReason.TRANSFORM


@pytest.mark.parametrize("codec", VIDEO)
def test_garbage_is_undecodable_and_the_stream_goes_on(codec: Codec) -> None:
    encoded = encode_video(codec, 3)
    writer = TrackWriter(codec)
    writer.source()
    garbage = {Codec.VP8: b"\x10", Codec.VP9: b"\x8c\x01", Codec.H264: b"\x65", Codec.AV1: b"\x18\xb0"}
    for number in range(3):
        writer.codec = Codec.OPUS  # the payload as it is
        writer.frame(garbage[codec] + b"\xff" * 40, number * FRAME_US, keyframe=True)
        writer.records[-1].packet.marker = True
    writer.codec = codec
    for number, frame in enumerate(encoded):
        writer.frame(frame.data, START_US + number * FRAME_US, keyframe=frame.keyframe)
    assembler = FrameAssembler()
    events = assembler.add(writer.take())
    assert len(of(Undecodable, events)) == 1  # reported once
    assert assembler.counters.undecodable.total() == 3
    assert len(of(Frame, events)) == 3


def test_a_keyframe_without_parameter_sets_is_undecodable() -> None:
    writer = TrackWriter(Codec.H264)
    writer.source()
    writer.frame(b"\x00\x00\x01\x65\x88\x84", START_US, keyframe=True)
    events = FrameAssembler().add(writer.take())
    assert [event.reason for event in of(Undecodable, events)] == [UndecodableReason.CONFIGURATION]


def test_a_frame_of_too_many_packets_costs_no_more_than_the_bound() -> None:
    assembler = FrameAssembler()
    writer = written(Codec.VP8, encode_video(Codec.VP8, 1))
    assembler.add(writer.take())
    packet = pb.StreamPacket(rtp_timestamp=7, payload=b"\x10x", media_time_us=1)
    batch = pb.StreamTrackResponse(records=[pb.StreamRecord(packet=packet)] * (MAX_FRAME_PACKETS + 10))
    assert assembler.add(batch) == []
    assert len(assembler._parts) == MAX_FRAME_PACKETS
    packet.marker = True
    events = assembler.add(pb.StreamTrackResponse(records=[pb.StreamRecord(packet=packet)]))
    assert [event.reason for event in of(Undecodable, events)] == [UndecodableReason.SIZE]


def test_an_unknown_codec_and_unknown_records_do_not_end_the_stream() -> None:
    writer = TrackWriter(Codec.VP8)
    writer.source()
    writer.records[0].source.codec = 99  # type: ignore[assignment]
    writer.frame(b"abc", START_US, keyframe=True)
    writer.records.append(pb.StreamRecord())
    assembler = FrameAssembler()
    events = assembler.add(writer.take())
    assert [event.reason for event in of(Undecodable, events)] == [UndecodableReason.CODEC]
    assert assembler.counters.unknown_records == 1


def test_reasons_of_a_later_version_are_unspecified() -> None:
    batch = pb.StreamTrackResponse()
    batch.records.add().gap.reason = 77  # type: ignore[assignment]
    batch.records.add().end.reason = 77  # type: ignore[assignment]
    assert [event.reason for event in FrameAssembler().add(batch) if isinstance(event, Gap | StreamEnd)] == [
        GapReason.UNSPECIFIED,
        EndReason.UNSPECIFIED,
    ]
