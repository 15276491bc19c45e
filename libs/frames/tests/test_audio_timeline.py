"""Audio without holes: speakers' clocks, losses, DTX and mutes, as samples and as decoded by `ffmpeg`."""

import io
from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from nexus_frames import AudioFormat
from nexus_frames.mux import AudioTimeline, Container, PlacedPacket, Segment, SegmentWriter, make_file
from nexus_frames.mux.audio_timeline import FRAME, HALF
from nexus_frames.opus import packet_samples
from nexus_frames.testing import decode, encode_sound, sound_frames

SOUND = encode_sound(1)[0]
DTX = b"\x78"


def place(timeline: AudioTimeline, *packets: tuple[int, bytes]) -> list[PlacedPacket]:
    return [placed for at, data in packets for placed in timeline.place(at, data)]


def test_packets_end_to_end_are_left_as_they_are() -> None:
    timeline = AudioTimeline()
    placed = place(timeline, *((number * FRAME, SOUND) for number in range(50)))
    assert [packet.start for packet in placed] == [number * FRAME for number in range(50)]
    assert not timeline.intervals


def test_a_hole_is_concealed_and_then_silent() -> None:
    timeline = AudioTimeline()
    placed = place(timeline, (0, SOUND), (10 * FRAME, SOUND))
    assert [packet.data for packet in placed[1:-1]] == [b"\xf8"] * 3 + [b"\xf8\xff\xfe"] * 6
    assert timeline.intervals == ((FRAME, 10 * FRAME),)
    assert placed[-1].start == 10 * FRAME


def test_a_hole_behind_a_dtx_frame_is_comfort_noise_to_its_end() -> None:
    timeline = AudioTimeline()
    placed = place(timeline, (0, SOUND), (FRAME, DTX), (20 * FRAME, SOUND))
    assert {packet.data for packet in placed if packet.filled} == {b"\xf8"}


def test_audio_that_begins_late_is_silent_before() -> None:
    timeline = AudioTimeline()
    placed = place(timeline, (48_000, SOUND))
    assert sum(packet.samples for packet in placed if packet.filled) == 48_000
    assert placed[-1] == PlacedPacket(48_000, FRAME, SOUND)


def test_what_is_no_opus_packet_is_left_out() -> None:
    timeline = AudioTimeline()
    assert place(timeline, (0, b""), (0, b"\xff\x00")) == []
    assert timeline.counters.dropped_packets == 2


def drift(ppm: int, packets: int) -> AudioTimeline:
    """A speaker whose clock is off by `ppm`, for `packets` of 20 ms."""
    timeline = AudioTimeline()
    for number in range(packets):
        at = number * FRAME + number * FRAME * ppm // 1_000_000
        for placed in timeline.place(at, SOUND):
            # No sound is heard more than a packet early or late.
            assert abs(placed.start - at) <= FRAME or placed.filled
    return timeline


def test_an_hour_of_a_clock_off_by_200_ppm_stays_in_sync() -> None:
    hour = 3_600 * 50
    for ppm in (200, -200):
        timeline = drift(ppm, hour)
        true_end = hour * FRAME * (1_000_000 + ppm) // 1_000_000
        assert abs(timeline.end - true_end) <= FRAME
    assert timeline.counters.dropped_packets == 36  # 0.72 s


moments = st.lists(
    st.tuples(st.integers(0, 5_000), st.sampled_from([SOUND, DTX, b"\xf0x", b"\x1bx", b"\xff\x03", b""])),
    max_size=80,
)


@settings(max_examples=300, deadline=None)
@given(moments, st.integers(0, 400_000))
def test_any_packets_become_audio_without_holes(steps: list[tuple[int, bytes]], until: int) -> None:
    timeline = AudioTimeline()
    at = 0
    placed: list[PlacedPacket] = []
    for step, data in steps:
        at += step
        before = len(placed)
        placed += timeline.place(at, data)
        if len(placed) > before and not placed[-1].filled:
            samples = packet_samples(data)
            assert samples is not None
            assert -HALF < placed[-1].start - at < samples
    placed += timeline.fill(until)
    end = 0
    for packet in placed:
        assert packet.start == end
        assert packet_samples(packet.data) == packet.samples
        end += packet.samples
    assert timeline.end == end
    assert end > until - HALF
    filled = sum(packet.samples for packet in placed if packet.filled)
    assert filled == timeline.counters.filled_samples
    assert filled == sum(stop - start for start, stop in timeline.intervals)
    assert all(a[1] < b[0] for a, b in pairwise(timeline.intervals))


def test_the_decoded_audio_is_as_long_as_the_call(tmp_path: Path) -> None:
    """Sound, a mute of 3 s, a loss of 100 ms, and silence to the end: 10 s."""
    times = [*range(500_000, 2_000_000, 20_000), *range(5_000_000, 6_000_000, 20_000)]
    times += range(6_100_000, 8_000_000, 20_000)
    sink = io.BytesIO()
    timeline = AudioTimeline()
    writer = SegmentWriter(sink, Container.MP4, origin_us=0, audio=AudioFormat(), timeline=timeline)
    for frame in sound_frames(times):
        writer.write(frame)
    writer.close(10_000_000)
    for container in Container:
        path = tmp_path / f"sound.{container.extension}"
        sink.seek(0)
        report = make_file(path, container, end_us=10_000_000, audio=[Segment(sink)])
        decoded = decode(path)
        assert decoded.errors == ""
        assert decoded.audio_samples == 480_000
        assert decoded.audio_start == 0
        assert report.duration_us == 10_000_000
        assert report.filled == ()  # the segment was without holes
    seconds = [(start / 48_000, stop / 48_000) for start, stop in timeline.intervals]
    assert seconds == [(0, 0.5), (2, 5), (6, 6.1), (8, 10)]


def test_holes_between_segments_are_filled_in_the_file(tmp_path: Path) -> None:
    segments = []
    for start_us in (0, 4_000_000):
        sink = io.BytesIO()
        writer = SegmentWriter(sink, Container.MP4, origin_us=0, audio=AudioFormat())
        for frame in sound_frames(range(start_us, start_us + 1_000_000, 20_000)):
            writer.write(frame)
        writer.close()
        segments.append(Segment(io.BytesIO(sink.getvalue())))
    report = make_file(tmp_path / "sound.ogg", Container.OGG, end_us=6_000_000, audio=segments)
    assert report.filled == ((1_000_000, 4_000_000), (5_000_000, 6_000_000))
    assert decode(tmp_path / "sound.ogg").audio_samples == 6 * 48_000
