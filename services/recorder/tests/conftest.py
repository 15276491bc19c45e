"""Makes the helpers of this folder importable, and provides both buses."""

import itertools
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from nexus_bus import Bus, MemoryBus, NatsBus
from nexus_testkit import NatsServer

sys.path.insert(0, str(Path(__file__).parents[3]))

_apps = itertools.count(1)


@pytest.fixture
def app() -> str:
    """An app that no other test uses, because the tests share one NATS server."""
    return f"app-{next(_apps)}"


@pytest.fixture(params=["memory", "nats"])
async def bus(request: pytest.FixtureRequest) -> AsyncIterator[Bus]:
    if request.param == "memory":
        opened: Bus = MemoryBus()
    else:
        server: NatsServer = request.getfixturevalue("shared_nats_server")
        opened = await NatsBus.connect(server.url, "recorder-tests")
    yield opened
    await opened.close()
