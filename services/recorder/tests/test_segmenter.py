"""The beginnings and ends of segments."""

from collections.abc import Iterator
from itertools import count
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nexus_recorder.core.segmenter import (
    BeginSegment,
    Effect,
    EndSegment,
    RequestKeyframe,
    Resumable,
    Segmenter,
    SegmentLimits,
    Shape,
    WriteFrame,
)

MS = 1_000
FRAME = 33 * MS
UPRIGHT = Shape((2, 0, False))
TURNED = Shape((2, 90, False))
OPUS = Shape((1, 0, False))
E = TypeVar("E", bound=Effect)


def video(limits: SegmentLimits | None = None) -> Segmenter:
    return Segmenter(limits or SegmentLimits(), is_video=True)


def audio(limits: SegmentLimits | None = None) -> Segmenter:
    return Segmenter(limits or SegmentLimits(), is_video=False)


def frames(
    segmenter: Segmenter, from_us: int, to_us: int, *, keyframes: tuple[int, ...] = (), shape: Shape = UPRIGHT
) -> list[Effect]:
    """Frames at 30 per second, on time; those at the positions in `keyframes` are keyframes."""
    effects: list[Effect] = []
    for position in range(from_us, to_us, FRAME):
        keyframe = any(position <= k < position + FRAME for k in keyframes)
        effects += segmenter.on_frame(shape, position, 4_000, keyframe, 0, position)
    return effects


def of(effects: list[Effect], kind: type[E]) -> list[E]:
    return [each for each in effects if isinstance(each, kind)]


def test_a_segment_begins_at_the_keyframe_that_was_requested_in_time() -> None:
    segmenter = video()
    effects = frames(segmenter, 0, 5_700 * MS, keyframes=(0,))
    assert len(of(effects, RequestKeyframe)) == 1
    effects = frames(segmenter, 5_709 * MS, 7_000 * MS, keyframes=(5_800 * MS,))
    assert of(effects, RequestKeyframe) == []
    assert [each.keyframe for each in of(effects, BeginSegment)] == [True]
    assert of(effects, EndSegment)[0].end_us == of(effects, BeginSegment)[0].start_us


def test_a_keyframe_soon_after_the_last_one_begins_no_segment() -> None:
    effects = frames(video(), 0, 4_000 * MS, keyframes=(0, 1_000 * MS, 3_000 * MS))
    assert len(of(effects, BeginSegment)) == 1


def test_without_a_keyframe_the_segment_is_cut_and_the_request_repeated() -> None:
    segmenter = video()
    effects = frames(segmenter, 0, 12_000 * MS, keyframes=(0,))
    first, second = of(effects, BeginSegment)
    assert first.keyframe
    assert not second.keyframe
    assert 9_000 * MS <= second.start_us < 9_100 * MS
    assert len(of(effects, RequestKeyframe)) == 4
    # The keyframe that a decoder needs is in the first segment, so the tap must keep it.
    assert [each.number for each in of(effects, Resumable)] == [0]


def test_audio_is_cut_anywhere() -> None:
    segmenter = audio()
    effects: list[Effect] = []
    for position in range(0, 20_000 * MS, 20 * MS):
        effects += segmenter.on_frame(OPUS, position, 80, True, 20 * MS, position)
    assert [each.start_us for each in of(effects, BeginSegment)] == [0, 6_000 * MS, 12_000 * MS, 18_000 * MS]
    assert [each.number for each in of(effects, Resumable)] == [0, 1, 2, 3]


def test_silence_ends_a_segment_by_the_clock_and_is_no_part_of_it() -> None:
    segmenter = audio()
    segmenter.on_frame(OPUS, 0, 80, True, 20 * MS, 0)
    due = segmenter.next_deadline_us()
    assert due == 9_000 * MS
    assert segmenter.on_time(8_999 * MS) == []
    assert segmenter.on_time(9_000 * MS) == [EndSegment(1, 20 * MS), Resumable(1, after=True)]
    assert segmenter.next_deadline_us() is None
    effects = segmenter.on_frame(OPUS, 60_000 * MS, 80, True, 20 * MS, 60_000 * MS)
    assert of(effects, BeginSegment)[0].start_us == 60_000 * MS


def test_a_hole_in_audio_is_not_part_of_the_segment_before_it() -> None:
    segmenter = audio()
    segmenter.on_frame(OPUS, 0, 80, True, 20 * MS, 0)
    effects = segmenter.on_frame(OPUS, 7_000 * MS, 80, True, 20 * MS, 7_000 * MS)
    assert of(effects, EndSegment) == [EndSegment(1, 20 * MS)]


