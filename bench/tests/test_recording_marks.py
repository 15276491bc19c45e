"""The skew and the loss that `record.py` reads from the marks of frames."""

from collections import Counter

from _recording_kills import Difference, Witness
from _recording_marks import MAGIC, Marked, quantile, sent_us, skews_us


def mark(at_us: int) -> bytes:
    return MAGIC + at_us.to_bytes(8, "big")


def sound(count: int, played_later_us: int = 0) -> list[Marked]:
    return [Marked(n * 20_000, n * 20_000 + played_later_us) for n in range(count)]


def test_a_frame_ends_with_the_time_at_which_it_was_sent() -> None:
    assert sent_us(b"picture" + mark(123_456)) == 123_456


def test_what_the_recorder_filled_in_has_no_mark() -> None:
    assert sent_us(b"\xf8\xff\xfe") is None
    assert sent_us(bytes(40)) is None


def test_a_picture_is_compared_with_the_sound_that_was_sent_at_its_moment() -> None:
    pictures = [Marked(n * 33_333, n * 33_333 + 500_000) for n in range(20)]
    assert skews_us(sound(50, played_later_us=500_000), pictures) == [0] * 19
    late = [Marked(frame.sent_us, frame.played_us + 12_000) for frame in pictures]
    assert set(skews_us(sound(50, played_later_us=500_000), late)) == {12_000}


def test_pictures_before_and_behind_all_sound_are_left_out() -> None:
    assert skews_us(sound(3), [Marked(-5, 0), Marked(90_000, 0)]) == []


def test_a_missing_frame_counts_with_its_packets() -> None:
    witness = Witness("TR_1", Counter({10: 1, 20: 1, 30: 1}), Counter({10: 6, 20: 7, 30: 6}))
    kept = [Marked(10, 0), Marked(30, 1)]
    assert witness.compare([kept], kept) == Difference(packets=19, packets_lost=7)


def test_segments_may_overlap_and_the_file_may_not() -> None:
    witness = Witness("TR_1", Counter({10: 1, 20: 1, 30: 1}), Counter({10: 1, 20: 1, 30: 1}))
    one, two, three = Marked(10, 0), Marked(20, 1), Marked(30, 2)
    segments = [[one, two], [two, three]]
    assert witness.compare(segments, [one, two, three]) == Difference(packets=3)
    assert witness.compare(segments, [one, two, two, three]).frames_twice == 1
    assert witness.compare(segments, [one, three]) == Difference(packets=3, frames_out_of_time=1)


def test_frames_of_one_moment_are_told_apart_by_their_number() -> None:
    witness = Witness("TR_1", Counter({10: 1, 20: 2, 30: 1}), Counter({10: 1, 20: 2, 30: 1}))
    whole = [Marked(10, 0), Marked(20, 1), Marked(20, 2), Marked(30, 3)]
    assert witness.compare([whole], whole) == Difference(packets=4)
    one_less = [whole[0], whole[1], whole[3]]
    assert witness.compare([one_less], one_less).packets_lost == 2


def test_what_was_not_recorded_before_and_after_does_not_count() -> None:
    witness = Witness("TR_1", Counter({5: 1, 10: 1, 40: 1}), Counter({5: 1, 10: 1, 40: 1}))
    assert witness.compare([[Marked(10, 0)]], [Marked(10, 0)]) == Difference(packets=1)


def test_a_quantile_is_a_value_that_was_measured() -> None:
    assert quantile([3, 1, 2], 0.5) == 2
    assert quantile(list(range(100)), 0.99) == 99
