"""Segments of real frames, decoded by `ffmpeg`: whole, cut at each fragment, and cut within one."""

import io
from itertools import pairwise
from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nexus_frames import AudioFormat, Codec, Frame, Orientation, VideoFormat
from nexus_frames.mux import (
    AudioTimeline,
    Container,
    Fragment,
    FrameDoesNotFit,
    Mismatch,
    Segment,
    SegmentWriter,
    UnsupportedContainer,
    container_for,
    make_file,
    playable_size,
)
from nexus_frames.testing import decode, sound_frames, video_frames

ORIGIN_US = 1_700_000_000_000_000
FRAME_US = 33_333
START_US = 5_000_000
"""Where the segments begin in the recording."""
VIDEO = [
    (Codec.VP8, Container.WEBM),
    (Codec.VP9, Container.MP4),
    (Codec.VP9, Container.WEBM),
    (Codec.H264, Container.MP4),
    (Codec.AV1, Container.MP4),
    (Codec.AV1, Container.WEBM),
]


def times(count: int, step_us: int = FRAME_US, start_us: int = START_US) -> list[int]:
    return [ORIGIN_US + start_us + number * step_us for number in range(count)]


def video_format(frame: Frame) -> VideoFormat:
    assert isinstance(frame.format, VideoFormat)
    return frame.format


def write(writer: SegmentWriter, frames: list[Frame]) -> list[Fragment]:
    return [fragment for frame in frames if (fragment := writer.write(frame)) is not None]


def segment(
    container: Container, frames: list[Frame], end_us: int | None = None
) -> tuple[bytes, list[Fragment]]:
    sink = io.BytesIO()
    writer = SegmentWriter(sink, container, origin_us=ORIGIN_US, video=video_format(frames[0]))
    fragments = write(writer, frames)
    last = writer.close(end_us)
    assert last is not None
    assert writer.size == len(sink.getvalue()) == sum(f.size for f in [*fragments, last])
    return sink.getvalue(), [*fragments, last]


@pytest.mark.parametrize(("codec", "container"), VIDEO)
def test_a_segment_decodes_at_the_times_of_its_frames(
    codec: Codec, container: Container, tmp_path: Path
) -> None:
    frames = video_frames(codec, times(150))
    data, fragments = segment(container, frames)
    path = tmp_path / f"segment.{container.extension}"
    path.write_bytes(data)
    decoded = decode(path)
    assert decoded.errors == ""
    expected = [(frame.media_time_us - ORIGIN_US) / 1e6 for frame in frames]
    assert decoded.video_times == pytest.approx(expected, abs=0.0011)
    assert len(fragments) >= 3
    ends = [START_US, *(fragment.end_us for fragment in fragments)]
    assert all(0 < end - start <= 2_000_000 + FRAME_US for start, end in pairwise(ends))
    with av.open(str(path)) as opened:
        (stream,) = opened.streams
        assert isinstance(stream, av.VideoStream)
        assert (stream.codec_context.width, stream.codec_context.height) == (160, 96)


@pytest.mark.parametrize(("codec", "container"), VIDEO)
def test_a_prefix_plays_up_to_its_last_fragment(codec: Codec, container: Container, tmp_path: Path) -> None:
    frames = video_frames(codec, times(150))
    data, fragments = segment(container, frames)
    size = 0
    for number, fragment in enumerate(fragments):
        size += fragment.size
        within = [frame for frame in frames if frame.media_time_us - ORIGIN_US < fragment.end_us]
        path = tmp_path / f"{number}.{container.extension}"
        path.write_bytes(data[:size])
        decoded = decode(path)
        assert decoded.errors == ""
        assert len(decoded.video_times) == len(within)
        # The machine died within the next fragment, in its head or in its data.
        for more in (3, 300, 1_000):
            cut = io.BytesIO(data[: size + more])
            assert playable_size(cut, container) == min(size, len(cut.getvalue()))


