"""Hostile input: a client always receives typed errors and a close code, and no internal details."""

import asyncio
import json
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from google.protobuf import json_format
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nexus.events.v1 import room_pb2
from nexus.signaling.v1 import session_pb2
from nexus.types.v1 import media_pb2
from nexus.types.v1.error_pb2 import ErrorCode
from nexus_signaling.errors import CloseCode
from nexus_testkit import wait_until

from services.signaling.tests.harness import Client, Harness, client_message, code_of, mint, transport_of

SUBPROTOCOLS = pytest.mark.parametrize("subprotocol", ["nexus.v1", "nexus.v1.json"])
LEAKS = ("Traceback", "nexus_signaling", ".py", str(Path(__file__).parents[3]), "Exception", "0x7f")


async def frames_of(socket: aiohttp.ClientWebSocketResponse) -> list[bytes | str]:
    """All messages until the socket is closed."""
    frames: list[bytes | str] = []
    while True:
        frame = await socket.receive(timeout=10)
        if frame.type not in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT):
            return frames
        frames.append(frame.data)


@SUBPROTOCOLS
async def test_malformed_messages_are_answered_and_the_session_continues(
    harness: Harness, subprotocol: str
) -> None:
    client, _ = await harness.joined("ann", subprotocol=subprotocol)
    for frame in (b"\xff\xff\xff", "{", "[]", "null", b"", ""):
        if isinstance(frame, bytes):
            await client.socket.send_bytes(frame)
        else:
            await client.socket.send_str(frame)
        reply = await client.receive()
        assert code_of(reply) == "INVALID_MESSAGE"
        assert reply.request_id == 0
        assert not reply.error.fatal
    assert (await client.request(ping={})).WhichOneof("body") == "ping"


async def test_too_many_malformed_messages_close_the_socket(harness: Harness) -> None:
    client, _ = await harness.joined("ann")
    for _ in range(8):
        await client.socket.send_bytes(b"\xff")
    for _ in range(8):
        last = await client.receive()
    assert last.error.fatal
    assert await client.closed() == CloseCode.PROTOCOL_ERROR
    await wait_until(lambda: not harness.room().participants)


@SUBPROTOCOLS
async def test_an_oversized_message_is_answered_before_the_close(subprotocol: str) -> None:
    async with Harness(max_message_bytes=5000) as harness:
        client, _ = await harness.joined("ann", subprotocol=subprotocol)
        await client.send(client_message(9, offer={"sdp": "x" * 4900}))
        assert (await client.receive()).request_id == 9
        # The limit applies to the inflated message, however well it compresses.
        await client.send(client_message(10, offer={"sdp": "x" * 5000}))
        error = await client.receive()
        assert code_of(error) == "MESSAGE_TOO_LARGE"
        assert error.error.fatal
        assert error.error.details["limit_bytes"] == "5000"
        assert await client.closed() == CloseCode.MESSAGE_TOO_LARGE
        await wait_until(lambda: not harness.room().participants)


async def test_an_uncompressed_oversized_message_is_refused() -> None:
    async with Harness(max_message_bytes=5000) as harness:
        client = await harness.connect(compress=0)
        await client.send(client_message(1, join={"sdp": "x" * 6000}))
        assert code_of(await client.receive()) == "MESSAGE_TOO_LARGE"
        assert await client.closed() == CloseCode.MESSAGE_TOO_LARGE


