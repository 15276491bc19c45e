"""A whole deployment in one process (signaling, and the SFU on its memory engine), and a client whose session
is compared with a transcript in proto/vectors/session, or written to one."""

import asyncio
import json
import os
import re
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

import aiohttp
import jwt
from google.protobuf import json_format
from nexus.signaling.v1 import session_pb2
from nexus_bus import MemoryBus
from nexus_bus.memory_bus import MemoryBroker
from nexus_runtime import Runtime
from nexus_sfu.config import SfuConfig
from nexus_sfu.core.commands import Command
from nexus_sfu.core.model import Reason, RoomKey
from nexus_sfu.engine_port import EngineEvent
from nexus_sfu.memory_engine import MemoryEngine
from nexus_sfu.service import SfuService
from nexus_signaling.config import SignalingConfig
from nexus_signaling.service import SignalingService
from nexus_testkit import make_runtime, wait_until
from pydantic import SecretStr

ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "proto" / "vectors" / "session"
OFFERS = ROOT / "services" / "sfu" / "tests" / "offers"
# Set: transcripts are written instead of compared.
WRITE = bool(os.environ.get("NEXUS_WRITE_VECTORS"))

APP = "devkey"
SECRET = "a-secret-of-thirty-two-bytes-or-more"
ROOM = "lobby"
PATIENCE_SECONDS = 20.0
QUIET_SECONDS = 0.5

Json = Any

ID = re.compile(r"\b(?:PA|TR|RM)_[A-Za-z0-9_-]{14,16}\b")
# Members whose values differ from run to run, and what a transcript has for them.
PLACEHOLDERS: dict[str, Json] = {
    "sdp": "<sdp>",
    "token": "<token>",
    "joinedAtMs": "1764547200000",
    "createdAtMs": "1764547200000",
    "atMs": "1764547200000",
    "serverAtMs": "1764547200000",
    "serverVersion": "<version>",
    "nodeId": "<node>",
    "ssrc": 1,
}


def token(identity: str, **grants: bool) -> str:
    claims: dict[str, Any] = {"iss": APP, "sub": identity, "room": ROOM, "exp": int(time.time()) + 600}
    if grants:
        claims["grants"] = {"create": True, "publish": True, "subscribe": True, "data": True} | grants
    return jwt.encode(claims, SECRET, algorithm="HS256")


def offer(name: str) -> str:
    return (OFFERS / f"{name}.sdp").read_bytes().decode()


class Names:
    """Ids by order of appearance: `PA_1`, `TR_1`, … stand for the random ones of a run."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def named(self, value: Json) -> Json:
        if isinstance(value, dict):
            return {k: PLACEHOLDERS.get(k, self.named(v)) for k, v in value.items()}
        if isinstance(value, list):
            return [self.named(one) for one in value]
        return ID.sub(lambda found: self._name(found[0]), value) if isinstance(value, str) else value

    def _name(self, random_id: str) -> str:
        kind = random_id[:2]
        count = sum(name.startswith(kind) for name in self._names.values())
        return self._names.setdefault(random_id, f"{kind}_{count + 1}")


class Deployment:
    """`async with Deployment() as deployment` starts a broker, an SFU and a signaling replica."""

    def __init__(self) -> None:
        broker = MemoryBroker()
        self.engine = MemoryEngine()
        self._sfu_runtime = make_runtime("sfu", MemoryBus(broker))
        config = SfuConfig.from_env(node_id="sfu-1", grpc_host="127.0.0.1", empty_timeout_ms=0)
        self.sfu = SfuService(config, self._sfu_runtime, self.engine)
        self.signaling_bus = MemoryBus(broker)
        self._signaling_runtime = make_runtime("signaling", self.signaling_bus)
        settings = SignalingConfig.from_env(
            development=True, apps=SecretStr(f"{APP}:{SECRET}"), port=0, shutdown_ms=300
        )
        self.signaling = SignalingService(settings, self._signaling_runtime)
        self._stack = AsyncExitStack()
        self._clients: list[Client] = []

    async def __aenter__(self) -> Self:
        await self.sfu.start()
        self._run(self.sfu, self._sfu_runtime)
        await self.signaling.start()
        self._run(self.signaling, self._signaling_runtime)
        await wait_until(lambda: self.signaling.nodes.fresh_count() > 0, timeout=PATIENCE_SECONDS)
        self._http = await self._stack.enter_async_context(aiohttp.ClientSession())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._http.close()
        self._signaling_runtime.life.stop()
        await self.signaling.drain()
        await self.signaling.close()
        await self.sfu.close()
        await self._stack.aclose()

    def _run(self, service: SfuService | SignalingService, runtime: Runtime) -> None:
        runtime.health.note_started()
        # The SFU's housekeeping rates connections every two seconds, which no transcript should depend on.
        work = dict(service.work())
        if service is self.sfu:
            work.pop("housekeeping").close()
        tasks = [asyncio.create_task(one) for one in work.values()]

        async def stop() -> None:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self._stack.push_async_callback(stop)

    async def connect(self) -> "Client":
        url = f"http://127.0.0.1:{self.signaling.port}/v1/rtc"
        client = Client(await self._http.ws_connect(url, protocols=["nexus.v1.json"], max_msg_size=0))
        self._clients.append(client)
        return client

    async def join(self, identity: str, *sources: str, **grants: bool) -> "Client":
        """Another participant, which publishes a microphone, a camera or both."""
        client = await self.connect()
        await client.request("join", join_request(identity, *sources, **grants))
        return client

    def handle(self, command: Command) -> None:
        """A command to the room at the SFU, in place of what the engine would measure."""
        self.sfu.sfu.handle(RoomKey(APP, ROOM), command)

    def close_room(self, reason: Reason) -> None:
        self.sfu.sfu.close_room(RoomKey(APP, ROOM), reason)

    async def settle(self, *events: EngineEvent) -> None:
        """Emits events of the engine and waits until the SFU has handled them and published the results."""
        self.engine.emit(*events)
        await asyncio.sleep(0.05)
        await self.sfu.events.flushed()

    def engine_track(self, number: int) -> int:
        """The engine's id of the track with this CSRC."""
        return next(i for i, track in self.engine.tracks.items() if track.number == number)

    def engine_slot(self, number: int) -> int:
        """The engine's id of the newest slot to which the track with this CSRC is bound."""
        track = self.engine_track(number)
        return max(i for i, slot in self.engine.slots.items() if slot.track == track)

    @property
    def engine_room(self) -> int:
        return next(iter(self.engine.rooms))