def test_nothing_is_playable_before_the_first_fragment() -> None:
    for codec, container in (VIDEO[0], VIDEO[3]):
        data, fragments = segment(container, video_frames(codec, times(150)))
        for size in (0, 1, 5, 100, fragments[0].size - 1):
            assert playable_size(io.BytesIO(data[:size]), container) == 0


@given(st.binary(max_size=64), st.sampled_from(Container))
def test_any_bytes_have_a_playable_size(data: bytes, container: Container) -> None:
    assert 0 <= playable_size(io.BytesIO(data), container) <= len(data)


def test_audio_is_written_as_it_was_sent(tmp_path: Path) -> None:
    frames = sound_frames(times(250, 20_000))
    sink = io.BytesIO()
    writer = SegmentWriter(sink, Container.MP4, origin_us=ORIGIN_US, audio=AudioFormat())
    fragments = write(writer, frames)
    writer.close()
    path = tmp_path / "sound.mp4"
    path.write_bytes(sink.getvalue())
    decoded = decode(path)
    assert decoded.errors == ""
    assert decoded.audio_samples == 250 * 960
    assert decoded.audio_start == pytest.approx(START_US / 1e6)
    assert [fragment.audio_end_us for fragment in fragments] == [7_000_000, 9_000_000]


@pytest.mark.parametrize("container", [Container.MP4, Container.WEBM])
def test_video_and_audio_of_two_taps_are_interleaved_by_time(container: Container, tmp_path: Path) -> None:
    codec = Codec.H264 if container is Container.MP4 else Codec.VP8
    video, audio = video_frames(codec, times(120)), sound_frames(times(200, 20_000))
    sink = io.BytesIO()
    writer = SegmentWriter(
        sink, container, origin_us=ORIGIN_US, video=video_format(video[0]), audio=AudioFormat()
    )
    fragments = []
    # The taps deliver half a second each, in turns.
    for half in range(8):
        fragments += write(writer, video[half * 15 : half * 15 + 15])
        fragments += write(writer, audio[half * 25 : half * 25 + 25])
    fragments.append(last := writer.close())  # type: ignore[arg-type]
    assert last is not None
    path = tmp_path / f"both.{container.extension}"
    path.write_bytes(sink.getvalue())
    decoded = decode(path)
    assert decoded.errors == ""
    assert len(decoded.video_times) == 120
    assert decoded.audio_samples == 200 * 960
    with av.open(str(path)) as opened:
        found = [float(packet.pts * packet.time_base) for packet in opened.demux() if packet.pts is not None]
    # Each fragment has its video and its audio, so times go back by at most one fragment.
    assert max(before - after for before, after in pairwise(found)) <= 2.1
    # The file has all that a fragment promises.
    size = 0
    for number, fragment in enumerate(fragments):
        size += fragment.size
        path = tmp_path / f"cut{number}.{container.extension}"
        path.write_bytes(sink.getvalue()[:size])
        decoded = decode(path)
        promised = [f for f in video if f.media_time_us - ORIGIN_US < fragment.video_end_us]
        assert len(decoded.video_times) >= len(promised)
        assert decoded.audio_samples >= (fragment.audio_end_us - START_US) * 48 // 1000


@pytest.mark.parametrize(("codec", "container"), VIDEO)
def test_a_segment_may_begin_between_keyframes(codec: Codec, container: Container, tmp_path: Path) -> None:
    """It continues the one before it, and has the configuration."""
    frames = video_frames(codec, times(60, start_us=0))
    first, _ = segment(container, frames[:40])
    second, _ = segment(container, frames[40:])
    pictures = 0
    decoder = None
    for data in (first, second):
        with av.open(io.BytesIO(data), "r") as opened:
            decoder = decoder or opened.streams.video[0].codec_context
            for packet in opened.demux(video=0):
                if packet.size:
                    pictures += len(decoder.decode(packet))
    assert decoder is not None
    assert pictures + len(decoder.decode(None)) == 60


