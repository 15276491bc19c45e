"""Reads the packets of segments back, one after another."""

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import av
from av import Packet
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Stream
from av.video.stream import VideoStream

from nexus_frames.mux.containers import Container
from nexus_frames.mux.errors import UnreadableSegment
from nexus_frames.mux.recovery import playable_size

# FFmpeg's options to believe the container's header: it otherwise decodes the first pictures of each segment.
_NO_PROBING = {"probesize": "32", "analyzeduration": "0"}


_ROUNDING_US = 1_000
"""WebM rounds times to 1 ms, so a packet may be this much before its time."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment of one track, opened or by its path. `shift_us` is added to its times, for pauses that are
    cut out. Only packets from `from_us` to before `to_us` are read, by the times in the segment: two owners
    of a recording may have kept the same packets."""

    file: BinaryIO | str
    shift_us: int = 0
    from_us: int = 0
    to_us: int | None = None

    def includes(self, time_us: int) -> bool:
        """Whether a packet of this time in the segment is read."""
        exact = time_us + _ROUNDING_US
        return exact >= self.from_us and (self.to_us is None or exact < self.to_us)


@dataclass(frozen=True, slots=True)
class StoredPacket:
    """A packet with its time since the origin of the recording, in microseconds."""

    time_us: int
    duration_us: int
    packet: "Packet[Stream]"


class SegmentReader:
    """The packets of one stream over all segments, in bounded memory. A segment that was cut off is read as
    far as it goes."""

    def __init__(self, segments: Iterable[Segment], kind: str) -> None:
        self._segments = enumerate(segments)
        self._kind = kind
        self._open: InputContainer | None = None
        self._segment = Segment("")
        self._number = -1
        self.truncated = 0
        """Segments whose last packets could not be read."""

    def next_stream(self) -> "VideoStream | AudioStream | None":
        """Opens the next segment; None after the last. Raises UnreadableSegment."""
        self.close()
        for number, segment in self._segments:
            self._number = number
            self._segment = segment
            self._open = self._read(number, segment)
            streams = self._open.streams.video if self._kind == "video" else self._open.streams.audio
            if not streams:
                raise UnreadableSegment(number, f"no {self._kind}")
            return streams[0]
        return None

    def _read(self, number: int, segment: Segment) -> InputContainer:
        try:
            return av.open(segment.file, "r", options=_NO_PROBING)
        except FFmpegError as error:
            reason = str(error)
        try:
            if isinstance(segment.file, str):
                with open(segment.file, "rb") as file:
                    whole = _whole_prefix(file)
            else:
                whole = _whole_prefix(segment.file)
            self.truncated += 1
            return av.open(io.BytesIO(whole), "r", options=_NO_PROBING)
        except FFmpegError:
            raise UnreadableSegment(number, reason) from None

    def packets(self) -> Iterator[StoredPacket]:
        """The packets of the open segment."""
        assert self._open is not None
        stream = self._open.streams.video[0] if self._kind == "video" else self._open.streams.audio[0]
        base = stream.time_base
        assert base is not None
        numerator, denominator = base.numerator * 1_000_000, base.denominator
        half = denominator // 2
        segment = self._segment
        try:
            for packet in self._open.demux(stream):
                if packet.pts is None or not packet.size:
                    continue
                time_us = (packet.pts * numerator + half) // denominator
                duration_us = (packet.duration or 0) * numerator // denominator
                if not segment.includes(time_us):
                    continue
                yield StoredPacket(time_us + segment.shift_us, duration_us, packet)
        except FFmpegError:
            self.truncated += 1

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None


def _whole_prefix(file: BinaryIO) -> bytes:
    """The segment without what a crash cut off, in memory: a segment has a few megabytes."""
    file.seek(0)
    container = Container.WEBM if file.read(4) == b"\x1a\x45\xdf\xa3" else Container.MP4
    size = playable_size(file, container)
    file.seek(0)
    return file.read(size)
