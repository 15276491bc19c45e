"""A signaling service in this process, with a fake SFU and real WebSocket clients."""

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Any, Self

import aiohttp
import jwt
from google.protobuf import json_format
from nexus.signaling.v1 import session_pb2
from nexus.types.v1.error_pb2 import ErrorCode
from nexus_bus import Bus, MemoryBus
from nexus_rooms.testing import FakeSfu
from nexus_signaling.config import SignalingConfig
from nexus_signaling.service import SignalingService
from nexus_testkit import make_runtime, wait_until
from pydantic import SecretStr

APP = "devkey"
SECRET = "a-secret-of-thirty-two-bytes-or-more"
TIMEOUT_SECONDS = 10.0


def mint(identity: str = "ann", room: str = "lobby", /, secret: str = SECRET, **claims: Any) -> str:
    """A valid token, unless `claims` change it; a claim of None is left out."""
    now = int(time.time())
    payload = {"iss": APP, "sub": identity, "room": room, "iat": now, "exp": now + 600} | claims
    return jwt.encode({k: v for k, v in payload.items() if v is not None}, secret, algorithm="HS256")


def client_message(request_id: int, **request: Any) -> session_pb2.ClientMessage:
    """A message with the request given as a dict, which protobuf accepts but its type stubs do not."""
    return session_pb2.ClientMessage(request_id=request_id, **request)


def tear(client: "Client") -> None:
    """Aborts the TCP connection, as a network failure does."""
    transport_of(client).abort()


def transport_of(client: "Client") -> asyncio.Transport:
    connection = client.socket._response.connection
    assert connection is not None
    assert isinstance(connection.transport, asyncio.Transport)
    return connection.transport


class Client:
    """A client with one WebSocket, used as by an SDK."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.binary = socket.protocol == "nexus.v1"
        self._request_id = 0
        self.unsolicited: list[session_pb2.ServerMessage] = []

    async def send(self, message: session_pb2.ClientMessage) -> None:
        if self.binary:
            await self.socket.send_bytes(message.SerializeToString())
        else:
            await self.socket.send_str(json_format.MessageToJson(message))

    async def receive(self) -> session_pb2.ServerMessage:
        """The next message of any kind."""
        frame = await self.socket.receive(timeout=TIMEOUT_SECONDS)
        if frame.type is aiohttp.WSMsgType.BINARY:
            assert self.binary
            return session_pb2.ServerMessage.FromString(frame.data)
        assert frame.type is aiohttp.WSMsgType.TEXT, f"{frame!r}, close code {self.socket.close_code}"
        assert not self.binary
        return json_format.Parse(frame.data, session_pb2.ServerMessage())

    async def request(self, **request: Any) -> session_pb2.ServerMessage:
        """Sends a request and returns its reply; other messages are kept in `unsolicited`."""
        self._request_id += 1
        await self.send(session_pb2.ClientMessage(request_id=self._request_id, **request))
        while True:
            message = await self.receive()
            if message.request_id == self._request_id:
                return message
            self.unsolicited.append(message)

    async def join(self, token: str | None = None, /, **fields: Any) -> session_pb2.ServerMessage:
        values: dict[str, Any] = {"room": "lobby", "sdp": "v=0 offer"} | fields
        return await self.request(
            join=session_pb2.JoinRequest(token=mint() if token is None else token, **values)
        )

    async def event(self, kind: str) -> session_pb2.ServerMessage:
        """The next message that is an event of this kind, or whose `body` field has this name."""
        while True:
            message = self.unsolicited.pop(0) if self.unsolicited else await self.receive()
            if message.WhichOneof("body") == kind or message.event.WhichOneof("event") == kind:
                return message

    async def closed(self) -> int:
        """Reads until the socket is closed and returns the close code."""
        while True:
            frame = await self.socket.receive(timeout=TIMEOUT_SECONDS)
            if frame.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
                assert self.socket.close_code is not None
                return self.socket.close_code


class Harness:
    """`async with Harness() as harness` starts a bus, one SFU and one replica."""

    def __init__(self, bus: Bus | None = None, /, *, sfu: FakeSfu | None = None, **config: Any) -> None:
        self.bus: Bus = bus or MemoryBus()
        self.sfu = sfu or FakeSfu(self.bus)
        settings: dict[str, Any] = {
            "development": True,
            "apps": SecretStr(f"{APP}:{SECRET}"),
            "port": 0,
            "sfu_timeout_ms": 2_000,
            "shutdown_ms": 300,
            "node_timeout_ms": 300_000,
            "node_silence_ms": 200,
        }
        self.config = SignalingConfig.from_env(**(settings | config))
        self.runtime = make_runtime("signaling", self.bus)
        self.service = SignalingService(self.config, self.runtime)
        self._owns_sfu = sfu is None
        self._stack = AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []
        self._clients: list[Client] = []
        self._http: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        if self._owns_sfu:
            await self.sfu.start()
            self._stack.push_async_callback(self.sfu.stop)
        await self.service.start()
        self.runtime.health.note_started()
        self._tasks = [asyncio.create_task(work) for work in self.service.work().values()]
        await wait_until(lambda: self.service.nodes.fresh_count() > 0)
        self._http = await self._stack.enter_async_context(aiohttp.ClientSession())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._http.close()
        self.runtime.life.stop()
        await self.service.drain()
        await self.service.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.service.port}"

    @property
    def http(self) -> aiohttp.ClientSession:
        return self._http

    async def connect(self, subprotocol: str = "nexus.v1", **options: Any) -> Client:
        options = {"compress": 15, "max_msg_size": 0} | options
        client = Client(await self._http.ws_connect(f"{self.url}/v1/rtc", protocols=[subprotocol], **options))
        self._clients.append(client)  # a client without a reference would be collected and disconnect
        return client

    async def joined(
        self, identity: str = "ann", room: str = "lobby", /, subprotocol: str = "nexus.v1", **fields: Any
    ) -> tuple[Client, session_pb2.JoinResponse]:
        """A client that has joined, and the answer to its join."""
        claims = fields.pop("claims", {})
        client = await self.connect(subprotocol)
        reply = await client.join(mint(identity, room, **claims), room=room, **fields)
        assert reply.WhichOneof("body") == "join", reply
        return client, reply.join

    def metric(self, name: str, **labels: str) -> float:
        return self.runtime.metrics.registry.get_sample_value(f"nexus_signaling_{name}", labels) or 0.0

    def room(self, name: str = "lobby") -> Any:
        return self.sfu.rooms[APP, name]


def grants(**granted: bool) -> dict[str, dict[str, bool]]:
    return {"grants": granted}


def code_of(message: session_pb2.ServerMessage) -> str:
    assert message.WhichOneof("body") == "error", message
    return ErrorCode.Name(message.error.code)