@pytest.mark.parametrize(("codec", "container"), VIDEO)
def test_the_size_may_change_within_a_segment(codec: Codec, container: Container, tmp_path: Path) -> None:
    small = video_frames(codec, times(30))
    large = video_frames(codec, times(30, start_us=START_US + 1_000_000), width=320, height=192)
    data, _ = segment(container, [*small, *large])
    path = tmp_path / f"sizes.{container.extension}"
    path.write_bytes(data)
    assert decode(path).errors == ""
    with av.open(str(path)) as opened:
        sizes = [(picture.width, picture.height) for picture in opened.decode(video=0)]
    assert sizes == [(160, 96)] * 30 + [(320, 192)] * 30


@pytest.mark.parametrize(("codec", "container"), [VIDEO[0], VIDEO[3]])
@pytest.mark.parametrize("byte", range(8))
def test_the_orientation_is_in_the_header(
    codec: Codec, container: Container, byte: int, tmp_path: Path
) -> None:
    frames = video_frames(codec, times(2), orientation=byte)
    assert video_format(frames[0]).orientation == Orientation.from_byte(byte)
    data, _ = segment(container, frames)
    path = tmp_path / f"turned.{container.extension}"
    path.write_bytes(data)
    with av.open(str(path)) as opened:
        picture = next(opened.decode(video=0))
    if byte < 4:
        assert picture.rotation % 360 == -90 * byte % 360  # counter-clockwise
    elif container is Container.MP4:
        assert matrix_of(data) == MIRRORED[byte & 3]


# a b c d of the matrix in `tkhd` (ISO/IEC 14496-12 section 8.3.2): x' = a x + c y, y' = b x + d y. A
# picture is mirrored first, x' = -x, and then turned clockwise (y points down).
MIRRORED = [(-1, 0, 0, 1), (0, -1, -1, 0), (1, 0, 0, -1), (0, 1, 1, 0)]


def matrix_of(data: bytes) -> tuple[int, int, int, int]:
    at = data.index(b"tkhd") + 4 + 4 + 20 + 8 + 8
    values = [int.from_bytes(data[at + 4 * i : at + 4 * i + 4], "big", signed=True) for i in range(5)]
    return values[0] >> 16, values[1] >> 16, values[3] >> 16, values[4] >> 16


def test_a_frame_of_another_codec_orientation_or_stream_does_not_fit() -> None:
    frames = video_frames(Codec.H264, times(3))
    sink = io.BytesIO()
    writer = SegmentWriter(sink, Container.MP4, origin_us=ORIGIN_US, video=video_format(frames[0]))
    writer.write(frames[0])
    turned = video_frames(Codec.H264, times(1), orientation=1)
    early = video_frames(Codec.H264, [ORIGIN_US - 1])
    for wrong, mismatch in (
        (video_frames(Codec.VP9, times(1))[0], Mismatch.CODEC),
        (turned[0], Mismatch.ORIENTATION),
        (sound_frames(times(1))[0], Mismatch.STREAM),
        (early[0], Mismatch.TIME),
    ):
        with pytest.raises(FrameDoesNotFit) as caught:
            writer.write(wrong)
        assert caught.value.mismatch is mismatch
    # The writer goes on.
    write(writer, frames[1:])
    assert writer.close() is not None
    assert writer.counters.video_frames == 3


def test_a_container_that_cannot_hold_the_codec_is_refused() -> None:
    frames = video_frames(Codec.VP8, times(1))
    with pytest.raises(UnsupportedContainer):
        SegmentWriter(io.BytesIO(), Container.MP4, origin_us=0, video=video_format(frames[0]))
    assert container_for(Codec.VP8) is Container.WEBM
    assert container_for(Codec.H264, prefer_webm=True) is Container.MP4
    assert container_for(Codec.AV1, prefer_webm=True) is Container.WEBM
    assert container_for(Codec.OPUS) is Container.MP4


