"""Attempts against a real HTTP server that misbehaves."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from aiohttp import web
from nexus_runtime import SystemClock
from nexus_testkit import free_port
from nexus_webhooks import SenderConfig, WebhookEvent, make_body
from nexus_webhooks.sender import Accepted, Answer, GoneForever, Refused, Sender

from libs.webhooks.tests.receiver import Received, receiver, status
from libs.webhooks.tests.site import endpoint

EVENT = WebhookEvent(
    "RC_1-1", "room", "recording.started", make_body("recording.started", 0, {"room": "room"})
)
# Longest time of an attempt in tests in which it must run out.
SHORT_MS = 300


@asynccontextmanager
async def sender(*, timeout_ms: int = 10_000, allow_private: bool = True) -> AsyncIterator[Sender]:
    opened = Sender(
        SenderConfig(timeout_ms=timeout_ms, allow_private=allow_private), SystemClock(), "nexus-webhooks/0"
    )
    opened.open()
    try:
        yield opened
    finally:
        await opened.close()


async def post(url: str, *, timeout_ms: int = 10_000, allow_private: bool = True) -> Answer:
    async with sender(timeout_ms=timeout_ms, allow_private=allow_private) as opened:
        return await opened.post(endpoint(url), EVENT)


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        (200, Accepted()),
        (204, Accepted()),
        (299, Accepted()),
        (304, Refused("http_3xx", 304)),
        (400, Refused("http_4xx", 400)),
        (404, Refused("http_4xx", 404)),
        (410, GoneForever()),
        (429, Refused("http_4xx", 429, 5_000, pauses=True)),
        (500, Refused("http_5xx", 500)),
        (503, Refused("http_5xx", 503)),
    ],
)
async def test_what_each_status_means(code: int, answer: Answer) -> None:
    async with receiver(status(code)) as server:
        assert await post(server.url) == answer
        (received,) = server.received
    assert received.headers["content-type"] == "application/json"
    assert received.headers["user-agent"] == "nexus-webhooks/0"


async def test_retry_after_is_a_number_or_a_date() -> None:
    async with receiver(status(503, **{"Retry-After": "120"})) as server:
        assert await post(server.url) == Refused("http_5xx", 503, 120_000, pauses=True)
    date = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    async with receiver(status(404, **{"Retry-After": date})) as server:
        answer = await post(server.url)
        assert isinstance(answer, Refused)
        assert 3_500_000 < answer.retry_after_ms <= 3_600_000
        assert not answer.pauses
    for nonsense in ("-5", "soon", "9" * 40, "Tue, 99 Foo 2026 00:00:00 GMT"):
        async with receiver(status(404, **{"Retry-After": nonsense})) as server:
            assert await post(server.url) == Refused("http_4xx", 404)


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(code: int) -> None:
    async with receiver() as target, receiver(status(code, Location=target.url)) as server:
        assert await post(server.url) == Refused("http_3xx", code)
        assert target.received == []


async def test_an_endpoint_that_hangs_times_out() -> None:
    async def hang(_received: Received, _request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async with receiver(hang) as server:
        assert await post(server.url, timeout_ms=SHORT_MS) == Refused("timeout")


async def test_a_server_that_answers_nothing_times_out() -> None:
    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    assert await post(f"http://127.0.0.1:{port}/", timeout_ms=SHORT_MS) == Refused("timeout")
    server.close()


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 10**6]
)
async def test_broken_answers_are_failures(answer: bytes) -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.transport.abort() if not answer else writer.close()

    server = await asyncio.start_server(reset, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    assert await post(f"http://127.0.0.1:{port}/") == Refused("connection")
    server.close()


async def test_of_a_huge_answer_only_the_beginning_is_read() -> None:
    sent = 0

    async def flood(_received: Received, request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        response.content_length = 1 << 30
        await response.prepare(request)
        while sent < 1 << 30:
            await response.write(b"x" * 65_536)
            sent += 65_536
        return response

    async with receiver(flood) as server:
        assert await post(server.url) == Accepted()
    assert sent < 1 << 26


async def test_an_answer_whose_body_never_ends_counts_as_accepted() -> None:
    async def endless(_received: Received, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"x")
        await asyncio.Event().wait()
        return response

    async with receiver(endless) as server:
        assert await post(server.url) == Accepted()


async def test_a_connection_is_used_again() -> None:
    ports = []

    async def respond(_received: Received, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        ports.append(request.transport.get_extra_info("peername")[1])
        return web.Response(text="thank you")

    async with receiver(respond) as server, sender() as opened:
        for _ in range(3):
            assert await opened.post(endpoint(server.url), EVENT) == Accepted()
    assert len(set(ports)) == 1


async def test_nobody_listens() -> None:
    assert await post(f"http://127.0.0.1:{free_port()}/") == Refused("connection")
    assert await post("http://no-such-host.invalid/") == Refused("connection")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"])
async def test_private_addresses_are_refused_after_resolution(host: str) -> None:
    async with receiver() as server:
        url = server.url.replace("127.0.0.1", host)
        assert await post(url, allow_private=False) == Refused("refused_address")
        assert server.received == []


@pytest.mark.parametrize("host", ["2130706433", "0", "0x7f.1"])
async def test_other_spellings_of_private_addresses_reach_nothing(host: str) -> None:
    async with receiver() as server:
        answer = await post(server.url.replace("127.0.0.1", host), allow_private=False)
        assert answer in (Refused("refused_address"), Refused("connection"))
        assert server.received == []


@pytest.fixture
def self_signed(tmp_path: Path) -> ssl.SSLContext:
    """A server's context with a certificate that no authority has signed."""
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-keyout", str(key), "-out", str(certificate), "-subj", "/CN=localhost", "-days", "2"]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


async def test_a_certificate_that_nobody_signed_is_refused(self_signed: ssl.SSLContext) -> None:
    server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0, ssl=self_signed)
    port = server.sockets[0].getsockname()[1]
    assert await post(f"https://localhost:{port}/") == Refused("tls")
    server.close()
