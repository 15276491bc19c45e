"""Two clocks: a monotonic one for deadlines and durations, and the wall clock for timestamps that users read.

NTP may step the wall clock by any amount at any moment, so no deadline is ever computed from it.
"""

import time
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Now:
    """One moment on both clocks."""

    monotonic_ms: int
    epoch_ms: int


class Clock(Protocol):
    def monotonic_ms(self) -> int:
        """Milliseconds since an arbitrary moment in the past; never goes back and never steps."""
        ...

    def epoch_ms(self) -> int:
        """Milliseconds since the Unix epoch, by the machine's wall clock."""
        ...

    def now(self) -> Now: ...


class SystemClock:
    """The machine's own clocks."""

    def monotonic_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    def epoch_ms(self) -> int:
        return time.time_ns() // 1_000_000  # noqa: TID251 - the one place that reads the date

    def now(self) -> Now:
        return Now(self.monotonic_ms(), self.epoch_ms())
