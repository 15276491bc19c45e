"""Writes one segment: frames in, whole fragments out."""

from collections import deque
from dataclasses import dataclass
from typing import Protocol

import av
from av import Packet
from av.audio.stream import AudioStream
from av.stream import Stream
from av.video.stream import VideoStream

from nexus_frames.events import Frame
from nexus_frames.formats import AudioFormat, Format, VideoFormat
from nexus_frames.mux.audio_timeline import AudioTimeline
from nexus_frames.mux.containers import (
    AUDIO_TIME_BASE,
    VIDEO_TIME_BASE,
    Container,
    fragmented,
    require,
    video_step,
)
from nexus_frames.mux.errors import FrameDoesNotFit, Mismatch
from nexus_frames.mux.template import add_audio, add_video
from nexus_frames.mux.times import (
    microseconds_of_samples,
    microseconds_of_ticks,
    samples_of,
    ticks_of,
)

FRAGMENT_US = 2_000_000
"""Longest fragment; a crash loses at most the fragment that is not complete."""
INTERLEAVE_US = 1_000_000
"""How long a frame waits for one of the other stream that belongs before it."""
MAX_WAITING = 4_096
"""Maximum number of frames that wait for the other stream."""


class Sink(Protocol):
    """A file that is only appended to."""

    def write(self, data: bytes, /) -> object: ...


@dataclass(frozen=True, slots=True)
class Fragment:
    """One write to the sink of `size` bytes: the bytes so far are a file that plays up to the two ends.

    Ends are in microseconds since the origin: of the last frame in the file, 0 without any.
    """

    size: int
    video_end_us: int
    audio_end_us: int

    @property
    def end_us(self) -> int:
        return max(self.video_end_us, self.audio_end_us)


@dataclass(frozen=True, slots=True)
class _Ready:
    """A packet for FFmpeg, with its start and end since the origin."""

    start_us: int
    end_us: int
    packet: "Packet[Stream]"


