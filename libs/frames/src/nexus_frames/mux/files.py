"""Makes one seekable file from the segments of a recording: nothing is decoded or encoded.

Memory is bounded by FFmpeg's index of the file, about 100 bytes a frame. Segments are read one after another.
"""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av import Packet
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from nexus_frames.formats import UPRIGHT, AudioFormat, Orientation
from nexus_frames.mux.audio_timeline import AudioTimeline, PlacedPacket
from nexus_frames.mux.containers import AUDIO_TIME_BASE, VIDEO_TIME_BASE, Container, seekable, video_step
from nexus_frames.mux.errors import UnreadableSegment
from nexus_frames.mux.segment_reader import Segment, SegmentReader, StoredPacket
from nexus_frames.mux.template import add_audio, orient
from nexus_frames.mux.times import microseconds_of_samples, microseconds_of_ticks, samples_of, ticks_of


@dataclass(frozen=True, slots=True)
class FileReport:
    """The contents of a file. Times are in microseconds since the origin of the recording, at which it
    starts.

    `filled` lists where the audio was filled because nothing was sent. `truncated_segments` ended before
    their end.
    """

    size: int
    duration_us: int
    video_frames: int = 0
    audio_packets: int = 0
    video_start_us: int | None = None
    filled: tuple[tuple[int, int], ...] = ()
    truncated_segments: int = 0


class _ParametersChanged(Exception):
    """An H.264 stream has other parameter sets than those at its start."""


@dataclass(frozen=True, slots=True)
class _Item:
    """A packet for the muxer, with its start and end in microseconds."""

    start_us: int
    end_us: int
    packet: "Packet[Stream]"


class _Video:
    """The video of the file: packets of all segments, each held until the next one."""

    def __init__(self, segments: Iterable[Segment], end_us: int, in_band: bool, step: int) -> None:
        self._reader = SegmentReader(segments, "video")
        self._step = step
        self._end_us = end_us
        self._in_band = in_band
        self._codec = ""
        self._configuration = b""
        self.stream: VideoStream | None = None
        self.frames = 0
        self.start_us: int | None = None

    @property
    def truncated(self) -> int:
        return self._reader.truncated

    def open(self, output: OutputContainer, orientation: Orientation) -> None:
        template = self._reader.next_stream()
        if template is None:
            return
        assert isinstance(template, VideoStream)
        context = template.codec_context
        self._codec = context.name
        self._configuration = context.extradata or b""
        self.stream = output.add_stream_from_template(template, opaque=True)
        self.stream.time_base = VIDEO_TIME_BASE
        # Pixels of a call are square. FFmpeg computes something else from the lowest spatial layer of AV1 if
        # its height was odd, and was rounded.
        self.stream.codec_context.sample_aspect_ratio = Fraction(1)
        if self._in_band:
            # ISO/IEC 14496-15 section 5.3.2: parameter sets may be in the frames.
            self.stream.codec_context.codec_tag = "avc3"
        orient(self.stream, orientation)

    def items(self) -> Iterator[_Item]:
        held: StoredPacket | None = None
        start = 0
        for stored in self._all():
            tick = ticks_of(stored.time_us)
            if held is not None:
                tick = max(tick, start + self._step)
                yield self._item(held, start, tick)
            held, start = stored, tick
        if held is not None:
            natural = start + max(1, ticks_of(held.duration_us))
            yield self._item(held, start, max(natural, ticks_of(self._end_us)))

    def _all(self) -> Iterator[StoredPacket]:
        number = 0
        while True:
            yield from self._reader.packets()
            number += 1
            following = self._reader.next_stream()
            if following is None:
                return
            if following.codec_context.name != self._codec:
                raise UnreadableSegment(number, "another codec")
            self._check(following.codec_context.extradata or b"")

    def _check(self, configuration: bytes) -> None:
        """H.264 in `avc1` form has one configuration, in front."""
        if self._codec == "h264" and not self._in_band and configuration != self._configuration:
            raise _ParametersChanged

    def _item(self, stored: StoredPacket, start: int, end: int) -> _Item:
        packet = stored.packet
        if self._codec == "h264" and not self._in_band and packet.is_keyframe:
            self._check_frame(bytes(packet))
        assert self.stream is not None
        packet.stream = self.stream
        packet.time_base = VIDEO_TIME_BASE
        packet.pts = packet.dts = start
        packet.duration = end - start
        self.frames += 1
        if self.start_us is None:
            self.start_us = microseconds_of_ticks(start)
        return _Item(microseconds_of_ticks(start), microseconds_of_ticks(end), packet)

    def _check_frame(self, frame: bytes) -> None:
        """Each SPS in the frame must be in the configuration. Units have sizes of four bytes, as FFmpeg
        writes."""
        at = 0
        while at + 5 <= len(frame):
            size = int.from_bytes(frame[at : at + 4], "big")
            unit = frame[at + 4 : at + 4 + size]
            if unit[0] & 0x1F in (7, 8) and unit not in self._configuration:
                raise _ParametersChanged
            at += 4 + size

    def close(self) -> None:
        self._reader.close()


