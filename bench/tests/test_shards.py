"""The faults that the check of several shards finds."""

from typing import Any

import pytest
from shards import faults


def row(**other: Any) -> dict[str, Any]:
    seen = {
        "connected": 21,
        "peers": 21,
        "silent_streams": 0,
        "receive_streams": 40,
        "loss": 0.0,
        **other.pop("seen", {}),
    }
    counters = {"datagrams_out": 1_000, "drop.layer_not_forwarded": 12}
    return {"churn_per_second": 0, "delivered": 1.0, "counters": counters, **other, "seen": seen}


def test_a_valid_row_has_no_faults() -> None:
    assert faults(row()) == []


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"seen": {"connected": 20}}, "not connected"),
        ({"seen": {"silent_streams": 1}}, "got nothing"),
        ({"seen": {"loss": 0.0001}}, "lost"),
        ({"delivered": 0.98}, "came through"),
        ({"delivered": None}, "came through"),
        ({"counters": {"drop.relay_full": 3}}, "3 x drop.relay_full"),
    ],
)
def test_faults_are_reported(changed: dict[str, Any], word: str) -> None:
    (fault,) = faults(row(**changed))
    assert word in fault


def test_churn_allows_disconnected_leavers_but_not_newcomers_without_frames() -> None:
    churn = row(churn_per_second=5, first_frame={"saw_none": 0}, delivered=0.95, seen={"connected": 18})
    assert faults(churn) == []
    assert faults({**churn, "first_frame": {"saw_none": 2}}) == ["2 newcomers received no frame"]
