"""The beginnings and ends of the segments of one track.

It takes every frame and what happens between frames, with positions on the timeline of the recording,
and answers with effects. It does not look into frames and knows no container.

A segment begins at a keyframe if one arrives in time: it is requested before the segment is due, and the
segment is prolonged by half of its length to wait for it. After that the segment is cut where it is, so that
what was received becomes safe. Another format that one container cannot hold begins the next segment at once,
if that is at a keyframe. Rotation may change between keyframes: it then takes effect at the next one, which
is requested.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Final

# How long before a segment is due the keyframe of the next one is requested.
KEYFRAME_LEAD_US: Final = 400_000
# How long a requested keyframe is waited for before it is requested again.
KEYFRAME_RETRY_US: Final = 1_000_000
# How long a last frame is shown whose duration is not known. It is shorter than any interval of frames, and
# longer than the rounding of times in containers.
LAST_FRAME_US: Final = 2_000


@dataclass(frozen=True, slots=True)
class SegmentLimits:
    """How long segments are, in microseconds, and how large one can become."""

    segment_us: int = 6_000_000
    max_bytes: int = 32 << 20

    @property
    def longest_us(self) -> int:
        """How long a segment is at most, if no keyframe arrives."""
        return self.segment_us + self.segment_us // 2


@dataclass(frozen=True, slots=True)
class Shape:
    """The shape that all frames of a segment share: its frames can be in one container with one header.
    `group` changes with codec and rotation, and `header` with what the header of the container has beside
    that."""

    group: tuple[int, int, bool]
    header: bytes = b""


@dataclass(frozen=True, slots=True)
class BeginSegment:
    """`keyframe`: a decoder can start here."""

    number: int
    start_us: int
    shape: Shape
    keyframe: bool


@dataclass(frozen=True, slots=True)
class WriteFrame:
    """Write the frame that was given, at this position."""

    position_us: int


@dataclass(frozen=True, slots=True)
class EndSegment:
    """The segment is complete. Its last sample lasts until `end_us`."""

    number: int
    end_us: int


@dataclass(frozen=True, slots=True)
class RequestKeyframe:
    pass


@dataclass(frozen=True, slots=True)
class Resumable:
    """A reader that begins at what comes next needs nothing from before. Once all segments up to this number
    are safe, the tap need not keep what came before this moment. With `after`, this includes what came
    last."""

    number: int
    after: bool


Effect = BeginSegment | WriteFrame | EndSegment | RequestKeyframe | Resumable


class Segmenter:
    """The segments of one track for one owner. `is_video` tells whether frames depend on keyframes. `numbers`
    are those of the segments, and `after_us` is the last position of an earlier track of the same stream."""

    def __init__(
        self,
        limits: SegmentLimits,
        *,
        is_video: bool,
        numbers: Iterator[int] | None = None,
        after_us: int = -1,
    ) -> None:
        self._limits = limits
        self._lead_us = min(KEYFRAME_LEAD_US, limits.segment_us // 4)
        self._is_video = is_video
        self._numbers = numbers or count(1)
        self._number = 0
        self._shape: Shape | None = None
        self._open = False
        self._started_us = 0
        self._bytes = 0
        self._last_us = after_us
        self._last_duration_us = 0
        self._requested_us: int | None = None
        self._opened_at_us = 0

    @property
    def is_open(self) -> bool:
        return self._open

    @property
    def number(self) -> int:
        """The number of the segment that is open, or of the last one."""
        return self._number

    @property
    def last_us(self) -> int:
        """The position of the last frame, or `after_us`."""
        return self._last_us

    def set_limits(self, limits: SegmentLimits) -> None:
        self._limits = limits
        self._lead_us = min(KEYFRAME_LEAD_US, limits.segment_us // 4)

    def on_frame(
        self, shape: Shape, position_us: int, size: int, keyframe: bool, duration_us: int, now_us: int
    ) -> list[Effect]:
        """Tells of a frame, before it is written. `now_us` is the position of this moment, which is later
        than that of the frame. Positions that do not grow are moved behind the last one."""
        effects: list[Effect] = []
        position_us = max(position_us, self._last_us + 1, 0)
        if shape is not self._shape and self._shape is not None and self._is_video and not keyframe:
            if shape != self._shape and self._open and self._may_request(now_us):
                effects.append(RequestKeyframe())
            shape = self._shape
        if self._open and self._ends_before(shape, position_us, size, keyframe):
            effects += self._end(position_us if self._continuous(position_us) else self._default_end())
        if not self._open:
            resumable = keyframe or not self._is_video
            if resumable:
                effects.append(Resumable(self._number, after=False))
            self._number = next(self._numbers)
            self._open = True
            self._shape = shape
            self._started_us = position_us
            self._opened_at_us = now_us
            self._bytes = 0
            self._requested_us = None
            effects.append(BeginSegment(self._number, position_us, shape, resumable))
        effects.append(WriteFrame(position_us))
        self._bytes += size
        self._last_us, self._last_duration_us = position_us, duration_us
        return effects + self._on_time(now_us)

    def on_break(self, end_us: int | None = None) -> list[Effect]:
        """Tells of a mute, of the end of the track, of a drain or a pause: the segment ends, and the last
        frame is not held. What comes after a mute or in a new tap begins with a keyframe, so everything told
        is resumable."""
        effects = self._end(max(self._default_end(), end_us or 0)) if self._open else []
        effects.append(Resumable(self._number, after=True))
        return effects

    def on_drain(self) -> list[Effect]:
        """Ends the segment for a successor, who continues where this owner was resumable last."""
        effects = self._end(self._default_end()) if self._open else []
        if not self._is_video:
            effects.append(Resumable(self._number, after=True))
        return effects

    def on_time(self, now_us: int) -> list[Effect]:
        """Tells that time has passed without a frame."""
        return self._on_time(now_us) if self._open else []

    def next_deadline_us(self) -> int | None:
        """The position at which `on_time` is due; None: never."""
        if not self._open:
            return None
        due = [self._opened_at_us + self._limits.longest_us]
        if self._is_video:
            due.append(self._request_due_us())
        return min(due)

    def _request_due_us(self) -> int:
        if self._requested_us is not None:
            return self._requested_us + KEYFRAME_RETRY_US
        return self._opened_at_us + self._limits.segment_us - self._lead_us

    def _may_request(self, now_us: int) -> bool:
        """Whether the last request is old enough, and notes the new one."""
        if self._requested_us is not None and now_us < self._requested_us + KEYFRAME_RETRY_US:
            return False
        self._requested_us = now_us
        return True

    def _on_time(self, now_us: int) -> list[Effect]:
        effects: list[Effect] = []
        if self._is_video and now_us >= self._request_due_us() and self._may_request(now_us):
            effects.append(RequestKeyframe())
        if now_us - self._opened_at_us >= self._limits.longest_us:
            effects += self._end(self._default_end())
            if not self._is_video:
                effects.append(Resumable(self._number, after=True))
        return effects

    def _ends_before(self, shape: Shape, position_us: int, size: int, keyframe: bool) -> bool:
        if shape is not self._shape and shape != self._shape:
            return True
        age_us = position_us - self._started_us
        if self._is_video and keyframe:
            age_us += self._lead_us
        full = self._bytes + size > self._limits.max_bytes
        if self._is_video and not keyframe:
            return full or age_us >= self._limits.longest_us
        return full or age_us >= self._limits.segment_us

    def _continuous(self, position_us: int) -> bool:
        """Whether the last frame is shown until this position. Audio is not, if nothing was sent in
        between."""
        return self._is_video or position_us <= self._default_end() + 1_000

    def _default_end(self) -> int:
        return self._last_us + max(self._last_duration_us, LAST_FRAME_US)

    def _end(self, end_us: int) -> list[Effect]:
        self._open = False
        return [EndSegment(self._number, max(end_us, self._last_us + 1))]
