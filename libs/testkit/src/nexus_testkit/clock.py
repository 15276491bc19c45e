"""A clock that moves only when a test moves it."""

from nexus_runtime import Now


class ManualClock:
    """A `nexus_runtime.Clock`, also callable like `time.monotonic` (seconds as a float).

    `advance` moves both clocks; `step` moves only the wall clock, as NTP or an administrator does.
    """

    def __init__(self, now_seconds: float = 1_000.0) -> None:
        self._now_seconds = now_seconds
        self._step_seconds = 0.0

    def __call__(self) -> float:
        return self._now_seconds

    @property
    def now_seconds(self) -> float:
        return self._now_seconds

    @property
    def now_ms(self) -> int:
        return round(self._now_seconds * 1000)

    def monotonic_ms(self) -> int:
        return self.now_ms

    def epoch_ms(self) -> int:
        return round((self._now_seconds + self._step_seconds) * 1000)

    def now(self) -> Now:
        return Now(self.monotonic_ms(), self.epoch_ms())

    def advance(self, seconds: float) -> float:
        """Moves both clocks forward and returns the new time."""
        if seconds < 0:
            raise ValueError("a monotonic clock cannot go back")
        self._now_seconds += seconds
        return self._now_seconds

    def step(self, seconds: float) -> None:
        """Moves only the wall clock, forward or back."""
        self._step_seconds += seconds
