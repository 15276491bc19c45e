"""The frames of a remote track, whichever slot they arrive through."""

import asyncio
from typing import Final

from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame

from nexus_rtc.model import Track

# Maximum number of buffered frames: about one second of audio (20 ms frames) or two of video. A slow reader
# loses the oldest.
MOST_FRAMES: Final = 60

Frame = AudioFrame | VideoFrame


class RemoteMedia(MediaStreamTrack):
    """An aiortc track, so that aiortc's recorders accept it. `recv` raises MediaStreamError after the end."""

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
        """Ends the track. Frames that are buffered can still be read."""
        self._frames.put_nowait(None)
