"""One timeline across nodes, and the time of the files."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nexus_recorder.core.timeline import Cut, FileTime, Timeline

SECOND = 1_000_000
UNIX = 1_790_000_000 * SECOND


def feed(timeline: Timeline, line: str, clock_us: int, from_us: int, delays_us: list[int]) -> None:
    """Packets every 20 ms, sampled from `from_us` on by the true clock; the node's clock is `clock_us`
    ahead."""
    for number, delay in enumerate(delays_us):
        sampled = from_us + number * 20_000
        timeline.observe(line, sampled + clock_us, sampled + delay)


def test_a_line_is_placed_by_the_shortest_delay_of_its_first_second() -> None:
    timeline = Timeline(origin_us=500)
    feed(timeline, "a", UNIX, 1_000, [90_000, 30_000, 70_000] * 20)
    assert timeline.position_us("a", UNIX + 1_000) == 1_000 + 30_000 - 500


def test_before_its_window_is_over_a_line_has_no_place() -> None:
    timeline = Timeline(origin_us=0)
    assert not timeline.observe("a", UNIX, 40_000)
    assert timeline.due_us("a") == 40_000 + SECOND
    timeline.place("a")
    assert timeline.observe("a", UNIX, 40_000)


@given(
    st.integers(0, 2**32),
    st.integers(20_000, 200_000),
    st.integers(20_000, 200_000),
    st.integers(-(10**12), 10**12),
    st.integers(0, 60 * SECOND),
)
def test_two_nodes_with_other_clocks_give_a_step_no_larger_than_the_real_gap(
    seed: int, first_us: int, second_us: int, skew_us: int, gap_us: int
) -> None:
    random = Random(seed)
    timeline = Timeline(origin_us=0)
    feed(timeline, "a", UNIX, 0, [first_us + random.randrange(400_000) * (n % 20 > 0) for n in range(60)])
    last = timeline.position_us("a", UNIX + 59 * 20_000)
    again_us = 60 * 20_000 + gap_us
    delays = [second_us + random.randrange(400_000) * (n % 20 > 0) for n in range(60)]
    feed(timeline, "b", UNIX + skew_us, again_us, delays)
    timeline.place("b")
    step = timeline.position_us("b", UNIX + skew_us + again_us) - last
    # The lines differ by the difference of their shortest delays, and never run backwards.
    assert step == max(0, gap_us + 20_000 + second_us - first_us)


def test_the_replay_of_a_tap_does_not_move_the_line() -> None:
    """A resumed tap delivers first what is old, in a burst."""
    timeline = Timeline(origin_us=0)
    for number in range(600):
        timeline.observe("a", UNIX + number * 20_000, 12 * SECOND + number)
    feed(timeline, "a", UNIX, 12 * SECOND, [50_000] * 60)
    assert timeline.position_us("a", UNIX) == 20_599


def test_a_later_owner_continues_with_the_same_places() -> None:
    first = Timeline(origin_us=0)
    feed(first, "a", UNIX, 0, [40_000] * 60)
    second = Timeline(origin_us=-77, known={line.name: line.offset_us for line in first.lines})
    assert second.position_us("a", UNIX + SECOND) == first.position_us("a", UNIX + SECOND)


def test_cuts_are_joined_and_removed() -> None:
    time = FileTime((Cut(5 * SECOND, 7 * SECOND), Cut(1 * SECOND, 2 * SECOND), Cut(6 * SECOND, 8 * SECOND)))
    assert time.cuts == (Cut(1 * SECOND, 2 * SECOND), Cut(5 * SECOND, 8 * SECOND))
    assert [time.at(s * SECOND) for s in (0, 1, 2, 5, 6, 8, 9)] == [s * SECOND for s in (0, 1, 1, 4, 4, 4, 5)]
    assert time.within_cut(6 * SECOND)
    assert not time.within_cut(8 * SECOND)


@given(st.lists(st.tuples(st.integers(0, 1_000), st.integers(0, 1_000)), max_size=8), st.data())
def test_file_time_never_runs_backwards(cuts: list[tuple[int, int]], data: st.DataObject) -> None:
    time = FileTime(tuple(Cut(*each) for each in cuts))
    position = data.draw(st.integers(0, 1_500))
    assert 0 <= time.at(position) <= time.at(position + 1) <= time.at(position) + 1


def test_a_line_without_a_place_has_no_positions() -> None:
    with pytest.raises(KeyError):
        Timeline(0).position_us("a", 1)
