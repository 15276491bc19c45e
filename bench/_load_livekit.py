"""Adapter for LiveKit: `livekit-server`, built from its Go module, over its WebSocket protocol.

The settings are those of its production sample: one UDP port per core, ICE lite, batched writes, and only
errors logged. A participant publishes on one peer connection and watches on a second one, which the server
offers, and offers again when there are more tracks. A track becomes available to others when its first media
arrives.
"""

import asyncio
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import aiohttp
import jwt
from _load import BUILD, Generator, Participant, free_port
from _network import SERVER_ADDRESS
from _sdp import Description, Endpoint, answer, media_lines, publisher_offer, read
from _server import ServerProcess
from livekit.protocol import models, rtc

# The newest version whose module builds without replacements, as `go install` requires.
MODULE, VERSION = "github.com/livekit/livekit-server/cmd/server", "v1.13.5"
BINARY = BUILD / "livekit" / VERSION / "server"
KEY, SECRET, ROOM = "bench", "a-secret-of-the-benchmark-that-protects-nothing", "load"
CONFIGURATION = """
port: {port}
bind_addresses: [127.0.0.1]
keys: {{ {key}: {secret} }}
logging: {{ level: error }}
rtc:
  udp_port: {udp}
  tcp_port: 0
  node_ip: {address}
  use_external_ip: false
  use_ice_lite: true
  interfaces: {{ includes: [sfu] }}
  batch_io: {{ batch_size: 128, max_flush_interval: 2ms }}
"""
QUALITIES = (models.VideoQuality.LOW, models.VideoQuality.MEDIUM, models.VideoQuality.HIGH)
SIGNAL_PATIENCE_SECONDS = 30


def build() -> None:
    """Builds the pinned version with `go install`, through the module proxy that this machine's Go uses."""
    if BINARY.exists():
        return
    BINARY.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "GOBIN": str(BINARY.parent), "GOFLAGS": "-trimpath"}
    built = subprocess.run(["go", "install", f"{MODULE}@{VERSION}"], check=False, env=environment)
    if built.returncode != 0:
        raise SystemExit(f"{MODULE}@{VERSION} could not be built (see above): try again, or name --servers")


class Signal:
    """The signaling of one participant: the state of its two peer connections and of its tracks."""

    def __init__(
        self, socket: aiohttp.ClientWebSocketResponse, generator: Generator, participant: Participant
    ) -> None:
        self._socket, self._generator, self.participant = socket, generator, participant
        self._publisher: Endpoint | None = None
        self._subscriber: Endpoint | None = None
        self._answer: Description | None = None
        self._offer: Description | None = None
        self._candidates: dict[int, set[str]] = {}
        self._connected: set[int] = set()
        self.known: set[int] = set()  # SSRCs that it receives
        self.published: set[str] = set()
        self.changed = asyncio.Event()
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._ping())]

    async def _read(self) -> None:
        async for frame in self._socket:
            if frame.type is not aiohttp.WSMsgType.BINARY:
                continue
            response = rtc.SignalResponse.FromString(frame.data)
            match response.WhichOneof("message"):
                case "offer":
                    await self._on_offer(response.offer)
                case "answer":
                    self._answer = read(response.answer.sdp)
                    self._connect(rtc.SignalTarget.PUBLISHER)
                case "trickle":
                    self._on_candidate(response.trickle)
                case "track_published":
                    self.published.add(response.track_published.cid)
                case _:
                    continue
            self.changed.set()

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(5)
            await self._send(rtc.SignalRequest(ping=int(time.time() * 1000)))

    async def _send(self, request: rtc.SignalRequest) -> None:
        await self._socket.send_bytes(request.SerializeToString())

    async def publish(self) -> None:
        participant = self.participant
        if participant.audio:
            await self._send(rtc.SignalRequest(add_track=_audio_track()))
        if participant.video:
            await self._send(rtc.SignalRequest(add_track=_video_track(participant)))
        self._publisher = self._generator.add(participant)
        sdp = publisher_offer(self._publisher, participant.published, setup="active")
        await self._send(rtc.SignalRequest(offer=rtc.SessionDescription(type="offer", sdp=sdp)))

    async def _on_offer(self, message: rtc.SessionDescription) -> None:
        self._offer = offer = read(message.sdp)
        if self._subscriber is None:
            self._subscriber = self._generator.add(self.participant, sends=False, media=media_lines(offer))
        else:
            self._generator.set_media(self._subscriber, media_lines(offer))
        self._generator.receive(self._subscriber, offer, known=self.known)
        sdp = answer(offer, self._subscriber)
        reply = rtc.SessionDescription(type="answer", sdp=sdp, id=message.id)
        await self._send(rtc.SignalRequest(answer=reply))
        self._connect(rtc.SignalTarget.SUBSCRIBER)

    def _on_candidate(self, trickle: rtc.TrickleRequest) -> None:
        text = json.loads(trickle.candidateInit).get("candidate", "")
        if found := re.search(r"\S+ 1 udp \d+ (\d+\.\d+\.\d+\.\d+) (\d+) typ host", text, re.IGNORECASE):
            self._candidates.setdefault(trickle.target, set()).add(f"{found[1]}:{found[2]}")
            self._connect(trickle.target)

    def _connect(self, target: int) -> None:
        """Connects once, when both the description and a candidate have arrived, in either order."""
        publishes = target == rtc.SignalTarget.PUBLISHER
        endpoint, remote = (self._publisher, self._answer) if publishes else (self._subscriber, self._offer)
        if endpoint is None or remote is None or target in self._connected:
            return
        candidates = {*remote.candidates, *self._candidates.get(target, ())}
        if not candidates:
            return
        self._connected.add(target)
        self._generator.connect(endpoint, remote.with_candidates(candidates))

    async def until_published(self) -> None:
        wanted = {
            cid
            for cid, there in (("audio", self.participant.audio), ("video", self.participant.video))
            if there
        }
        await self._until(lambda: wanted <= self.published)

    async def until_watching(self, streams: int) -> None:
        await self._until(lambda: len(self.known) >= streams)

    async def _until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(SIGNAL_PATIENCE_SECONDS):
            while not done():
                self.changed.clear()
                await self.changed.wait()

    async def close(self, *, leave: bool) -> None:
        for task in self._tasks:
            task.cancel()
        if leave:
            await self._send(rtc.SignalRequest(leave=rtc.LeaveRequest()))
        await self._socket.close()


