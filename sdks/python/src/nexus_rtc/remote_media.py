"""A remote track's frames. It belongs to a person, not to a slot: whatever slot they come through, they
arrive here."""

import asyncio
from typing import Final

from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame

from nexus_rtc.model import Track

# About a second of sound (20 ms frames), two of pictures. A reader that is slower than that loses the oldest.
MOST_FRAMES: Final = 60

Frame = AudioFrame | VideoFrame


class RemoteMedia(MediaStreamTrack):
    """An aiortc track, so that aiortc's recorders take it. `recv` raises MediaStreamError after the end."""

    def __init__(self, track: Track) -> None:
        super().__init__()
        self.kind = track.kind
        self.track = track
        self.dropped_frames = 0
        self._frames: asyncio.Queue[Frame | None] = asyncio.Queue()

    async def recv(self) -> Frame:
        if self.readyState != "live":
            raise MediaStreamError
        frame = await self._frames.get()
        if frame is None:
            self.stop()
            raise MediaStreamError
        return frame

    def put(self, frame: Frame) -> None:
        if self._frames.qsize() >= MOST_FRAMES:
            self._frames.get_nowait()
            self.dropped_frames += 1
        self._frames.put_nowait(frame)

    def end(self) -> None:
        """Frames that are here already can still be read."""
        self._frames.put_nowait(None)
