"""The one timeline of a recording, across nodes and owners.

Position 0 is the start of the recording; positions are in microseconds. A line is the `media_time_us` of one
node for one life of the room: all tracks of a line are aligned by the node itself, so a line is moved onto
the timeline as a whole, by one constant. Nothing here corrects drift; the node has done that.

A line is placed by arrival. A packet arrives `arrival - media_time` after it was sampled, by two clocks with
an unknown difference, and the smallest such value over a window is the difference plus the shortest delay.
Lines of two nodes placed like this differ from the truth by the difference of their shortest delays, which is
some 10 ms.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

# How long arrivals are observed before a line is placed.
WINDOW_US: Final = 1_000_000
# Maximum number of lines of one recording. A room that moves more often gets its last line again.
MAX_LINES: Final = 1_000


@dataclass(slots=True)
class _Window:
    """The arrivals of a line that has no place yet."""

    began_us: int
    first_media_us: int
    smallest_us: int


@dataclass(frozen=True, slots=True)
class Line:
    """The place of a line: `position = media_time - offset_us`. `name` is `<node id>/<room id>`."""

    name: str
    offset_us: int


class Timeline:
    """Places lines. `origin_us` is position 0 on the monotonic clock with which arrivals are measured;
    `known` are the lines that earlier owners have placed, with their offsets."""

    def __init__(self, origin_us: int, known: Mapping[str, int] | None = None) -> None:
        self._origin_us = origin_us
        self._offsets: dict[str, int] = dict(known or {})
        self._windows: dict[str, _Window] = {}
        self._last_us = 0

    @property
    def lines(self) -> tuple[Line, ...]:
        """The lines that have a place, in the order in which they got it."""
        return tuple(Line(name, offset) for name, offset in self._offsets.items())

    @property
    def origin_us(self) -> int:
        """Position 0 on the monotonic clock."""
        return self._origin_us

    @property
    def last_us(self) -> int:
        """The last position that was asked for."""
        return self._last_us

    def now_us(self, monotonic_us: int) -> int:
        """The position of a moment."""
        return monotonic_us - self._origin_us

    def observe(self, name: str, media_time_us: int, arrival_us: int) -> bool:
        """Takes the arrival of a packet. Returns whether the line has a place."""
        if name in self._offsets:
            return True
        delay = arrival_us - media_time_us
        window = self._windows.get(name)
        if window is None:
            window = self._windows[name] = _Window(arrival_us, media_time_us, delay)
        window.smallest_us = min(window.smallest_us, delay)
        window.first_media_us = min(window.first_media_us, media_time_us)
        if arrival_us - window.began_us >= WINDOW_US:
            self.place(name)
            return True
        return False

    def due_us(self, name: str) -> int | None:
        """When, on the monotonic clock, the line is to be placed although nothing more arrives; None: it has
        a place, or nothing has arrived."""
        window = self._windows.get(name)
        return window.began_us + WINDOW_US if window else None

    def place(self, name: str) -> None:
        """Ends the window of a line now. A line never begins before the last position that another line has
        reached, because a publisher cannot have been on both nodes at once."""
        window = self._windows.pop(name, None)
        if window is None:
            return
        offset = self._origin_us - window.smallest_us
        if self._offsets:
            offset = min(offset, window.first_media_us - self._last_us)
        if len(self._offsets) >= MAX_LINES:
            del self._offsets[next(iter(self._offsets))]
        self._offsets[name] = offset

    def position_us(self, name: str, media_time_us: int) -> int:
        """The position of a sample. Raises KeyError for a line without a place."""
        position = media_time_us - self._offsets[name]
        self._last_us = max(self._last_us, position)
        return position

    def offset_us(self, name: str) -> int | None:
        return self._offsets.get(name)


@dataclass(frozen=True, slots=True)
class Cut:
    """An interval of the recording that is not in its files, in positions."""

    from_us: int
    to_us: int


class FileTime:
    """The mapping from the recording's timeline to that of its files, from which pauses are cut out."""

    def __init__(self, cuts: tuple[Cut, ...] = ()) -> None:
        merged: list[Cut] = []
        for cut in sorted(cuts, key=lambda each: each.from_us):
            if cut.to_us <= cut.from_us:
                continue
            if merged and cut.from_us <= merged[-1].to_us:
                merged[-1] = Cut(merged[-1].from_us, max(cut.to_us, merged[-1].to_us))
            else:
                merged.append(cut)
        self._cuts = tuple(merged)

    @property
    def cuts(self) -> tuple[Cut, ...]:
        return self._cuts

    def at(self, position_us: int) -> int:
        """The time in the files. All positions within a cut are at its beginning."""
        removed = 0
        for cut in self._cuts:
            if position_us <= cut.from_us:
                break
            removed += min(position_us, cut.to_us) - cut.from_us
        return position_us - removed

    def within_cut(self, position_us: int) -> bool:
        return any(cut.from_us <= position_us < cut.to_us for cut in self._cuts)
