"""Behaviour that only a real server has: restarts, and buckets as other clients read them."""

import asyncio
import os
import signal
from typing import Any

import nats
import pytest
from nats.js import JetStreamContext
from nexus_bus import (
    BusError,
    Change,
    KeyValue,
    LazyKeyValue,
    NatsBus,
    NotConnected,
    RequestTimeout,
    StreamMissing,
    StreamRecreated,
    StreamSpec,
    Synced,
)
from nexus_testkit import NatsServer, free_port, nats_cluster, wait_until


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


async def test_replicas_survive_the_loss_of_a_server() -> None:
    with nats_cluster(3) as servers:
        bus = await NatsBus.connect(",".join(server.url for server in servers), "cluster")
        spec = StreamSpec("JOBS", ["jobs.>"], work_queue=True, replicas=3)

        async def bucket() -> KeyValue | None:
            try:
                await bus.ensure_stream(spec)
                return await bus.kv("jobs", replicas=3)
            except BusError:
                return None  # the servers have not elected a leader yet

        kv = await wait_until(bucket, timeout=60)
        assert kv is not None
        await kv.put("kept", b"1")
        await bus.publish_durable("jobs.a", b"kept")
        client = await nats.connect(servers[0].url)
        for stream in ("JOBS", "KV_jobs"):
            assert (await client.jetstream().stream_info(stream)).config.num_replicas == 3
        await client.close()
        servers[0].stop()

        async def payloads() -> list[bytes]:
            try:
                entry = await kv.get("kept")
                consumer = await bus.pull("JOBS", "workers", ack_wait_seconds=1)
                messages = await consumer.fetch(1, timeout_seconds=2)
            except BusError:
                return []  # another leader is being elected, or this client reconnects
            return [entry.value, *(message.payload for message in messages)] if entry and messages else []

        assert await wait_until(payloads, timeout=60) == [b"1", b"kept"]
        await bus.close()


async def test_replicas_of_an_existing_bucket_change_only_on_request() -> None:
    with nats_cluster(3) as servers:
        bus = await NatsBus.connect(servers[1].url, "cluster")

        async def opened() -> bool:
            try:
                await bus.kv("rooms", replicas=1)
            except BusError:
                return False
            return True

        await wait_until(opened, timeout=60)
        client = await nats.connect(servers[1].url)

        async def count() -> int | None:
            return (await client.jetstream().stream_info("KV_rooms")).config.num_replicas

        assert await count() == 1
        await bus.kv("rooms", replicas=3)
        assert await count() == 3
        await bus.kv("rooms", ttl_seconds=60)
        assert await count() == 3
        await client.close()
        await bus.close()


async def test_a_watch_follows_a_bucket_that_was_created_again_after_a_loss(nats_server: NatsServer) -> None:
    bus = await NatsBus.connect(nats_server.url, "survivor")
    kv = LazyKeyValue(bus, "rooms")
    for _ in range(5):
        high = await kv.put("kept", b"old")
    await kv.put("gone", b"old")
    watch = await kv.watch()
    assert [await asyncio.wait_for(anext(watch), 10) for _ in range(3)][-1] == Synced()
    nats_server.stop()
    await wait_until(lambda: not bus.connected)
    nats_server.lose_storage()
    nats_server.start()

    async def written() -> int:
        try:
            return await kv.put("kept", b"new")
        except BusError:
            return 0

    low = await wait_until(written, timeout=30)
    assert low < high
    seen = [await asyncio.wait_for(anext(watch), 30) for _ in range(2)]
    assert {(step.key, step.value) for step in seen if isinstance(step, Change)} == {
        ("kept", b"new"),
        ("gone", None),
    }
    later = await kv.put("kept", b"newer")
    assert await asyncio.wait_for(anext(watch), 30) == Change("kept", b"newer", later)
    await bus.close()


