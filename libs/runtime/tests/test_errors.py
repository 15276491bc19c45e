"""Errors carry a code, a fault and fields."""

import pytest
from nexus_runtime import ClientError, InternalError, NexusError, PeerError


@pytest.mark.parametrize(
    ("kind", "fault"), [(ClientError, "client"), (PeerError, "peer"), (InternalError, "internal")]
)
def test_an_error_says_whose_fault_it_is(kind: type[NexusError], fault: str) -> None:
    error = kind("ROOM_FULL", "50 people are in this room", room="lobby", limit=50)
    assert error.fault == fault
    assert (error.code, error.message) == ("ROOM_FULL", "50 people are in this room")
    assert error.fields == {"room": "lobby", "limit": 50}
    assert str(error) == "ROOM_FULL: 50 people are in this room"