class RawSocket:
    """A hand-written WebSocket for frames that no client library sends (RFC 6455 §5.2, RFC 7692 §7.2)."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int) -> "RawSocket":
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"GET /v1/rtc HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Protocol: nexus.v1\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 101 " in head
        assert b"permessage-deflate" in head
        return cls(reader, writer)

    def send(self, first_byte: int, payload: bytes) -> None:
        size = len(payload)
        length = bytes([0x80 | 127]) + size.to_bytes(8, "big")
        self.writer.write(bytes([first_byte]) + length + b"\0\0\0\0" + payload)  # masked with zeros

    async def receive(self) -> tuple[int, bytes]:
        """(opcode, payload) of one short frame."""
        first, second = await self.reader.readexactly(2)
        size = second & 127
        if size == 126:
            size = int.from_bytes(await self.reader.readexactly(2), "big")
        payload = await self.reader.readexactly(size)
        if first & 0x40:
            payload = zlib.decompressobj(-15).decompress(payload + b"\0\0\xff\xff")
        return first & 15, payload


def resident_kib() -> int:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


async def test_a_deflate_bomb_is_refused_before_it_is_inflated(harness: Harness) -> None:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = b"\0" * (1 << 20)
    bomb = b"".join(deflate.compress(block) for _ in range(200)) + deflate.flush(zlib.Z_SYNC_FLUSH)
    assert len(bomb) < 256 * 1024  # small enough to be read, 200 MiB when inflated
    socket = await RawSocket.connect(harness.service.port)
    before = resident_kib()
    socket.send(0xC2, bomb.removesuffix(b"\0\0\xff\xff"))
    opcode, payload = await socket.receive()
    error = session_pb2.ServerMessage.FromString(payload).error
    assert opcode == 2
    assert ErrorCode.Name(error.code) == "MESSAGE_TOO_LARGE"
    opcode, payload = await socket.receive()
    assert (opcode, int.from_bytes(payload[:2], "big")) == (8, CloseCode.MESSAGE_TOO_LARGE)
    assert resident_kib() - before < 50 * 1024
    socket.writer.close()


async def test_a_fragmented_deflate_bomb_is_refused(harness: Harness) -> None:
    socket = await RawSocket.connect(harness.service.port)
    socket.send(0x02, b"x" * 200_000)  # first of many, never the last
    socket.send(0x00, b"x" * 200_000)
    opcode, payload = await socket.receive()
    assert opcode == 2
    error = session_pb2.ServerMessage.FromString(payload).error
    assert ErrorCode.Name(error.code) == "MESSAGE_TOO_LARGE"
    socket.writer.close()


@pytest.mark.parametrize(
    "garbage", [b"\xff\xff\xff\xff", b"\x83\x80\0\0\0\0", b"\x02\x05hello", b"\xf2\x80\0\0\0\0"]
)
async def test_invalid_websocket_frames_close_the_socket(harness: Harness, garbage: bytes) -> None:
    socket = await RawSocket.connect(harness.service.port)
    socket.writer.write(garbage + b"\0" * 16)
    socket.writer.write_eof()
    assert await asyncio.wait_for(socket.reader.read(), 10) is not None
    await wait_until(lambda: harness.metric("connections") == 0)
    socket.writer.close()


async def test_an_internal_defect_ends_one_session_and_reveals_nothing(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, _ = await harness.joined("bob")
    client, _ = await harness.joined("ann")

    def broken(*_arguments: object) -> None:
        raise RuntimeError("a secret of ours")

    monkeypatch.setattr("nexus_signaling.core.session.to_sfu", broken)
    await client.send(client_message(2, update_slots={}))
    reply = await client.event("error")
    assert code_of(reply) == "INTERNAL"
    assert reply.error.fatal
    assert "secret" not in str(reply)
    assert await client.closed() == CloseCode.REFUSED
    assert (await other.request(ping={})).WhichOneof("body") == "ping"
    await wait_until(lambda: [p.identity for p in harness.room().participants.values()] == ["bob"])


async def test_a_failing_session_does_not_affect_others_in_its_room(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    await harness.joined("ann", subprotocol="nexus.v1.json")
    bob, _ = await harness.joined("bob")

    def broken(_self: object) -> str:
        raise RuntimeError("cannot be encoded")

    monkeypatch.setattr("nexus_signaling.outgoing.Outgoing.json", broken)
    left = room_pb2.TrackMuted(track_id="TR_1")
    await harness.sfu.emit(harness.room(), "track-muted", track_muted=left)
    assert (await bob.event("track_muted")).event.track_muted.track_id == "TR_1"
    assert (await bob.event("participant_left")).event.participant_left.identity == "ann"


async def test_too_many_messages_are_refused_and_then_end_the_session() -> None:
    async with Harness(messages_per_second=1, message_burst=10, max_rate_limited=5) as harness:
        client, _ = await harness.joined("ann")
        for number in range(2, 20):
            await client.send(client_message(number, ping={}))
        replies = [await client.receive() for _ in range(14)]
        assert [reply.WhichOneof("body") for reply in replies] == ["ping"] * 9 + ["error"] * 5
        assert {code_of(reply) for reply in replies[9:]} == {"RATE_LIMITED"}
        assert replies[9].request_id == 11
        assert replies[9].error.retry_after_ms > 0
        assert replies[-1].error.fatal
        assert await client.closed() == CloseCode.RATE_LIMITED


async def test_a_flood_of_websocket_pings_ends_the_session() -> None:
    async with Harness(messages_per_second=1, message_burst=10, max_rate_limited=5) as harness:
        client, _ = await harness.joined("ann")
        for _ in range(20):
            await client.socket.ping(b"x")
        assert await client.closed() == CloseCode.RATE_LIMITED


async def test_a_client_that_does_not_read_is_disconnected_and_others_receive_everything() -> None:
    async with Harness(outbox_messages=50, outbox_bytes=256 * 1024) as harness:
        fast, _ = await harness.joined("fast")
        slow, _ = await harness.joined("slow")
        transport_of(slow).pause_reading()
        room = harness.room()
        listening = asyncio.create_task(fast.event("participant_left"))
        # Names that do not compress, until the kernel's buffers are full too.
        number = 0
        while harness.metric("closes_total", code=str(int(CloseCode.TOO_SLOW))) == 0:
            number += 1
            assert number < 20_000
            noise = "".join(chr(0x4E00 + (number * 7919 + index * 104_729) % 20_000) for index in range(5000))
            joined = room_pb2.ParticipantJoined(
                participant=media_pb2.Participant(id=f"PA_x{number}", metadata=noise)
            )
            await harness.sfu.emit(room, "participant-joined", participant_joined=joined)
            await asyncio.sleep(0)
        left = (await asyncio.wait_for(listening, 20)).event.participant_left
        assert left.identity == "slow"
        assert harness.metric("outbox_dropped_total") > 0
        await wait_until(lambda: harness.metric("connections") == 1)


def any_client_message() -> st.SearchStrategy[session_pb2.ClientMessage]:
    """Well-formed messages with arbitrary contents."""
    text = st.text(max_size=20)
    texts = st.lists(text, max_size=3)
    requests = st.one_of(
        st.builds(lambda t, s: {"join": {"token": t, "room": s, "sdp": s}}, text, text),
        st.builds(lambda s: {"offer": {"sdp": s}}, text),
        st.builds(lambda a, b: {"update_slots": {"bind_track_ids": a, "unbind_track_ids": b}}, texts, texts),
        st.builds(
            lambda a, b: {"update_subscriptions": {"track_ids": a, "subscribed": b}}, texts, st.booleans()
        ),
        st.builds(lambda a: {"unpublish": {"track_ids": a}}, texts),
        st.builds(lambda a: {"set_muted": {"track_id": a}}, text),
        st.builds(lambda a, b: {"update_participant": {"participant_id": a, "name": b}}, text, text),
        st.builds(lambda a: {"remove_participant": {"participant_id": a}}, text),
        st.just({"ping": {}}),
        st.just({}),
    )
    return st.builds(
        lambda number, request: client_message(number, **request),
        st.integers(0, 5),
        requests,
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["requestId", "join", "sdp", "token", "offer", "publications", "mid", "leave"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)
BINARY_FRAMES = st.one_of(st.binary(max_size=200), any_client_message().map(lambda m: m.SerializeToString()))
TEXT_FRAMES = st.one_of(
    st.text(max_size=200), JSON.map(json.dumps), any_client_message().map(json_format.MessageToJson)
)


@pytest.fixture
async def standing() -> AsyncIterator[Harness]:
    """One service for all examples of a property test."""
    limits: dict[str, Any] = {"messages_per_second": 1e6, "message_burst": 1_000_000, "max_malformed": 1_000}
    async with Harness(**limits) as running:
        yield running


async def answers_to(harness: Harness, subprotocol: str, frames: list[bytes | str], joined: bool) -> None:
    client: Client
    if joined:
        client, _ = await harness.joined("ann", subprotocol=subprotocol)
    else:
        client = await harness.connect(subprotocol)
    for frame in frames:
        if isinstance(frame, bytes):
            await client.socket.send_bytes(frame)
        else:
            await client.socket.send_str(frame)
    await client.send(client_message(4_000_000_000, leave={}))
    if not joined:
        await client.send(client_message(4_000_000_001, join={"token": mint(exp=1)}))
    received = await frames_of(client.socket)
    assert client.socket.close_code in {int(code) for code in CloseCode}
    for answer in received:
        if isinstance(answer, bytes):
            message = session_pb2.ServerMessage.FromString(answer)
        else:
            message = json_format.Parse(answer, session_pb2.ServerMessage())
        assert message.WhichOneof("body") is not None
        if message.WhichOneof("body") == "error":
            assert message.error.code in ErrorCode.values()
            assert message.error.code not in (ErrorCode.ERROR_CODE_UNSPECIFIED, ErrorCode.INTERNAL)
            assert message.error.message
        assert not any(leak in str(message) for leak in LEAKS)


PROPERTY = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@PROPERTY
@given(st.lists(BINARY_FRAMES, max_size=5), st.booleans())
async def test_any_bytes_receive_typed_answers(
    standing: Harness, frames: list[bytes | str], joined: bool
) -> None:
    await answers_to(standing, "nexus.v1", frames, joined)


@PROPERTY
@given(st.lists(TEXT_FRAMES, max_size=5), st.booleans())
async def test_any_text_receives_typed_answers(
    standing: Harness, frames: list[bytes | str], joined: bool
) -> None:
    await answers_to(standing, "nexus.v1.json", frames, joined)
