"""The two buses that the tests of jobs run on."""

import itertools
from collections.abc import AsyncIterator

import pytest
from nexus_bus import Bus, MemoryBroker, MemoryBus, NatsBus
from nexus_jobs.testing import Site
from nexus_testkit import NatsServer

_names = itertools.count(1)


@pytest.fixture
def kind() -> str:
    return f"kind{next(_names)}"


@pytest.fixture(params=["memory", "nats"])
async def site(request: pytest.FixtureRequest, kind: str) -> AsyncIterator[Site]:
    opened: list[Bus] = []
    broker = MemoryBroker()
    server: NatsServer | None = None
    if request.param == "nats":
        server = request.getfixturevalue("shared_nats_server")

    async def connect() -> Bus:
        bus: Bus = MemoryBus(broker) if server is None else await NatsBus.connect(server.url, "jobs")
        opened.append(bus)
        return bus

    site = Site(connect, kind)
    yield site
    for replica in site.replicas:
        await replica.close()
    for bus in opened:
        await bus.close()
