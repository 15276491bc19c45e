"""Adapter for Janus VideoRoom: Debian's `janus` (1.x, multistream), over its WebSocket API.

The settings are those that its documentation recommends for performance: a static event loop per core instead
of a thread per participant, ICE lite, no debug logs, no event handlers, no recording, and unneeded plugins
disabled. A participant has one peer connection for publishing, and one for all tracks that it watches.
"""

import asyncio
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
from _load import Generator, Participant, free_port
from _network import SERVER_ADDRESS
from _sdp import answer, media_lines, publisher_offer, read
from _server import ServerProcess

BINARY = "janus"
ROOM = 1
TRANSPORTS = ("http", "mqtt", "nanomsg", "pfunix", "rabbitmq")
PLUGINS: tuple[str, ...] = (
    "audiobridge",
    "duktape",
    "echotest",
    "lua",
    "nosip",
    "recordplay",
    "sip",
    "streaming",
    "textroom",
)
PLUGINS += ("videocall", "voicemail")

CORE_CONFIGURATION = """
general: {{
  configs_folder = "{folder}"
  debug_level = 2
  event_loops = 1
  session_timeout = 0
}}
nat: {{
  ice_lite = true
  ice_enforce_list = "{address}"
}}
plugins: {{ disable = "{plugins}" }}
transports: {{ disable = "{transports}" }}
loggers: {{ disable = "libjanus_jsonlog.so" }}
"""
WEBSOCKET_CONFIGURATION = """
general: {{
  json = "compact"
  ws = true
  ws_port = {port}
  ws_ip = "127.0.0.1"
  wss = false
}}
"""
ROOM_SETTINGS = {
    "request": "create",
    "room": ROOM,
    "publishers": 5_000,
    "bitrate": 0,
    "fir_freq": 0,
    "audiocodec": "opus",
    "videocodec": "vp8",
    "transport_wide_cc_ext": True,
    "audiolevel_ext": True,
    "audiolevel_event": False,
    "record": False,
}


class JanusError(Exception):
    """Janus refused a request."""