def join_request(identity: str, *sources: str, **grants: bool) -> Json:
    request = {"token": token(identity, **grants), "room": ROOM, "sdp": offer("chromium_join")}
    published = {"publications": publications(*sources)} if sources else {}
    return {**request, **published, "bindExisting": True}


def publications(*sources: str) -> list[Json]:
    """The first two sections of the recorded offers are a microphone and a camera."""
    every: dict[str, Json] = {
        "microphone": {"mid": "0", "source": "TRACK_SOURCE_MICROPHONE"},
        "camera": {"mid": "1", "source": "TRACK_SOURCE_CAMERA", "width": 1280, "height": 720},
    }
    return [every[source] for source in sources]


class Client:
    """A client with one WebSocket and the JSON subprotocol."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self._last_id = 0
        # The answer of the join.
        self.joined: Json = {}

    async def send(self, kind: str, request: Json) -> Json:
        self._last_id += 1
        message = session_pb2.ClientMessage(request_id=self._last_id)
        json_format.ParseDict({kind: request}, message)
        await self.socket.send_str(json_format.MessageToJson(message))
        return json_format.MessageToDict(message)

    async def receive(self) -> Json:
        """The next message; None when the server has closed the WebSocket."""
        frame = await self.socket.receive(timeout=PATIENCE_SECONDS)
        if frame.type is not aiohttp.WSMsgType.TEXT:
            return None
        message = json.loads(frame.data)
        self.joined = message.get("join", self.joined)
        return message

    async def request(self, kind: str, request: Json) -> Json:
        """Sends a request and returns its answer. Other messages are dropped."""
        await self.send(kind, request)
        while (message := await self.receive()) is not None:
            if message.get("requestId") == self._last_id:
                assert "error" not in message, message
                return message[kind]
        raise AssertionError("the server has closed the WebSocket")

    def own_track(self, source: str) -> Json:
        tracks = self.joined["participant"].get("tracks", [])
        return next(track for track in tracks if track["source"] == f"TRACK_SOURCE_{source.upper()}")


class Transcript:
    """Performs a scenario with one client, and compares its session with the transcript `name`."""

    def __init__(self, name: str, description: str, client: Client) -> None:
        self._path = VECTORS / f"{name}.json"
        self._description = description
        self._client = client
        self._names = Names()
        self._steps: list[Json] = []
        self._expected: list[Json] = [] if WRITE else json.loads(self._path.read_text())["steps"]

    async def app(self, action: Json, kind: str, request: Json) -> Json:
        """The application does something, which makes the SDK send a request; no action: the SDK sends it by
        itself. Returns the answer."""
        step = {"app": action} if action else {}
        message = await self._client.send(kind, request)
        self._steps.append(self._names.named({**step, "client": message}))
        return next((m.get(kind) for m in await self._receive() if "requestId" in m), None)

    async def room(self, event: str, action: Callable[[], object] | None = None) -> None:
        """Something happens in the room, of which the server informs the client."""
        self._steps.append({"room": event})
        if action is not None:
            action()
        await self._receive()

    async def _receive(self) -> list[Json]:
        """Receives what follows: as many messages as the transcript has, or until it is quiet. A reply and
        the events of its request travel on different ways, so they are put into one order."""
        received: list[Json] = []
        while (message := await self._next(len(received))) is not None:
            received.append(message)
        received.sort(key=lambda m: (not m.get("requestId"), int(m.get("event", {}).get("revision", 0))))
        self._steps += [{"server": self._names.named(message)} for message in received]
        return received

    async def _next(self, received: int) -> Json:
        if not WRITE:
            following = self._expected[len(self._steps) :]
            count = next((i for i, step in enumerate(following) if "server" not in step), len(following))
            return await self._client.receive() if received < count else None
        try:
            async with asyncio.timeout(QUIET_SECONDS):
                return await self._client.receive()
        except TimeoutError:
            return None

    def finish(self) -> None:
        if WRITE:
            content = {"description": self._description, "steps": self._steps}
            self._path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
            return
        without_expectations = [
            {key: step[key] for key in ("app", "client", "room", "server") if key in step}
            for step in self._expected
        ]
        assert self._steps == without_expectations
