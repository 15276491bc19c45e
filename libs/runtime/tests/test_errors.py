"""Errors carry a code, a fault and fields."""

import pytest
from nexus_runtime import ClientError, NexusError


@pytest.mark.parametrize(("kind", "fault"), [(ClientError, "client"), (NexusError, "internal")])
def test_an_error_carries_its_fault(kind: type[NexusError], fault: str) -> None:
    error = kind("PORT_UNAVAILABLE", "the port is taken", host="127.0.0.1", port=50)
    assert error.fault == fault
    assert (error.code, error.message) == ("PORT_UNAVAILABLE", "the port is taken")
    assert error.fields == {"host": "127.0.0.1", "port": 50}
    assert str(error) == "PORT_UNAVAILABLE: the port is taken"