def test_a_mute_ends_the_segment_and_is_resumable() -> None:
    segmenter = video()
    frames(segmenter, 0, 1_000 * MS, keyframes=(0,))
    effects = segmenter.on_break()
    assert [type(each) for each in effects] == [EndSegment, Resumable]
    assert segmenter.on_break() == [Resumable(1, after=True)]


def test_a_drain_leaves_video_to_be_read_again_from_its_last_keyframe() -> None:
    segmenter = video()
    frames(segmenter, 0, 1_000 * MS, keyframes=(0,))
    assert of(segmenter.on_drain(), Resumable) == []
    sound = audio()
    sound.on_frame(OPUS, 0, 80, True, 20 * MS, 0)
    assert of(sound.on_drain(), Resumable) == [Resumable(1, after=True)]


def test_rotation_takes_effect_at_the_next_keyframe_which_is_requested() -> None:
    segmenter = video()
    frames(segmenter, 0, 990 * MS, keyframes=(0,))
    effects = frames(segmenter, 990 * MS, 1_300 * MS, shape=TURNED)
    assert len(of(effects, RequestKeyframe)) == 1
    assert of(effects, BeginSegment) == []
    effects = segmenter.on_frame(TURNED, 1_320 * MS, 9_000, True, 0, 1_320 * MS)
    assert of(effects, BeginSegment)[0].shape == TURNED


def test_another_header_begins_a_segment_at_once() -> None:
    segmenter = video()
    frames(segmenter, 0, 990 * MS, keyframes=(0,))
    effects = segmenter.on_frame(Shape((2, 0, False), b"sps"), 990 * MS, 9_000, True, 0, 990 * MS)
    assert len(of(effects, BeginSegment)) == 1


def test_positions_that_do_not_grow_are_moved_behind_the_last() -> None:
    segmenter = Segmenter(SegmentLimits(), is_video=False, numbers=count(4), after_us=500)
    first = segmenter.on_frame(OPUS, -80, 1, True, 0, 0)
    again = segmenter.on_frame(OPUS, 501, 1, True, 0, 0)
    assert of(first, WriteFrame) + of(again, WriteFrame) == [WriteFrame(501), WriteFrame(502)]
    assert of(first, BeginSegment)[0].number == 4


def test_a_segment_has_a_largest_size() -> None:
    segmenter = audio(SegmentLimits(max_bytes=1_000))
    effects = [e for n in range(10) for e in segmenter.on_frame(OPUS, n, 300, True, 0, 0)]
    assert len(of(effects, BeginSegment)) == 4


@pytest.mark.parametrize("segment_ms", [2_000, 6_000, 20_000])
@given(data=st.data())
def test_segments_partition_the_frames(segment_ms: int, data: st.DataObject) -> None:
    """Every frame is in exactly one segment; segments do not overlap, and none is longer than allowed."""
    is_video = data.draw(st.booleans())
    limits = SegmentLimits(segment_ms * MS)
    segmenter = Segmenter(limits, is_video=is_video)

    def steps() -> Iterator[tuple[int, bool, int]]:
        position = 0
        for _ in range(data.draw(st.integers(1, 40))):
            position += data.draw(st.integers(1, 3_000)) * MS
            yield position, data.draw(st.booleans()), data.draw(st.integers(0, 2))

    number = start = 0
    last_end = -1
    is_open = False
    for index, (position, key, action) in enumerate(steps()):
        effects = segmenter.on_frame(
            UPRIGHT, position, 10, key or index == 0 or not is_video, 20 * MS, position
        )
        if action == 1:
            effects += segmenter.on_time(position + 1_000 * MS)
        elif action == 2:
            effects += segmenter.on_break()
        for effect in effects:
            match effect:
                case BeginSegment():
                    assert not is_open
                    assert effect.number == number + 1
                    assert effect.start_us >= last_end
                    number, start, is_open = effect.number, effect.start_us, True
                case WriteFrame(at):
                    assert is_open
                    assert start <= at < start + limits.longest_us
                case EndSegment():
                    assert is_open
                    assert effect.number == number
                    is_open, last_end = False, start
                case Resumable():
                    assert effect.number <= number
                case RequestKeyframe():
                    assert is_video
        assert segmenter.is_open is is_open
