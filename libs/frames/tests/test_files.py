"""Finished files: their index is in front, and they decode to what was recorded."""

import io
import subprocess
from fractions import Fraction
from itertools import accumulate, pairwise
from pathlib import Path

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nexus_frames import AudioFormat, Codec, Frame, Orientation, VideoFormat
from nexus_frames.mux import (
    AudioTimeline,
    Container,
    Segment,
    SegmentWriter,
    UnreadableSegment,
    make_file,
    playable_size,
)
from nexus_frames.testing import decode, sound_frames, video_frames

FRAME_US = 33_333
CUES, CLUSTER = b"\x1c\x53\xbb\x6b", b"\x1f\x43\xb6\x75"
VIDEO = [
    (Codec.VP8, Container.WEBM),
    (Codec.VP9, Container.MP4),
    (Codec.VP9, Container.WEBM),
    (Codec.H264, Container.MP4),
    (Codec.AV1, Container.MP4),
]


def segment(container: Container, frames: list[Frame], timeline: AudioTimeline | None = None) -> io.BytesIO:
    sink = io.BytesIO()
    kind = frames[0].format
    video = kind if isinstance(kind, VideoFormat) else None
    audio = kind if isinstance(kind, AudioFormat) else None
    writer = SegmentWriter(sink, container, origin_us=0, video=video, audio=audio, timeline=timeline)
    for frame in frames:
        writer.write(frame)
    writer.close()
    return sink


def times(count: int, start_us: int = 0, step_us: int = FRAME_US) -> list[int]:
    return [start_us + number * step_us for number in range(count)]


def boxes(data: bytes) -> list[bytes]:
    found, at = [], 0
    while at + 8 <= len(data):
        found.append(data[at + 4 : at + 8])
        at += int.from_bytes(data[at : at + 4], "big")
    return found


@pytest.mark.parametrize(("codec", "container"), VIDEO)
def test_a_file_of_three_segments_decodes_and_has_its_index_in_front(
    codec: Codec, container: Container, tmp_path: Path
) -> None:
    frames = video_frames(codec, times(120, 500_000))
    segments = [segment(container, frames[at : at + 40]) for at in (0, 40, 80)]
    path = tmp_path / f"file.{container.extension}"
    report = make_file(path, container, end_us=6_000_000, video=[Segment(s) for s in segments])
    assert (report.video_frames, report.video_start_us) == (120, 500_000)
    assert report.duration_us == 6_000_000
    assert report.size == path.stat().st_size
    decoded = decode(path)
    assert decoded.errors == ""
    expected = [frame.media_time_us / 1e6 for frame in frames]
    assert decoded.video_times == pytest.approx(expected, abs=0.0021)
    data = path.read_bytes()
    if container is Container.MP4:
        order = boxes(data)
        assert order.index(b"moov") < order.index(b"mdat")
        assert b"moof" not in order
    else:
        assert data.index(CUES) < data.index(CLUSTER)
    with av.open(str(path), "r") as opened:
        assert opened.duration is not None
        # FFmpeg takes the start of an MP4 file from its duration.
        start_us = opened.start_time if container is Container.MP4 else 0
        assert start_us + opened.duration == pytest.approx(6_000_000, abs=2_000)
        opened.seek(2_500_000)
        keyframe = next(packet for packet in opened.demux(video=0))
        assert keyframe.is_keyframe
        assert keyframe.pts is not None
        assert 1.4 < float(keyframe.pts * keyframe.time_base) <= 2.5


@pytest.mark.parametrize(("codec", "container"), [VIDEO[0], VIDEO[3]])
def test_a_participants_video_and_audio_keep_their_offsets(
    codec: Codec, container: Container, tmp_path: Path
) -> None:
    """Audio begins 2 s after the start of the recording, video 0.75 s later."""
    video = video_frames(codec, times(60, 2_750_000))
    audio = sound_frames(times(150, 2_000_000, 20_000))
    path = tmp_path / f"both.{container.extension}"
    report = make_file(
        path,
        container,
        end_us=5_000_000,
        video=[Segment(segment(container, video))],
        audio=[Segment(segment(Container.MP4, audio))],
    )
    decoded = decode(path)
    assert decoded.errors == ""
    assert decoded.video_times[0] == pytest.approx(2.75, abs=0.002)
    assert len(decoded.video_times) == 60
    assert (decoded.audio_start, decoded.audio_samples) == (0, 5 * 48_000)
    assert report.filled == ((0, 2_000_000),)
    with av.open(str(path), "r") as opened:
        found = [float(p.dts * p.time_base) for p in opened.demux() if p.dts is not None]
    assert max(before - after for before, after in pairwise(found)) <= 1.1  # interleaved


