"""Readiness: signaling is ready and a node that accepts rooms is registered; otherwise the missing part is
named."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from nexus.types.v1.state_pb2 import NodeRecord
from nexus_cli.dev.readiness import wait_until_ready
from nexus_cli.dev.supervisor import NeverReady
from nexus_cli.known_nodes import broker
from nexus_testkit import NatsServer


class FakeSignaling:
    def __init__(self) -> None:
        self.ready = False
        self.asked = asyncio.Event()
        self.url = ""

    async def readyz(self, _: web.Request) -> web.Response:
        self.asked.set()
        return web.Response(status=200 if self.ready else 503)


@pytest.fixture
async def signaling() -> AsyncIterator[FakeSignaling]:
    fake = FakeSignaling()
    app = web.Application()
    app.router.add_get("/readyz", fake.readyz)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield fake
    await runner.cleanup()


STARTED_AT = 1_000.0


async def register(nats_url: str, *, draining: bool = False, heartbeat_at_ms: int = 1_000_000) -> None:
    async with broker(nats_url) as stream:
        bucket = await stream.create_key_value(bucket="nodes")
        record = NodeRecord(node_id="sfu-a", draining=draining, heartbeat_at_ms=heartbeat_at_ms)
        await bucket.put("sfu-a", record.SerializeToString())


async def ready(signaling: "FakeSignaling", nats_server: NatsServer, timeout_seconds: float) -> None:
    environment = {"NEXUS_NATS_URL": nats_server.url}
    await wait_until_ready(signaling.url, environment, started_at=STARTED_AT, timeout_seconds=timeout_seconds)


async def test_ready_when_signaling_and_a_node_are_ready(
    signaling: FakeSignaling, nats_server: NatsServer
) -> None:
    waiting = asyncio.create_task(ready(signaling, nats_server, 30))
    await signaling.asked.wait()
    signaling.ready = True
    assert not waiting.done()
    await register(nats_server.url)
    await waiting


async def test_signaling_that_is_not_ready_is_named(
    signaling: FakeSignaling, nats_server: NatsServer
) -> None:
    with pytest.raises(NeverReady, match="readyz"):
        await ready(signaling, nats_server, 0.3)


async def test_a_draining_node_does_not_count(signaling: FakeSignaling, nats_server: NatsServer) -> None:
    signaling.ready = True
    await register(nats_server.url, draining=True)
    with pytest.raises(NeverReady, match="SFU node"):
        await ready(signaling, nats_server, 0.5)


async def test_a_heartbeat_of_an_earlier_run_does_not_count(
    signaling: FakeSignaling, nats_server: NatsServer
) -> None:
    signaling.ready = True
    await register(nats_server.url, heartbeat_at_ms=999_999)
    with pytest.raises(NeverReady, match="SFU node"):
        await ready(signaling, nats_server, 0.5)
