"""The pytest plugin: every test of the workspace has these fixtures without an import."""

from collections.abc import Iterator

import pytest

from nexus_testkit.clock import ManualClock
from nexus_testkit.nats_server import NatsServer


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(scope="session")
def shared_nats_server() -> Iterator[NatsServer]:
    """One server for the whole run; for tests that use names of their own and do not stop it."""
    with NatsServer() as server:
        yield server


@pytest.fixture
def nats_server() -> Iterator[NatsServer]:
    """A server of the test's own, which it may stop and start."""
    with NatsServer() as server:
        yield server
