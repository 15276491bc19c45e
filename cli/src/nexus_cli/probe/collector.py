"""Receives the tracks of other participants: counts frames, and keeps the last video frame and the
last second of audio, to compare their colour and pitch with those sent."""

import asyncio
import contextlib
import time
from dataclasses import dataclass, field

from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame
from nexus_rtc import Participant, Room, SessionEnded, Track, TrackPublished, TrackUnpublished
from nexus_rtc.synthetic import Colour, Heard, colour_of


@dataclass(slots=True)
class Taken:
    """The media received from one remote track."""

    participant: Participant
    track: Track
    frames: int = 0
    first_at: float | None = None
    last_at: float = 0.0
    width: int = 0
    height: int = 0
    picture: VideoFrame | None = None
    heard: Heard = field(default_factory=Heard)

    @property
    def frames_per_second(self) -> float:
        if self.first_at is None or self.frames < 2 or self.last_at <= self.first_at:
            return 0.0
        return (self.frames - 1) / (self.last_at - self.first_at)

    @property
    def colour(self) -> Colour | None:
        return colour_of(self.picture) if self.picture is not None else None

    def add(self, frame: AudioFrame | VideoFrame) -> None:
        self.last_at = time.monotonic()
        self.first_at = self.first_at or self.last_at
        self.frames += 1
        if isinstance(frame, VideoFrame):
            self.width, self.height, self.picture = frame.width, frame.height, frame
        else:
            self.heard.add(frame)


class Collector:
    """Reads every remote track of a room for as long as it is published."""

    def __init__(self, room: Room) -> None:
        self.taken: dict[str, Taken] = {}
        self.ended: SessionEnded | None = None
        self._room = room
        self._readers: dict[str, asyncio.Task[None]] = {}
        self._watcher = asyncio.create_task(self._watch(), name="probe collector")

    def of(self, identity: str) -> list[Taken]:
        return [one for one in self.taken.values() if one.participant.identity == identity]

    async def close(self) -> None:
        tasks = [self._watcher, *self._readers.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self) -> None:
        async for event in self._room.events():
            match event:
                case TrackPublished(participant, track):
                    taken = self.taken[track.id] = Taken(participant, track)
                    self._readers[track.id] = asyncio.create_task(self._read(taken))
                case TrackUnpublished(_, track):
                    reader = self._readers.pop(track.id, None)
                    if reader is not None:
                        reader.cancel()
                case SessionEnded():
                    self.ended = event

    async def _read(self, taken: Taken) -> None:
        media = self._room.media(taken.track)
        with contextlib.suppress(MediaStreamError):
            while True:
                taken.add(await media.recv())
