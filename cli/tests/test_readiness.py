"""Ready means: signaling says so and a node that takes rooms is known; otherwise it is said what is
missing."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from nexus.types.v1.state_pb2 import NodeRecord
from nexus_cli.dev.readiness import call_can_be_made
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


async def register(nats_url: str, *, draining: bool) -> None:
    async with broker(nats_url) as stream:
        bucket = await stream.create_key_value(bucket="nodes")
        await bucket.put("sfu-a", NodeRecord(node_id="sfu-a", draining=draining).SerializeToString())


async def test_ready_when_signaling_and_a_node_are(signaling: FakeSignaling, nats_server: NatsServer) -> None:
    environment = {"NEXUS_NATS_URL": nats_server.url}
    waiting = asyncio.create_task(call_can_be_made(signaling.url, environment, timeout_seconds=30))
    await signaling.asked.wait()
    signaling.ready = True
    assert not waiting.done()
    await register(nats_server.url, draining=False)
    await waiting


async def test_a_signaling_that_is_not_ready_is_named(
    signaling: FakeSignaling, nats_server: NatsServer
) -> None:
    with pytest.raises(NeverReady, match="readyz"):
        await call_can_be_made(signaling.url, {"NEXUS_NATS_URL": nats_server.url}, timeout_seconds=0.3)


async def test_a_draining_node_takes_no_call(signaling: FakeSignaling, nats_server: NatsServer) -> None:
    signaling.ready = True
    await register(nats_server.url, draining=True)
    with pytest.raises(NeverReady, match="SFU node"):
        await call_can_be_made(signaling.url, {"NEXUS_NATS_URL": nats_server.url}, timeout_seconds=0.5)