def test_an_empty_segment_is_no_file() -> None:
    sink = io.BytesIO()
    writer = SegmentWriter(sink, Container.MP4, origin_us=0, audio=AudioFormat())
    assert writer.is_empty
    assert writer.close() is None
    assert sink.getvalue() == b""


def test_times_that_do_not_grow_are_moved_and_counted(tmp_path: Path) -> None:
    moments = times(10)
    moments[5] = moments[3]
    frames = video_frames(Codec.VP9, moments)
    sink = io.BytesIO()
    writer = SegmentWriter(sink, Container.MP4, origin_us=ORIGIN_US, video=video_format(frames[0]))
    write(writer, frames)
    writer.close()
    assert writer.counters.corrected_times == 1
    (tmp_path / "a.mp4").write_bytes(sink.getvalue())
    assert decode(tmp_path / "a.mp4").errors == ""
    with av.open(str(tmp_path / "a.mp4"), "r") as opened:
        found = [packet.dts for packet in opened.demux(video=0) if packet.dts is not None]
    assert len(found) == 10
    assert all(before < after for before, after in pairwise(found))


def test_the_end_holds_the_last_picture_and_fills_the_audio(tmp_path: Path) -> None:
    frames = video_frames(Codec.H264, times(30))
    data, fragments = segment(Container.MP4, frames, START_US + 6_000_000)
    (tmp_path / "held.mp4").write_bytes(data)
    assert fragments[-1].end_us == START_US + 6_000_000
    with av.open(str(tmp_path / "held.mp4")) as opened:
        *_, last = (packet for packet in opened.demux(video=0) if packet.size)
    assert last.duration == pytest.approx((6_000_000 - 29 * FRAME_US) * 9 / 100, abs=2)

    timeline = AudioTimeline(240_000)
    sink = io.BytesIO()
    writer = SegmentWriter(sink, Container.MP4, origin_us=ORIGIN_US, audio=AudioFormat(), timeline=timeline)
    write(writer, sound_frames(times(50, 20_000)))
    writer.close(START_US + 6_000_000)
    (tmp_path / "filled.mp4").write_bytes(sink.getvalue())
    decoded = decode(tmp_path / "filled.mp4")
    assert decoded.errors == ""
    assert decoded.audio_samples == 6 * 48_000
    assert timeline.intervals == ((6 * 48_000, 11 * 48_000),)


class FullDisk:
    def write(self, data: bytes, /) -> int:
        raise OSError(28, "No space left on device")


def test_an_error_of_the_disk_reaches_the_caller() -> None:
    frames = video_frames(Codec.VP9, times(150))
    writer = SegmentWriter(FullDisk(), Container.MP4, origin_us=ORIGIN_US, video=video_format(frames[0]))
    with pytest.raises(OSError, match="No space"):
        write(writer, frames)


def test_frames_within_a_millisecond_stay_apart_in_webm(tmp_path: Path) -> None:
    moments = times(10)
    moments[5] = moments[4] + 300
    moments[6] = moments[4] + 600
    frames = video_frames(Codec.VP8, moments)
    sink = io.BytesIO()
    writer = SegmentWriter(sink, Container.WEBM, origin_us=ORIGIN_US, video=video_format(frames[0]))
    write(writer, frames)
    writer.close()
    (tmp_path / "segment.webm").write_bytes(sink.getvalue())
    made = tmp_path / "file.webm"
    segment = Segment(str(tmp_path / "segment.webm"))
    make_file(made, Container.WEBM, end_us=START_US + 10 * FRAME_US, video=[segment])
    for path in (tmp_path / "segment.webm", made):
        assert decode(path).errors == ""
        with av.open(str(path), "r") as opened:
            found = [packet.pts for packet in opened.demux(video=0) if packet.pts is not None]
        assert len(found) == 10
        assert all(before < after for before, after in pairwise(found))
