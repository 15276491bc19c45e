"""The evaluation of rows: reasons to void them, ratios, growth with load, and the number of GSO runs."""

from typing import Any

import pytest
from _evaluation import growth, is_full, p99_beside_best, ratio, ratios, reasons_to_void
from _measure import gso


def row(
    server: str = "nexus", scene: str = "livestream", per_second: int = 200_000, **other: Any
) -> dict[str, Any]:
    seen = {
        "generator_cpu_share": 0.1,
        "generator_receive_overflow": 0,
        "silent_streams": 0,
        "receive_streams": 200,
        "latency_p99_ms": 5.0,
        "loss": 0.0,
        "seconds": 10.0,
        **other.pop("seen", {}),
    }
    packets = other.pop("packets_per_second", 20_000)
    made = {
        "server": server,
        "scene": scene,
        "gro": False,
        "poor_percent": 0,
        "churn_per_second": 0,
        "delivered": 1.0,
        "packets_per_second": packets,
        "packets_per_process_cpu_second": per_second,
        "packets_per_core_cpu_second": per_second,
        "process_cpu_seconds": packets * 10 / per_second,
        "seen": seen,
        **other,
    }
    made.setdefault("void", reasons_to_void(made))
    return made


def test_a_good_row_is_not_void() -> None:
    assert row()["void"] == []


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"seen": {"generator_cpu_share": 0.81}}, "generator"),
        ({"seen": {"generator_receive_overflow": 1}}, "dropped"),
        ({"seen": {"silent_streams": 2}}, "got nothing"),
        ({"delivered": 0.9}, "came through"),
        ({"server": "livekit", "per_second": 20_000}, "published"),
    ],
)
def test_reasons_that_make_a_row_void(changed: dict[str, Any], word: str) -> None:
    (reason,) = row(**changed)["void"]
    assert word in reason


def test_a_scene_with_emulated_loss_may_deliver_less() -> None:
    assert row(delivered=0.9, poor_percent=20)["void"] == []
    assert row(delivered=0.9, churn_per_second=5, seen={"silent_streams": 1})["void"] == []


def test_connections_that_failed_make_a_row_void() -> None:
    assert reasons_to_void(row(), still=3) == ["3 connections failed"]


def test_the_ratio_is_nexus_to_the_best_peer_by_medians() -> None:
    rows = [
        *(row(per_second=value) for value in (200_000, 300_000, 1_000_000)),
        *(row("livekit", per_second=value) for value in (70_000, 100_000, 80_000)),
        row("janus", per_second=60_000),
    ]
    assert ratio(rows, "livestream") == 3.75


def test_void_rows_do_not_count() -> None:
    rows = [row(), row("livekit", per_second=100_000), row("janus", per_second=150_000, void=["why"])]
    assert ratio(rows, "livestream") == 2.0


def test_there_is_no_ratio_without_both_sides() -> None:
    assert ratios([row()]) == {"livestream": None, "meeting": None, "audio": None}
    assert ratio([row("janus")], "livestream") is None


def test_the_ratio_with_gro_is_separate() -> None:
    rows = [row(), row("janus", per_second=100_000), row(gro=True), row("janus", per_second=50_000, gro=True)]
    assert (ratio(rows, "livestream"), ratio(rows, "livestream", gro=True)) == (2.0, 4.0)


def test_p99_is_compared_with_the_best_peer() -> None:
    rows = [row(), row("janus", seen={"latency_p99_ms": 9.0}), row("livekit", seen={"latency_p99_ms": 7.0})]
    assert p99_beside_best(rows, "livestream") == {"ours_ms": 5.0, "best_peer_ms": 7.0}


def test_growth_uses_only_carried_points() -> None:
    curve = [row(packets_per_second=n, per_second=100_000) for n in (2_000, 10_000, 40_000)]
    curve.append(row(packets_per_second=80_000, per_second=20_000, seen={"loss": 0.02}))
    assert growth(curve)["nexus"] == {
        "most_packets_per_second": 40_000,
        "deviation_from_line": 0.0,
        "microseconds_per_packet": 10.0,
        "fixed_cpu_share": 0.0,
    }


def test_a_server_is_full_when_it_uses_its_whole_core() -> None:
    assert is_full(row(packets_per_second=95_000, per_second=100_000))
    assert not is_full(row(packets_per_second=80_000, per_second=100_000))


def test_nonlinear_growth_deviates_from_the_line() -> None:
    costs = ((10_000, 100_000), (20_000, 100_000), (40_000, 50_000))
    grown = growth([row(packets_per_second=n, per_second=c) for n, c in costs])
    assert grown["nexus"]["deviation_from_line"] > 0.1


def test_runs_are_counted_by_the_server_and_cut_by_receivers_without_gro() -> None:
    before = {"datagrams_out": 100, "gso_segments": 0, "gso_runs": 0}
    after = {"datagrams_out": 1_100, "gso_segments": 800, "gso_runs": 200}
    seen = {"datagrams_per_receive": 3.5}
    assert gso(before, after, seen, gro=True) == {
        "share": 0.8,
        "packets_per_run": 4.0,
        "cut_in_software": False,
    }
    cut = gso(before, after, {"datagrams_per_receive": 1.0}, gro=False)
    assert cut is not None
    assert cut["cut_in_software"] is True
    assert gso(None, None, seen, gro=True) is None
    assert gso(before, {**before, "datagrams_out": 200}, seen, gro=False) == {
        "share": 0.0,
        "packets_per_run": None,
        "cut_in_software": None,
    }
