"""An event loop whose time moves only when all tasks wait, and then jumps to the next timer.

Code with real sleeps and timeouts runs in it unchanged and without waiting, and always in the same order.
Sockets and threads must not be involved: while something outside works, the loop would jump ahead of it.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from nexus_runtime import Now

T = TypeVar("T")

# How far the clock jumps past a timer. asyncio fires a timer up to a nanosecond early, and code that then
# waits for the rest of its time would never get there, because nothing else moves the clock.
_OVERSHOOT_SECONDS = 1e-6


class NothingScheduled(RuntimeError):
    """Every task waits for something that no timer will bring: the code under test is deadlocked."""


class _JumpingSelector(selectors.SelectSelector):
    def __init__(self, jump: Callable[[float], None]) -> None:
        super().__init__()
        self._jump = jump

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if not events and timeout is None:
            raise NothingScheduled
        if not events and timeout:
            self._jump(timeout)
        return events


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Also a `nexus_runtime.Clock`. Time begins at 1,000 s on the monotonic clock, and in 2026 on the wall
    clock."""

    def __init__(self) -> None:
        self._now_seconds = 1_000.0
        super().__init__(_JumpingSelector(self._jump))

    def _jump(self, seconds: float) -> None:
        self._now_seconds += seconds + _OVERSHOOT_SECONDS

    def time(self) -> float:
        return self._now_seconds

    def monotonic_ms(self) -> int:
        return round(self._now_seconds * 1000)

    def epoch_ms(self) -> int:
        return 1_770_000_000_000 + self.monotonic_ms()

    def now(self) -> Now:
        return Now(self.monotonic_ms(), self.epoch_ms())


def run_in_virtual_time(main: Callable[[VirtualTimeLoop], Coroutine[Any, Any, T]]) -> T:
    """Runs `main(clock)` in a loop with virtual time, and returns its result."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualTimeLoop)
        return runner.run(main(loop))