async def test_a_fetch_that_is_cancelled_after_the_close_ends(nats_server: NatsServer) -> None:
    bus = await NatsBus.connect(nats_server.url, "test")
    await bus.ensure_stream(StreamSpec("CANCELLED", ["cancelled"]))
    consumer = await bus.pull("CANCELLED", "reader")
    fetching = asyncio.create_task(consumer.fetch(1, 60))
    await asyncio.sleep(0.1)
    await bus.close()
    fetching.cancel()
    await asyncio.wait({fetching}, timeout=10)
    assert fetching.cancelled()


async def test_a_reader_survives_a_restart_and_reports_a_lost_storage(nats_server: NatsServer) -> None:
    bus = await NatsBus.connect(nats_server.url, "survivor")
    spec = StreamSpec("READ", ["read"])
    await bus.ensure_stream(spec)
    reader = await bus.read_stream("READ")
    assert await bus.publish_durable("read", b"1") == 1
    assert [message.payload for message in await reader.read(timeout_seconds=10)] == [b"1"]

    async def publish(payload: bytes) -> int:
        try:
            return await bus.publish_durable("read", payload)
        except BusError:
            return 0  # JetStream is still starting

    nats_server.stop()
    await wait_until(lambda: not bus.connected)
    nats_server.start()
    assert await wait_until(lambda: publish(b"2"), timeout=30) == 2
    assert [message.payload for message in await reader.read(timeout_seconds=30)] == [b"2"]

    nats_server.stop()
    await wait_until(lambda: not bus.connected)
    nats_server.lose_storage()
    nats_server.start()

    async def created() -> bool:
        try:
            await bus.ensure_stream(spec)
        except BusError:
            return False
        return True

    await wait_until(created, timeout=30)
    errors: list[BusError] = []
    while not errors or not isinstance(errors[-1], StreamRecreated):
        try:
            assert await reader.read() == []
        except BusError as error:
            errors.append(error)
    # The reader may have looked before the stream was created again.
    assert {type(error) for error in errors} <= {StreamMissing, StreamRecreated}
    await bus.close()


async def test_a_publish_whose_answer_is_lost_fails_in_time(nats_server: NatsServer) -> None:
    bus = await NatsBus.connect(nats_server.url, "test")
    await bus.ensure_stream(StreamSpec("LOST", ["lost"]))
    os.kill(nats_server.pid, signal.SIGSTOP)
    answers = [await bus.send_durable("lost", b"") for _ in range(3)]
    results = await asyncio.gather(*answers, return_exceptions=True)
    assert {type(result) for result in results} == {RequestTimeout}
    os.kill(nats_server.pid, signal.SIGCONT)

    async def works() -> int:
        try:
            return await bus.publish_durable("lost", b"")
        except BusError:
            return 0

    assert await wait_until(works, timeout=30) > 0
    await bus.close()


async def test_a_reader_goes_on_after_a_fault_of_the_client(
    nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus = await NatsBus.connect(nats_server.url, "reader")
    await bus.ensure_stream(StreamSpec("FAULTY", ["faulty"]))
    reader = await bus.read_stream("FAULTY", "faulty", 1)
    await bus.publish_durable("faulty", b"1")
    assert [message.payload for message in await reader.read(timeout_seconds=10)] == [b"1"]

    working = JetStreamContext.add_consumer
    faults = 0

    async def add_consumer(*args: Any, **kwargs: Any) -> Any:
        nonlocal faults
        faults += 1
        if faults == 1:
            raise AttributeError("'NoneType' object has no attribute 'write'")
        return await working(*args, **kwargs)

    monkeypatch.setattr(JetStreamContext, "add_consumer", add_consumer)
    reader.reconnected()  # type: ignore[attr-defined]
    await wait_until(lambda: faults == 2, timeout=30)
    await bus.publish_durable("faulty", b"2")
    assert [message.payload for message in await reader.read(timeout_seconds=10)] == [b"2"]
    await bus.close()