def test_a_pause_can_be_cut_out(tmp_path: Path) -> None:
    frames = video_frames(Codec.VP9, times(60))
    first = segment(Container.MP4, frames[:30])
    later = video_frames(Codec.VP9, times(30, 11_000_000))
    second = segment(Container.MP4, later)
    path = tmp_path / "cut.mp4"
    segments = [Segment(first), Segment(second, shift_us=-10_000_000)]
    make_file(path, Container.MP4, end_us=2_000_000, video=segments)
    assert decode(path).video_times == pytest.approx(
        [f * FRAME_US / 1e6 for f in range(30)] + [1 + f * FRAME_US / 1e6 for f in range(30)], abs=0.0011
    )


@pytest.mark.parametrize(("codec", "container"), VIDEO)
def test_frames_that_two_segments_have_are_read_once(
    codec: Codec, container: Container, tmp_path: Path
) -> None:
    frames = video_frames(codec, times(90))
    both = [
        Segment(segment(container, frames[:50])),
        Segment(segment(container, frames[30:]), from_us=frames[50].media_time_us),
    ]
    path = tmp_path / f"file.{container.value}"
    make_file(path, container, end_us=3_000_000, video=both)
    found = decode(path)
    assert found.errors == ""
    assert len(found.video_times) == 90


def test_a_segment_can_be_read_up_to_a_time(tmp_path: Path) -> None:
    frames = sound_frames(times(100, 0, 20_000))
    cut = Segment(segment(Container.MP4, frames), from_us=400_000, to_us=1_400_000)
    report = make_file(tmp_path / "file.ogg", Container.OGG, end_us=1_400_000, audio=[cut])
    assert report.filled == ((0, 400_000),)
    assert report.audio_packets == 70


@pytest.mark.parametrize("container", list(Container))
def test_the_same_segments_make_the_same_file(container: Container, tmp_path: Path) -> None:
    sound = segment(Container.MP4, sound_frames(times(50, 0, 20_000)))
    files = []
    for name in ("first", "second"):
        path = tmp_path / name
        make_file(path, container, end_us=1_000_000, audio=[Segment(sound)])
        files.append(path.read_bytes())
    assert files[0] == files[1]


@pytest.mark.parametrize("within", [True, False])
def test_h264_with_other_parameter_sets_decodes_at_both_sizes(within: bool, tmp_path: Path) -> None:
    small = video_frames(Codec.H264, times(30))
    large = video_frames(Codec.H264, times(30, 1_000_000), width=320, height=192)
    whole = [segment(Container.MP4, small + large)]
    apart = [segment(Container.MP4, small), segment(Container.MP4, large)]
    path = tmp_path / "sizes.mp4"
    segments = [Segment(s) for s in (whole if within else apart)]
    report = make_file(path, Container.MP4, end_us=2_000_000, video=segments)
    assert report.video_frames == 60
    assert decode(path).errors == ""
    assert b"avc3" in path.read_bytes()
    with av.open(str(path), "r") as opened:
        sizes = [(picture.width, picture.height) for picture in opened.decode(video=0)]
    assert sizes == [(160, 96)] * 30 + [(320, 192)] * 30


def test_h264_with_one_configuration_is_avc1(tmp_path: Path) -> None:
    frames = video_frames(Codec.H264, times(60))
    path = tmp_path / "one.mp4"
    segments = [Segment(segment(Container.MP4, part)) for part in (frames[:45], frames[45:])]
    make_file(path, Container.MP4, end_us=2_000_000, video=segments)
    assert b"avc1" in path.read_bytes()


def test_the_orientation_is_in_the_file(tmp_path: Path) -> None:
    for codec, container in (VIDEO[0], VIDEO[3]):
        frames = video_frames(codec, times(2), orientation=1)
        path = tmp_path / f"turned.{container.extension}"
        part = Segment(segment(container, frames))
        make_file(path, container, end_us=1_000_000, video=[part], orientation=Orientation(90))
        with av.open(str(path), "r") as opened:
            assert next(opened.decode(video=0)).rotation == -90


