"""Behaviour that only a real server has: restarts, and buckets as other clients read them."""

import asyncio

import nats
import pytest
from nexus_bus import Change, NatsBus, NotConnected, Synced
from nexus_testkit import NatsServer, free_port, wait_until


async def test_connecting_to_an_absent_server_raises_not_connected(free_url: str) -> None:
    with pytest.raises(NotConnected):
        await NatsBus.connect(free_url, "nobody", timeout_seconds=0.2)


@pytest.fixture
def free_url() -> str:
    return f"nats://127.0.0.1:{free_port()}"


async def test_values_and_watches_survive_a_restart_of_the_server(nats_server: NatsServer) -> None:
    bus = await NatsBus.connect(nats_server.url, "survivor")
    kv = await bus.kv("rooms")
    kept = await kv.put("kept", b"1")
    watch = await kv.watch()
    assert await asyncio.wait_for(anext(watch), 10) == Change("kept", b"1", kept)
    assert await asyncio.wait_for(anext(watch), 10) == Synced()

    nats_server.stop()
    await wait_until(lambda: not bus.connected)
    nats_server.start()
    await wait_until(lambda: bus.connected, timeout=30)

    async def readable() -> bool:
        try:
            entry = await kv.get("kept")
        except NotConnected:
            return False  # JetStream is still starting
        return entry is not None and entry.revision == kept

    await wait_until(readable, timeout=30)
    later = await kv.update("kept", b"2", kept)
    assert await asyncio.wait_for(anext(watch), 30) == Change("kept", b"2", later)
    await bus.close()


async def test_other_clients_can_read_the_buckets(nats_server: NatsServer) -> None:
    bus = await NatsBus.connect(nats_server.url, "ours")
    await (await bus.kv("rooms", ttl_seconds=30)).put("a.b", b"value")
    client = await nats.connect(nats_server.url)
    theirs = await client.jetstream().key_value("rooms")
    assert (await theirs.get("a.b")).value == b"value"
    assert (await theirs.status()).ttl == 30
    await client.close()
    await bus.close()


async def test_the_marker_of_a_deleted_key_expires(nats_server: NatsServer) -> None:
    bus = await NatsBus.connect(nats_server.url, "ours")
    kv = await bus.kv("rooms")
    await kv.put("k", b"")
    await kv.delete("k")
    client = await nats.connect(nats_server.url)
    message = await client.jetstream().get_last_msg("KV_rooms", "$KV.rooms.k")
    assert message.headers is not None
    assert message.headers["Nats-TTL"] == "60s"
    await client.close()
    await bus.close()
