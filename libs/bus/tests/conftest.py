"""The two buses that the contract suite runs against."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable

import nats
import pytest
from nexus_bus import Bus, MemoryBroker, MemoryBus, NatsBus
from nexus_testkit import NatsServer

Connect = Callable[[], Awaitable[Bus]]
Delete = Callable[[str], Awaitable[None]]

_names = itertools.count(1)


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Makes names that no other test uses, because the tests share one NATS server."""

    def make(prefix: str) -> str:
        return f"{prefix}{next(_names)}"

    return make


@pytest.fixture(params=["memory", "nats"])
async def connect(request: pytest.FixtureRequest) -> AsyncIterator[Connect]:
    """Opens connections to one broker."""
    opened: list[Bus] = []
    broker = MemoryBroker()
    server: NatsServer | None = None
    if request.param == "nats":
        server = request.getfixturevalue("shared_nats_server")

    async def make() -> Bus:
        bus: Bus = MemoryBus(broker) if server is None else await NatsBus.connect(server.url, "contract")
        opened.append(bus)
        return bus

    yield make
    for bus in opened:
        await bus.close()


@pytest.fixture
async def bus(connect: Connect) -> Bus:
    return await connect()


@pytest.fixture
def delete_stream(bus: Bus, request: pytest.FixtureRequest) -> Delete:
    """Deletes a stream as an operator would."""

    async def delete(name: str) -> None:
        if isinstance(bus, MemoryBus):
            bus.broker.delete_stream(name)
            return
        server: NatsServer = request.getfixturevalue("shared_nats_server")
        client = await nats.connect(server.url)
        await client.jetstream().delete_stream(name)
        await client.close()

    return delete
