"""Pytest plugin with fixtures for every test of the workspace."""

from collections.abc import Iterator

import pytest

from nexus_testkit.clock import ManualClock
from nexus_testkit.nats_server import NatsServer


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(scope="session")
def shared_nats_server() -> Iterator[NatsServer]:
    """One server for the whole run, for tests that use unique names and do not stop it."""
    with NatsServer() as server:
        yield server


@pytest.fixture
def nats_server() -> Iterator[NatsServer]:
    """A server for this test only, which it may stop and start."""
    with NatsServer() as server:
        yield server
