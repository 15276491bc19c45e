"""A participant who publishes noise, and joins again whenever the session ends, as an application does.

Every frame of noise is encoded to other bytes, so that a test recognises each of them in a file.
"""

import asyncio
import contextlib
import fractions
import random
from typing import Final

import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame
from deployment import APP
from nexus_rtc import LocalTrack, NexusClient, NexusError, Room, SessionEnded, mint_token
from nexus_rtc.synthetic import SAMPLE_RATE, SAMPLES_PER_FRAME, VIDEO_CLOCK, Pace
from service_process import PATIENCE_SECONDS

WIDTH: Final = 96
HEIGHT: Final = 64
FRAMES_PER_SECOND: Final = 10
RETRY_SECONDS: Final = 0.5


class NoisyCamera(MediaStreamTrack):
    """A camera that shows other noise in each frame."""

    kind = "video"

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._noise = np.random.default_rng(seed)
        self._pace = Pace(1 / FRAMES_PER_SECOND)

    async def recv(self) -> VideoFrame:
        if self.readyState != "live":
            raise MediaStreamError
        number, wait = self._pace.next()
        await asyncio.sleep(wait)
        blocks = self._noise.integers(0, 256, (HEIGHT // 8, WIDTH // 8, 3), np.uint8)
        image = blocks.repeat(8, axis=0).repeat(8, axis=1)
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame.pts = number * VIDEO_CLOCK // FRAMES_PER_SECOND
        frame.time_base = fractions.Fraction(1, VIDEO_CLOCK)
        return frame


class NoisyMicrophone(MediaStreamTrack):
    """A microphone that picks up noise."""

    kind = "audio"

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._noise = np.random.default_rng(seed)
        self._pace = Pace(SAMPLES_PER_FRAME / SAMPLE_RATE)

    async def recv(self) -> AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        number, wait = self._pace.next()
        await asyncio.sleep(wait)
        samples = self._noise.integers(-8_000, 8_000, (1, SAMPLES_PER_FRAME), np.int16)
        frame = AudioFrame.from_ndarray(samples, layout="mono")
        frame.sample_rate = SAMPLE_RATE
        frame.pts = number * SAMPLES_PER_FRAME
        frame.time_base = fractions.Fraction(1, SAMPLE_RATE)
        return frame


class Caller:
    """``async with Caller(url, room, "alice") as caller: await caller.joined()``"""

    def __init__(self, url: str, room: str, identity: str, *, video: bool = True, seed: int = 1) -> None:
        self._url = url
        self._room_name = room
        self._identity = identity
        self._video = video
        self._seeds = random.Random(seed)
        self._room: Room | None = None
        self._in = asyncio.Event()
        self._calling: asyncio.Task[None] | None = None
        self.joins = 0
        self.ends: list[str] = []
        """Why each session ended."""

    async def joined(self, timeout_seconds: float = PATIENCE_SECONDS) -> Room:
        async with asyncio.timeout(timeout_seconds):
            await self._in.wait()
        assert self._room is not None
        return self._room

    async def _call_forever(self) -> None:
        while True:
            try:
                self._room = await self._join()
            except (NexusError, OSError) as error:
                self.ends.append(type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self.joins += 1
            self._in.set()
            events = self._room.events()
            async for event in events:
                if isinstance(event, SessionEnded):
                    self.ends.append(event.reason)
                    break
            self._in.clear()
            with contextlib.suppress(NexusError, OSError):
                await self._room.leave()

    async def _join(self) -> Room:
        token = mint_token(
            APP, room=self._room_name, identity=self._identity, grants=("create", "publish", "subscribe")
        )
        tracks = [LocalTrack(NoisyMicrophone(self._seeds.getrandbits(32)))]
        if self._video:
            camera = NoisyCamera(self._seeds.getrandbits(32))
            tracks.append(LocalTrack(camera, width=WIDTH, height=HEIGHT))
        return await NexusClient(server_url=self._url, token=token, connect_seconds=30).join(tracks=tracks)

    async def __aenter__(self) -> "Caller":
        self._calling = asyncio.create_task(self._call_forever(), name=f"caller-{self._identity}")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.leave()

    async def leave(self) -> None:
        """Leaves for good."""
        assert self._calling is not None
        self._calling.cancel()
        await asyncio.gather(self._calling, return_exceptions=True)
        if self._room is not None:
            with contextlib.suppress(NexusError, OSError):
                async with asyncio.timeout(10):
                    await self._room.leave()