class JanusSession:
    """One session with many handles on one WebSocket. Answers are matched by their transaction."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._up: dict[int, asyncio.Event] = {}
        self._transactions = 0
        self._session = 0
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for frame in self._socket:
            message = frame.json()
            if message["janus"] == "webrtcup":
                self._up[message["sender"]].set()
            # The plugin works asynchronously: its answer follows the `ack`.
            waiting = self._waiting.get(message.get("transaction", ""))
            if waiting is not None and not waiting.done() and message["janus"] != "ack":
                waiting.set_result(message)

    async def ask(self, janus: str, **fields: object) -> dict[str, Any]:
        self._transactions += 1
        transaction = str(self._transactions)
        answered = self._waiting[transaction] = asyncio.get_running_loop().create_future()
        if self._session:
            fields["session_id"] = self._session
        await self._socket.send_json({"janus": janus, "transaction": transaction, **fields})
        try:
            message = await asyncio.wait_for(answered, 30)
        finally:
            del self._waiting[transaction]
        data: dict[str, Any] = message.get("plugindata", {}).get("data", {})
        if message["janus"] == "error" or "error" in data:
            raise JanusError(f"{janus}: {message.get('error') or data}")
        return dict(message)

    async def open(self) -> None:
        self._session = (await self.ask("create"))["data"]["id"]

    async def attach(self) -> int:
        handle = int((await self.ask("attach", plugin="janus.plugin.videoroom"))["data"]["id"])
        self._up[handle] = asyncio.Event()
        return handle

    async def until_up(self, handle: int) -> None:
        """Waits for ICE and DTLS; only then is a publisher a feed that others can watch."""
        await asyncio.wait_for(self._up[handle].wait(), 30)

    async def say(
        self, handle: int, body: dict[str, object], jsep: dict[str, str] | None = None
    ) -> dict[str, Any]:
        extra = {"jsep": jsep} if jsep else {}
        return await self.ask("message", handle_id=handle, body=body, **extra)

    async def close(self) -> None:
        self._reader.cancel()
        await self._socket.close()


class JanusAdapter(ServerProcess):
    name = "janus"
    media_threads = "hloop"

    def __init__(self) -> None:
        super().__init__()
        self._http: aiohttp.ClientSession | None = None
        self._janus: JanusSession | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="nexus-bench-janus-"))
        self._handles: dict[int, list[int]] = {}
        self._feeds: dict[int, Participant] = {}

    async def start(self, *, core: int) -> None:
        port = free_port()
        self._configure(port)
        process = await self._spawn(core, BINARY, "-F", str(self._folder), "-o")
        self._http = aiohttp.ClientSession()
        url = f"ws://127.0.0.1:{port}/"
        for _ in range(100):
            if process.returncode is not None:
                raise RuntimeError(f"Janus did not start: run `janus -F {self._folder}` to see why")
            try:
                socket = await self._http.ws_connect(url, protocols=("janus-protocol",), max_msg_size=0)
                break
            except aiohttp.ClientError:
                await asyncio.sleep(0.1)
        else:
            raise RuntimeError("Janus does not listen")
        self._janus = JanusSession(socket)
        await self._janus.open()
        await self._janus.say(await self._janus.attach(), dict(ROOM_SETTINGS))

    def _configure(self, port: int) -> None:
        off = {
            "plugins": ",".join(f"libjanus_{name}.so" for name in PLUGINS),
            "address": SERVER_ADDRESS,
            "transports": ",".join(f"libjanus_{name}.so" for name in TRANSPORTS),
        }
        files = {
            "janus.jcfg": CORE_CONFIGURATION.format(folder=self._folder, **off),
            "janus.transport.websockets.jcfg": WEBSOCKET_CONFIGURATION.format(port=port),
            "janus.plugin.videoroom.jcfg": "general: { events = false }\n",
        }
        for name, text in files.items():
            (self._folder / name).write_text(text)

    async def join(self, generator: Generator, participants: Sequence[Participant]) -> None:
        for participant in participants:
            self._handles[participant.index] = []
            if participant.publishes:
                await generator.until(self._publish(generator, participant))
        for participant in participants:
            if participant.watches:
                await generator.until(self._subscribe(generator, participant))
                generator.pump()

    async def _publish(self, generator: Generator, participant: Participant) -> None:
        assert self._janus is not None
        handle = await self._attach(participant)
        endpoint = generator.add(participant)
        body = {"request": "join", "ptype": "publisher", "room": ROOM, "id": participant.index + 1}
        await self._janus.say(handle, body)
        # Janus takes the first RID as the highest encoding, as its own client orders them.
        published = participant.published
        published = replace(published, encodings=published.encodings[::-1])
        offer = publisher_offer(endpoint, published, setup="active")
        answered = await self._janus.say(handle, {"request": "publish"}, {"type": "offer", "sdp": offer})
        generator.connect(endpoint, read(answered["jsep"]["sdp"]))
        await self._janus.until_up(handle)
        self._feeds[participant.index] = participant

    async def _subscribe(self, generator: Generator, participant: Participant) -> None:
        assert self._janus is not None
        streams = [
            {"feed": feed + 1, "mid": mid} for feed, mid in watched(participant, list(self._feeds.values()))
        ]
        if not streams:
            return
        handle = await self._attach(participant)
        body = {"request": "join", "ptype": "subscriber", "room": ROOM, "streams": streams}
        offer = read((await self._janus.say(handle, body))["jsep"]["sdp"])
        endpoint = generator.add(participant, sends=False, media=media_lines(offer))
        generator.receive(endpoint, offer)
        jsep = {"type": "answer", "sdp": answer(offer, endpoint)}
        await self._janus.say(handle, {"request": "start"}, jsep)
        generator.connect(endpoint, offer)

    async def _attach(self, participant: Participant) -> int:
        assert self._janus is not None
        handle = await self._janus.attach()
        self._handles[participant.index].append(handle)
        return handle

    async def leave(self, generator: Generator, participants: Sequence[Participant]) -> None:
        assert self._janus is not None
        for participant in participants:
            self._feeds.pop(participant.index, None)
            generator.leave(participant)
            for handle in self._handles.pop(participant.index):
                await self._janus.ask("detach", handle_id=handle)

    def features(self) -> dict[str, object]:
        return {
            "version": janus_version(),
            "twcc": "from publishers",
            "rtx": True,
            "pacing": False,
            "bandwidth_estimation": "none",
            "udp": "recvmsg, sendto, one a packet (libnice)",
            "settings": {"event_loops": 1, "ice_lite": True, "debug_level": 2},
        }

    async def stop(self) -> None:
        if self._janus is not None:
            await self._janus.close()
        if self._http is not None:
            await self._http.close()
        await self._end(kill=True)  # on SIGTERM it would close every session, one after another
        shutil.rmtree(self._folder, ignore_errors=True)


def watched(participant: Participant, publishers: Sequence[Participant]) -> list[tuple[int, str]]:
    """(publisher, MID) of all tracks that this participant watches, in the order in which the publishers
    joined."""
    others = [other for other in publishers if other.index != participant.index]
    audio = [(other.index, other.published.mids[0]) for other in others if other.audio][
        : participant.audio_slots
    ]
    videos = [(other.index, other.published.mids[-1]) for other in others if other.video][
        : participant.video_slots
    ]
    return [*audio, *videos]


def janus_version() -> str:
    text = subprocess.run([BINARY, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"(\d+\.\d+\.\d+)", text)
    return found[1] if found else "unknown"
