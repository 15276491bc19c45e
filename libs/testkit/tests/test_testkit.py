"""Tests of the test kit itself."""

import asyncio
import os
import socket

import nats
import pytest
from nexus_testkit import ConditionNotMet, ManualClock, NatsServer, TcpLink, free_port, wait_until


def test_the_clock_moves_only_when_advanced(clock: ManualClock) -> None:
    start = clock()
    assert clock() == start == clock.now_seconds
    assert clock.advance(1.5) == start + 1.5
    assert clock.now_ms == round((start + 1.5) * 1000)
    with pytest.raises(ValueError):
        clock.advance(-0.1)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_free_port_can_be_bound(host: str, kind: socket.SocketKind) -> None:
    port = free_port(host, kind)
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind) as taken:
        taken.bind((host, port))


async def test_waiting_returns_the_value_of_the_condition() -> None:
    calls: list[int] = []

    def third_time() -> int:
        calls.append(1)
        return 3 if len(calls) == 3 else 0

    async def at_once() -> str:
        return "yes"

    assert await wait_until(third_time) == 3
    assert await wait_until(at_once) == "yes"


async def test_a_timeout_names_the_condition() -> None:
    with pytest.raises(ConditionNotMet, match="the moon did not hold within 0 s; last value 0"):
        await wait_until(lambda: 0, timeout=0, what="the moon")


async def test_a_nats_server_serves_until_it_is_closed() -> None:
    with NatsServer() as server:
        pid = server.pid
        client = await nats.connect(server.url)
        await client.jetstream().account_info()
        await client.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_nats_server_keeps_its_storage_and_port(nats_server: NatsServer) -> None:
    url = nats_server.url
    client = await nats.connect(url)
    await client.jetstream().add_stream(name="KEPT", subjects=["kept"])
    await client.jetstream().publish("kept", b"1")
    await client.close()
    nats_server.stop()
    nats_server.start()
    assert nats_server.url == url
    client = await nats.connect(url)
    assert (await client.jetstream().stream_info("KEPT")).state.messages == 1
    await client.close()


async def test_a_link_forwards_until_it_is_cut_and_again_when_restored() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, TcpLink.to(f"tcp://127.0.0.1:{port}") as link:
        link_port = int(link.url.rsplit(":", 1)[1])
        reader, writer = await asyncio.open_connection("127.0.0.1", link_port)
        writer.write(b"there and back")
        assert await reader.readexactly(14) == b"there and back"
        await link.cut()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), 10)
        writer.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", link_port)
        await link.restore()
        reader, writer = await asyncio.open_connection("127.0.0.1", link_port)
        writer.write(b"again")
        assert await reader.readexactly(5) == b"again"
        writer.close()


def test_a_link_needs_a_port() -> None:
    with pytest.raises(ValueError):
        TcpLink.to("nats://localhost")
