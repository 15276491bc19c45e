"""Fixtures: a fake signaling server, and a token for it."""

from collections.abc import AsyncIterator

import pytest
from nexus_rtc.testing import FakeServer
from nexus_rtc.token import App, mint_token


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    fake = FakeServer()
    await fake.start()
    yield fake
    await fake.stop()


@pytest.fixture
def token() -> str:
    return mint_token(App("key", "0123456789abcdef0123456789abcdef"), room="lobby", identity="me")
