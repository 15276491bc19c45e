"""Makes the helpers of this folder importable, and provides the two buses."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from nexus_bus import Bus, MemoryBroker, MemoryBus, NatsBus
from nexus_testkit import NatsServer

sys.path.insert(0, str(Path(__file__).parents[3]))

Connect = Callable[[], Awaitable[Bus]]


@pytest.fixture(params=["memory", "nats"])
async def connect(request: pytest.FixtureRequest) -> AsyncIterator[Connect]:
    """Opens connections to one broker, which has nothing else in it."""
    opened: list[Bus] = []
    broker = MemoryBroker()
    server: NatsServer | None = None
    if request.param == "nats":
        server = request.getfixturevalue("nats_server")

    async def make() -> Bus:
        bus: Bus = MemoryBus(broker) if server is None else await NatsBus.connect(server.url, "webhooks")
        opened.append(bus)
        return bus

    yield make
    for bus in opened:
        await bus.close()
