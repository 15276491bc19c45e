"""The audio of one recording without holes: what was not sent is filled, so that the decoded audio is as
long as the call.

Players and tools count samples and do not look at timestamps, so a hole or a drift of the speaker's clock
would shorten the audio. Packets are therefore placed end to end on a grid of samples at 48 kHz.

* A hole is filled with Opus DTX frames, of one byte (RFC 6716 section 3.4, R1; RFC 7587 section 3.1.3): a
  decoder conceals or plays comfort noise, as it did in the call. A hole behind a speaker's own DTX frame is
  filled with them to its end. Any other hole is silent after 60 ms, because decoders would go on with the
  last sound.
* A speaker's clock that runs slow makes holes of 10 ms, which are concealed. One that runs fast makes packets
  overlap: when they are ahead by a packet's length, one is left out, or before that one that is silent.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from nexus_frames.formats import SAMPLE_RATE
from nexus_frames.opus import packet_samples

FRAME = SAMPLE_RATE // 50
"""Samples of 20 ms, the length of a DTX frame."""
HALF = FRAME // 2
"""Samples of 10 ms: the smallest hole that is filled, and so the largest error of time before a
correction."""
_DTX = {FRAME: b"\xf8", HALF: b"\xf0"}
_SILENCE = {FRAME: b"\xf8\xff\xfe", HALF: b"\xf0\xff\xfe"}
_CONCEALED = 3 * FRAME
_MAX_DTX_BYTES = 2
"""Maximum size of a DTX frame of a speaker's encoder."""
MAX_FILLED = 100_000
"""Maximum number of intervals in the index; more are filled and counted."""


@dataclass(frozen=True, slots=True)
class PlacedPacket:
    """`start` and `samples` are at 48 kHz, since the origin of the recording. `filled`: the speaker did not
    send it."""

    start: int
    samples: int
    data: bytes
    filled: bool = False


@dataclass(slots=True)
class AudioCounters:
    filled_samples: int = 0
    dropped_packets: int = 0
    """Packets left out because the speaker's clock runs fast, or because they came before the audio's end."""
    unlisted: int = 0
    """Intervals that were filled and are not in the full index."""


class AudioTimeline:
    """The end of the audio so far. `start` is where it begins; packets before it are left out."""

    def __init__(self, start: int = 0) -> None:
        self.end = start
        self.counters = AudioCounters()
        self._intervals: list[tuple[int, int]] = []
        self._in_dtx = False
        self._filled_since_packet = 0

    @property
    def intervals(self) -> tuple[tuple[int, int], ...]:
        """The index: start and end of what was filled, in samples, in order."""
        return tuple(self._intervals)

    def place(self, at: int, data: bytes) -> Iterator[PlacedPacket]:
        """Yields what fills the hole before the packet, and the packet. `at`: its time in samples."""
        samples = packet_samples(data)
        if samples is None:
            self.counters.dropped_packets += 1
            return
        yield from self.fill(at)
        ahead = self.end - at
        silent = len(data) <= _MAX_DTX_BYTES
        if ahead >= samples or (silent and ahead >= HALF):
            self.counters.dropped_packets += 1
            return
        yield PlacedPacket(self.end, samples, data)
        self.end += samples
        self._in_dtx = silent
        self._filled_since_packet = 0

    def fill(self, until: int) -> Iterator[PlacedPacket]:
        """Yields what fills the audio up to `until`, except for less than 10 ms."""
        missing = (until - self.end) // HALF * HALF
        if missing <= 0:
            return
        self._note(self.end, self.end + missing)
        while missing > 0:
            samples = FRAME if missing >= FRAME else HALF
            concealed = self._in_dtx or self._filled_since_packet < _CONCEALED
            yield PlacedPacket(self.end, samples, (_DTX if concealed else _SILENCE)[samples], filled=True)
            self.end += samples
            self._filled_since_packet += samples
            self.counters.filled_samples += samples
            missing -= samples

    def _note(self, start: int, end: int) -> None:
        if self._intervals and self._intervals[-1][1] == start:
            self._intervals[-1] = (self._intervals[-1][0], end)
        elif len(self._intervals) < MAX_FILLED:
            self._intervals.append((start, end))
        else:
            self.counters.unlisted += 1
