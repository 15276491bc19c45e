"""The formula for connection quality, and known defects of other implementations."""

import pytest
from nexus_sfu.core.connection_quality import (
    ConnectionMeters,
    Flow,
    Line,
    Rating,
    SlotCounters,
    TrackCounters,
    layer_distance,
    rate,
    score,
)
from nexus_sfu.core.model import Quality


class Connection:
    """The connection of one participant, rated report by report."""

    def __init__(self) -> None:
        self.meters = ConnectionMeters()
        self.packets = self.lost = self.sent = 0

    def pass_time(
        self,
        *,
        up: int = 100,
        up_lost: int = 0,
        down: int = 0,
        down_loss: float = 0.0,
        rtt_ms: float = 20.0,
        jitter_ms: float = 0.0,
        state: str = "connected",
        bound: int = 0,
        paused: int = 0,
    ) -> list[Rating]:
        self.packets, self.lost, self.sent = self.packets + up, self.lost + up_lost, self.sent + down
        slots = [SlotCounters(1, self.sent, down_loss, False, 0.0)]
        slots += [SlotCounters(10 + i, 0, 0.0, True, float(i < paused)) for i in range(bound)]
        tracks = (TrackCounters(1, self.packets, self.lost, jitter_ms),)
        return self.meters.observe([Line("PA_1", state, rtt_ms, tracks, tuple(slots))])

    def settle(self, **stats: float) -> Quality | None:
        """The last change of the rating in ten equal intervals."""
        ratings = [rating for _ in range(10) for rating in self.pass_time(**stats)]  # type: ignore[arg-type]
        return ratings[-1].quality if ratings else None


@pytest.mark.parametrize(
    ("flow", "expected"),
    [
        (Flow(), 100),
        (Flow(packets=1_000), 100),
        (Flow(packets=950, lost=50), 80),
        (Flow(packets=900, lost=100), 60),
        (Flow(packets=500, lost=500), 0),
        (Flow(packets=100, rtt_ms=400), 80),
        (Flow(packets=100, rtt_ms=200, jitter_ms=50), 80),
        (Flow(packets=100, starved=0.4), 80),
        (Flow(packets=100, lost=-20), 100),
    ],
)
def test_the_formula(flow: Flow, expected: float) -> None:
    assert score(flow) == pytest.approx(expected)


def test_ratings_have_hysteresis() -> None:
    assert rate(80, Quality.UNKNOWN) is Quality.EXCELLENT
    assert rate(79, Quality.UNKNOWN) is Quality.GOOD
    assert rate(59, Quality.UNKNOWN) is Quality.POOR
    assert rate(77, Quality.EXCELLENT) is Quality.EXCELLENT
    assert rate(75, Quality.EXCELLENT) is Quality.GOOD
    assert rate(83, Quality.GOOD) is Quality.GOOD
    assert rate(57, Quality.GOOD) is Quality.GOOD
    assert rate(55, Quality.GOOD) is Quality.POOR
    assert rate(62, Quality.POOR) is Quality.POOR
    assert rate(95, Quality.LOST) is Quality.EXCELLENT


def test_the_rating_is_reported_only_when_it_changes() -> None:
    line = Connection()
    (first,) = line.pass_time()
    assert first.quality is Quality.EXCELLENT
    assert line.settle() is None
    assert line.settle(up=90, up_lost=10) is Quality.GOOD
    assert line.settle(up=70, up_lost=30) is Quality.POOR
    assert line.settle() is Quality.EXCELLENT


def test_the_worse_direction_counts() -> None:
    line = Connection()
    line.settle()
    assert line.settle(down=1_000, down_loss=0.2) is Quality.POOR
    assert line.settle(down=1_000) is Quality.EXCELLENT
    assert line.settle(rtt_ms=500) is Quality.GOOD


def test_the_rating_does_not_flicker_around_a_boundary() -> None:
    line = Connection()
    line.settle()
    changes = [r for i in range(40) for r in line.pass_time(up=950 if i % 2 else 949, up_lost=50 + i % 2)]
    assert len(changes) <= 1


@pytest.mark.parametrize("up", [3, 5, 10])
def test_one_lost_packet_with_dtx_is_not_a_bad_connection(up: int) -> None:
    """LiveKit's scorer weighs loss by the usual packet rate, which it looks up by comparing a count with an
    index, so the weight for a silent microphone depends on the size of the histogram. Ours uses the number of
    packets in the interval and no history."""
    for history in (0, 1, 500):
        line = Connection()
        line.pass_time()
        for _ in range(history):
            line.pass_time(up=100)
        assert line.pass_time(up=up, up_lost=1) == []


def test_muted_and_silent_participants_are_not_lost() -> None:
    line = Connection()
    line.settle()
    assert line.settle(up=0) is None


def test_late_packets_do_not_count_as_lost() -> None:
    line = Connection()
    line.settle()
    assert line.pass_time(up=120, up_lost=-20) == []


def test_lost_depends_only_on_ice_consent() -> None:
    line = Connection()
    line.settle()
    (lost,) = line.pass_time(up=0, state="disconnected")
    assert lost.quality is Quality.LOST
    assert line.pass_time(up=0, state="disconnected") == []
    (back,) = line.pass_time()
    assert back.quality is Quality.EXCELLENT


def test_there_is_no_rating_before_media_is_connected() -> None:
    assert Connection().pass_time(up=0, state="new") == []


def test_paused_videos_count() -> None:
    line = Connection()
    line.settle()
    assert line.settle(bound=4) is None
    assert line.settle(bound=4, paused=3) is Quality.GOOD
    assert line.settle(bound=4, paused=4) is Quality.POOR


def test_a_participant_that_left_starts_again() -> None:
    meters = ConnectionMeters()
    good = Line("PA_1", "connected", 10.0)
    assert len(meters.observe([good])) == 1
    assert meters.observe([]) == []
    assert len(meters.observe([good])) == 1


@pytest.mark.parametrize(
    ("needed", "sent", "target", "paused", "distance"),
    [
        (2, 2, 2, False, 0),
        (2, 2, 1, False, 1 / 3),
        (2, 2, 0, False, 2 / 3),
        (1, 2, 3, False, 0),
        (2, 0, 0, False, 0),  # the publisher's uplink does not count against the subscriber
        (2, 2, None, False, 0),
        (2, 2, None, True, 1),
        (0, 2, 0, False, 0),
    ],
)
def test_the_distance_from_the_needed_layer(
    needed: int, sent: int, target: int | None, paused: bool, distance: float
) -> None:
    assert layer_distance(needed, sent, target, paused=paused) == pytest.approx(distance)