class _Audio:
    """The audio of the file, without holes."""

    def __init__(self, segments: Iterable[Segment], end_us: int) -> None:
        self._reader = SegmentReader(segments, "audio")
        self._end = samples_of(end_us)
        self.timeline = AudioTimeline()
        self.stream: AudioStream | None = None
        self.packets = 0

    @property
    def truncated(self) -> int:
        return self._reader.truncated

    def open(self, output: OutputContainer) -> None:
        self.stream = add_audio(output, AudioFormat())

    def items(self) -> Iterator[_Item]:
        while self._reader.next_stream() is not None:
            for stored in self._reader.packets():
                for placed in self.timeline.place(samples_of(stored.time_us), bytes(stored.packet)):
                    yield self._item(placed)
        for placed in self.timeline.fill(self._end):
            yield self._item(placed)

    def _item(self, placed: PlacedPacket) -> _Item:
        packet = Packet(placed.data)
        assert self.stream is not None
        packet.stream = self.stream
        packet.time_base = AUDIO_TIME_BASE
        packet.pts = packet.dts = placed.start
        packet.duration = placed.samples
        packet.is_keyframe = True
        self.packets += 1
        end = placed.start + placed.samples
        return _Item(microseconds_of_samples(placed.start), microseconds_of_samples(end), packet)

    def close(self) -> None:
        self._reader.close()


def make_file(
    path: Path,
    container: Container,
    *,
    end_us: int,
    video: Iterable[Segment] | None = None,
    audio: Iterable[Segment] | None = None,
    orientation: Orientation = UPRIGHT,
) -> FileReport:
    """Writes the file, with its index in front, and returns what it contains.

    `end_us` is the length of the recording: the last picture is held until then, and audio is filled from 0
    until then. A video stream that begins later keeps its offset. All video segments have one codec and
    `orientation`. Segments can be iterated twice, and opened files in them must be seekable, because H.264
    whose parameter sets change is read twice. Raises UnreadableSegment, and OSError of the disk. The file is
    not complete after an error.
    """
    try:
        return _make(path, container, end_us, video, audio, orientation, in_band=False)
    except _ParametersChanged:
        return _make(path, container, end_us, video, audio, orientation, in_band=True)


def _make(
    path: Path,
    container: Container,
    end_us: int,
    video_segments: Iterable[Segment] | None,
    audio_segments: Iterable[Segment] | None,
    orientation: Orientation,
    *,
    in_band: bool,
) -> FileReport:
    video = None if video_segments is None else _Video(video_segments, end_us, in_band, video_step(container))
    audio = None if audio_segments is None else _Audio(audio_segments, end_us)
    duration_us = 0
    output = av.open(path, "w", format=container.value, options=seekable(container))
    try:
        sources = []
        if video is not None:
            video.open(output, orientation)
            if video.stream is not None:
                sources.append(video.items())
        if audio is not None:
            audio.open(output)
            sources.append(audio.items())
        for item in heapq.merge(*sources, key=lambda item: item.start_us):
            output.mux_one(item.packet)
            duration_us = max(duration_us, item.end_us)
        output.close()
    finally:
        for source in (video, audio):
            if source is not None:
                source.close()
    return FileReport(
        size=path.stat().st_size,
        duration_us=duration_us,
        video_frames=video.frames if video else 0,
        audio_packets=audio.packets if audio else 0,
        video_start_us=video.start_us if video else None,
        filled=tuple(
            (microseconds_of_samples(start), microseconds_of_samples(end))
            for start, end in audio.timeline.intervals
        )
        if audio
        else (),
        truncated_segments=(video.truncated if video else 0) + (audio.truncated if audio else 0),
    )