def _audio_track() -> rtc.AddTrackRequest:
    source = models.TrackSource.MICROPHONE
    return rtc.AddTrackRequest(cid="audio", type=models.TrackType.AUDIO, source=source, disable_red=True)


def _video_track(participant: Participant) -> rtc.AddTrackRequest:
    layers = [
        models.VideoLayer(quality=quality, width=width, height=height, bitrate=bitrate)
        for quality, (_, bitrate, width, height) in zip(
            QUALITIES[-len(participant.encodings()) :], participant.encodings(), strict=True
        )
    ]
    request = rtc.AddTrackRequest(
        cid="video", type=models.TrackType.VIDEO, source=models.TrackSource.CAMERA, width=1280, height=720
    )
    request.layers.extend(layers)
    request.simulcast_codecs.add(codec="vp8", cid="video")
    return request


def token(participant: Participant) -> str:
    grants = {
        "room": ROOM,
        "roomJoin": True,
        "canPublish": participant.publishes,
        "canSubscribe": participant.watches,
        "canPublishData": False,
    }
    now = int(time.time())
    claims = {
        "iss": KEY,
        "sub": f"participant{participant.index}",
        "nbf": now - 5,
        "exp": now + 3_600,
        "video": grants,
    }
    return jwt.encode(claims, SECRET, algorithm="HS256")


class LiveKitAdapter(ServerProcess):
    name = "livekit"

    def __init__(self) -> None:
        super().__init__()
        self._http: aiohttp.ClientSession | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="nexus-bench-livekit-"))
        self._port = free_port()
        self._signals: dict[int, Signal] = {}

    async def start(self, *, core: int) -> None:
        configuration = self._folder / "livekit.yaml"
        values = {
            "port": self._port,
            "udp": free_port(),
            "key": KEY,
            "secret": SECRET,
            "address": SERVER_ADDRESS,
        }
        configuration.write_text(CONFIGURATION.format(**values))
        process = await self._spawn(core, str(BINARY), "--config", str(configuration))
        self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        for _ in range(200):
            if process.returncode is not None:
                raise RuntimeError(
                    f"LiveKit did not start: run `{BINARY} --config {configuration}` to see why"
                )
            try:
                async with self._http.get(f"http://127.0.0.1:{self._port}/"):
                    return
            except aiohttp.ClientError:
                await asyncio.sleep(0.1)
        raise RuntimeError("LiveKit does not listen")

    async def join(self, generator: Generator, participants: Sequence[Participant]) -> None:
        for participant in participants:
            if participant.publishes:
                signal = await generator.until(self._open(generator, participant))
                await generator.until(signal.publish())
        for participant in participants:
            if participant.publishes:
                await generator.until(self._signals[participant.index].until_published())
        for participant in participants:
            if not participant.publishes:
                await generator.until(self._open(generator, participant))
        for participant in participants:
            await generator.until(
                self._signals[participant.index].until_watching(self._streams_for(participant))
            )

    async def _open(self, generator: Generator, participant: Participant) -> Signal:
        assert self._http is not None
        query = {"access_token": token(participant), "auto_subscribe": "1", "sdk": "js", "version": "2.15.0"}
        query |= {"protocol": "16", "adaptive_stream": "0"}
        socket = await self._http.ws_connect(f"ws://127.0.0.1:{self._port}/rtc", params=query, max_msg_size=0)
        signal = self._signals[participant.index] = Signal(socket, generator, participant)
        return signal

    def _streams_for(self, participant: Participant) -> int:
        others = [
            signal.participant
            for signal in self._signals.values()
            if signal.participant.index != participant.index
        ]
        audio = sum(other.audio for other in others) if participant.audio_slots else 0
        videos = sum(other.video for other in others) if participant.video_slots else 0
        return audio + videos

    async def leave(self, generator: Generator, participants: Sequence[Participant]) -> None:
        for participant in participants:
            await self._signals.pop(participant.index).close(leave=True)
            generator.leave(participant)

    def features(self) -> dict[str, object]:
        return {
            "version": VERSION,
            "twcc": "from publishers; REMB from subscribers",
            "rtx": True,
            "pacing": False,
            "bandwidth_estimation": "by REMB (its default)",
            "udp": "sendmmsg in batches (batch_io), one port",
            "settings": {
                "use_ice_lite": True,
                "batch_io": "128, 2 ms",
                "udp_port": 1,
                "adaptive_stream": False,
            },
        }

    async def stop(self) -> None:
        for signal in self._signals.values():
            await signal.close(leave=False)
        if self._http is not None:
            await self._http.close()
        await self._end(kill=True)  # on SIGTERM it would wait for all participants to leave
        shutil.rmtree(self._folder, ignore_errors=True)
