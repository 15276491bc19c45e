"""Pytest plugin with fixtures for every test of the workspace."""

import os
from collections.abc import Iterator

import pytest

from nexus_testkit.clock import ManualClock
from nexus_testkit.nats_server import NatsServer
from nexus_testkit.s3_server import S3Server, versitygw_binary
from nexus_testkit.server_process import ServerFailed


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


@pytest.fixture(scope="session")
def shared_s3_server() -> Iterator[S3Server]:
    """One server for the whole run, for tests that make a bucket of their own and do not stop it.

    Only `scripts/setup test` builds the server. Without it these tests are skipped, as in `make quick`, but
    never in CI.
    """
    try:
        versitygw_binary()
    except ServerFailed as error:
        if "CI" in os.environ:
            raise
        pytest.skip(str(error))
    with S3Server() as server:
        yield server