class _Buffer:
    """The file that FFmpeg writes to."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._chunks.append(bytes(data))
        return len(data)

    @property
    def has_data(self) -> bool:
        return bool(self._chunks)

    def take(self) -> bytes:
        data = b"".join(self._chunks)
        self._chunks.clear()
        return data


@dataclass(slots=True)
class SegmentCounters:
    video_frames: int = 0
    audio_packets: int = 0
    corrected_times: int = 0
    """Frames that were not later than the frame before them, and were moved behind it."""


class SegmentWriter:
    """One file with a video stream, an audio stream, or both.

    Each is of one codec and one orientation; the size of the picture may change. Times are those of the
    frames since `origin_us`, the start of the recording. With `timeline`, which several segments of a
    recording share, audio has no holes. Frames are in order within a stream; the two streams may be up to
    `INTERLEAVE_US` apart. Not thread-safe.
    """

    def __init__(
        self,
        sink: Sink,
        container: Container,
        *,
        origin_us: int,
        video: VideoFormat | None = None,
        audio: AudioFormat | None = None,
        timeline: AudioTimeline | None = None,
        fragment_us: int = FRAGMENT_US,
    ) -> None:
        """Raises UnsupportedContainer."""
        for described in (video, audio):
            if described is not None:
                require(container, described.codec)
        self.counters = SegmentCounters()
        self.size = 0
        self._sink = sink
        self._origin_us = origin_us
        self._video_format = video
        self._video_step = video_step(container)
        # The last format that was checked. Frames share it until it changes.
        self._fitting: Format | None = None
        self._timeline = timeline
        self._buffer = _Buffer()
        options = fragmented(container, fragment_us)
        self._output = av.open(self._buffer, "w", format=container.value, options=options)
        self._video = None if video is None else add_video(self._output, video)
        self._audio = None if audio is None else add_audio(self._output, audio)
        self._alone = self._video is None or self._audio is None
        # Packets that wait for the other stream. With one stream nothing waits.
        self._waiting: dict[str, deque[_Ready]] = {"video": deque(), "audio": deque()}
        # The last video frame, whose duration is known when the next one comes.
        self._held: tuple[Frame, int] | None = None
        self._next_sample = 0
        # The ends of video and audio after each of the last packets. FFmpeg completes a fragment when it
        # takes the next packet. It holds back one more with two streams, and one more if there is audio in
        # WebM, whose muxer wants to begin a cluster with the video (matroskaenc.c, cur_audio_pkt).
        delay = 2 + (self._video is not None and self._audio is not None)
        delay += container is Container.WEBM and self._audio is not None
        self._ends: deque[tuple[int, int]] = deque([(0, 0)] * delay, maxlen=delay)
        self._fragment_ends = (0, 0)
        # The container's header, until the first fragment is written with it.
        self._header = b""

    @property
    def is_empty(self) -> bool:
        return self.counters.video_frames == 0 and self.counters.audio_packets == 0

    @property
    def end_us(self) -> int:
        """End of the last frame in the segment, since the origin."""
        return max(self._ends[-1])

    def check(self, frame: Frame) -> None:
        """Raises FrameDoesNotFit if `write` would."""
        if frame.media_time_us < self._origin_us:
            raise FrameDoesNotFit(Mismatch.TIME)
        self._check_format(frame.format)

    def _check_format(self, kind: Format) -> None:
        if isinstance(kind, AudioFormat):
            if self._audio is None:
                raise FrameDoesNotFit(Mismatch.STREAM)
            return
        if self._video_format is None:
            raise FrameDoesNotFit(Mismatch.STREAM)
        if kind.codec is not self._video_format.codec:
            raise FrameDoesNotFit(Mismatch.CODEC)
        if kind.orientation != self._video_format.orientation:
            raise FrameDoesNotFit(Mismatch.ORIENTATION)

    def write(self, frame: Frame, time_us: int | None = None) -> Fragment | None:
        """Adds a frame; returns the fragment that this completed, if any. `time_us`: the time of the frame
        since the origin, in place of its own.

        Raises FrameDoesNotFit, and OSError of the sink. After FrameDoesNotFit the writer goes on.
        """
        if time_us is None:
            time_us = frame.media_time_us - self._origin_us
        if time_us < 0:
            raise FrameDoesNotFit(Mismatch.TIME)
        kind = frame.format
        if kind is not self._fitting:
            self._check_format(kind)
            self._fitting = kind
        if self._audio is not None and isinstance(kind, AudioFormat):
            if self._timeline is None:
                self._add_audio(self._audio, *self._place(time_us, frame), frame.data)
            else:
                for placed in self._timeline.place(samples_of(time_us), frame.data):
                    self._add_audio(self._audio, placed.start, placed.samples, placed.data)
        elif self._video is not None:
            self._hold_video(self._video, frame, ticks_of(time_us))
        if not self._alone:
            self._put_ready(flush=False)
        return self._drain() if self._buffer.has_data else None

    def close(self, end_us: int | None = None) -> Fragment | None:
        """Writes the rest; returns the last fragment, if there is one.

        `end_us`: end of the segment since the origin. Audio is filled up to it, and the last picture is held.
        Audio from before it that comes later is left out, so give it only when nothing is on its way.
        """
        if end_us is not None and self._audio is not None and self._timeline is not None:
            for placed in self._timeline.fill(samples_of(end_us)):
                self._add_audio(self._audio, placed.start, placed.samples, placed.data)
        if self._held is not None and self._video is not None:
            frame, tick = self._held
            end = ticks_of(end_us) if end_us is not None else tick + ticks_of(frame.duration_us or 0)
            self._add_video(self._video, frame, tick, max(end, tick + 1))
        self._held = None
        self._put_ready(flush=True)
        if self.is_empty:
            return None
        self._output.close()
        self._fragment_ends = self._ends[-1]
        return self._drain()

    def _place(self, time_us: int, frame: Frame) -> tuple[int, int]:
        """The start of an audio packet and its duration, in samples, without a timeline."""
        start = samples_of(time_us)
        if start < self._next_sample:
            start = self._next_sample
            self.counters.corrected_times += 1
        self._next_sample = start + 1
        return start, samples_of(frame.duration_us or 0)

    def _add_audio(self, stream: AudioStream, start: int, samples: int, data: bytes) -> None:
        packet = Packet(data)
        packet.stream = stream
        packet.time_base = AUDIO_TIME_BASE
        packet.pts = packet.dts = start
        packet.duration = samples
        packet.is_keyframe = True
        self.counters.audio_packets += 1
        end_us = microseconds_of_samples(start + samples)
        if self._alone:
            self._put(packet, 0, end_us)
        else:
            self._waiting["audio"].append(_Ready(microseconds_of_samples(start), end_us, packet))

    def _hold_video(self, stream: VideoStream, frame: Frame, tick: int) -> None:
        if self._held is not None:
            before, start = self._held
            if tick < start + self._video_step:
                tick = start + self._video_step
                self.counters.corrected_times += 1
            self._add_video(stream, before, start, tick)
        self._held = (frame, tick)

    def _add_video(self, stream: VideoStream, frame: Frame, start: int, end: int) -> None:
        packet = Packet(frame.data)
        packet.stream = stream
        packet.time_base = VIDEO_TIME_BASE
        packet.pts = packet.dts = start
        packet.duration = end - start
        packet.is_keyframe = frame.keyframe
        self.counters.video_frames += 1
        end_us = microseconds_of_ticks(end)
        if self._alone:
            self._put(packet, end_us, 0)
        else:
            self._waiting["video"].append(_Ready(microseconds_of_ticks(start), end_us, packet))

    def _put_ready(self, flush: bool) -> None:
        """Gives packets to FFmpeg in order of time."""
        video, audio = self._waiting["video"], self._waiting["audio"]
        while video or audio:
            first = video or audio
            if video and audio:
                first = video if video[0].start_us <= audio[0].start_us else audio
            elif not flush:
                waited_us = first[-1].start_us - first[0].start_us
                if waited_us < INTERLEAVE_US and len(first) < MAX_WAITING:
                    return
            ready = first.popleft()
            video_end, audio_end = self._ends[-1]
            if first is video:
                self._put(ready.packet, ready.end_us, audio_end)
            else:
                self._put(ready.packet, video_end, ready.end_us)

    def _put(self, packet: "Packet[Stream]", video_end_us: int, audio_end_us: int) -> None:
        """Gives a packet to FFmpeg. The ends are those of both streams behind it."""
        self._output.mux_one(packet)
        self._ends.append((video_end_us, audio_end_us))
        if self._buffer.has_data:
            self._note_fragment()

    def _note_fragment(self) -> None:
        """FFmpeg has written a fragment while it took the last packet; the header alone is none."""
        if self._ends[0] == (0, 0):
            self._header += self._buffer.take()
        else:
            self._fragment_ends = self._ends[0]

    def _drain(self) -> Fragment | None:
        data = self._buffer.take()
        if not data:
            return None
        data, self._header = self._header + data, b""
        self._sink.write(data)
        self.size += len(data)
        return Fragment(len(data), *self._fragment_ends)