def test_pixels_are_square_whatever_ffmpeg_finds_in_a_segment(tmp_path: Path) -> None:
    """It takes the shape of pixels from the lowest spatial layer of AV1, whose height may be rounded."""
    stretched = tmp_path / "stretched.mp4"
    stretched.write_bytes(segment(Container.MP4, video_frames(Codec.VP9, times(30))).getvalue())
    wide = tmp_path / "wide.mp4"
    command = ["ffmpeg", "-v", "error", "-i", str(stretched), "-c", "copy", "-aspect", "4:1", str(wide)]
    subprocess.run(command, check=True)
    path = tmp_path / "file.mp4"
    make_file(path, Container.MP4, end_us=1_000_000, video=[Segment(str(wide))])
    for name, expected in ((wide, Fraction(12, 5)), (path, Fraction(1))):
        with av.open(str(name)) as container:
            assert container.streams.video[0].sample_aspect_ratio == expected


@pytest.mark.parametrize(("codec", "container"), [VIDEO[0], VIDEO[3]])
def test_a_segment_that_a_crash_cut_off_is_read_up_to_there(
    codec: Codec, container: Container, tmp_path: Path
) -> None:
    frames = video_frames(codec, times(150))
    data = segment(container, frames).getvalue()
    first_fragment = next(
        size for size in range(1, len(data)) if playable_size(io.BytesIO(data[:size]), container) == size
    )
    path = tmp_path / f"file.{container.extension}"
    following = video_frames(codec, times(30, 10_000_000))
    segments = [
        Segment(io.BytesIO(data[: first_fragment + 300])),
        Segment(segment(container, following)),
    ]
    report = make_file(path, container, end_us=12_000_000, video=segments)
    assert report.video_frames >= 60
    with av.open(str(path), "r") as opened:
        pictures = [picture.time for picture in opened.decode(video=0)]
    assert len([time for time in pictures if time >= 10]) == 30


def test_what_is_no_segment_is_named(tmp_path: Path) -> None:
    good = Segment(segment(Container.MP4, video_frames(Codec.VP9, times(3))))
    other = Segment(segment(Container.MP4, video_frames(Codec.H264, times(3))))
    sound = Segment(segment(Container.MP4, sound_frames(times(3, 0, 20_000))))
    for wrong in (Segment(io.BytesIO(b"garbage" * 10)), other, sound):
        with pytest.raises(UnreadableSegment) as caught:
            make_file(tmp_path / "a.mp4", Container.MP4, end_us=1_000_000, video=[good, wrong])
        assert caught.value.number == 1


@settings(max_examples=25, deadline=None)
@given(
    video_steps=st.lists(st.integers(1, 400_000), min_size=2, max_size=12),
    audio_steps=st.lists(st.integers(1, 400_000), min_size=2, max_size=12),
    kind=st.sampled_from([VIDEO[0], VIDEO[3]]),
)
def test_times_grow_and_stay_within_a_frame(
    video_steps: list[int],
    audio_steps: list[int],
    kind: tuple[Codec, Container],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Whatever the intervals of the frames, their times in the file are theirs, but different, and audio is
    within a packet. WebM has milliseconds."""
    codec, container = kind
    video_times = [sum(video_steps[: i + 1]) for i in range(len(video_steps))]
    audio_times = [sum(audio_steps[: i + 1]) for i in range(len(audio_steps))]
    video = video_frames(codec, video_times)
    audio = sound_frames(audio_times)
    path = tmp_path_factory.getbasetemp() / f"any.{container.extension}"
    end_us = max(video_times[-1], audio_times[-1]) + 100_000
    make_file(
        path,
        container,
        end_us=end_us,
        video=[Segment(segment(container, video))],
        audio=[Segment(segment(Container.MP4, audio))],
    )
    with av.open(str(path), "r") as opened:
        stored: dict[str, list[float]] = {"video": [], "audio": []}
        for packet in opened.demux():
            if packet.pts is not None:
                stored[packet.stream.type].append(float(packet.pts * packet.time_base))
    assert all(before <= after for before, after in pairwise(stored["audio"]))
    assert all(before < after for before, after in pairwise(stored["video"]))
    least_us = 1_000 if container is Container.WEBM else 1
    spread_us = list(accumulate(video_times, lambda before, time: max(time, before + least_us)))
    assert stored["video"] == pytest.approx([time / 1e6 for time in spread_us], abs=0.0021)
    assert len(stored["audio"]) * 0.02 == pytest.approx(end_us / 1e6, abs=0.011 * (len(audio_times) + 1))
