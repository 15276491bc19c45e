"""A clock that moves only when a test says so."""

from nexus_runtime import Now


class ManualClock:
    """A `nexus_runtime.Clock`, and callable like `time.monotonic` (seconds as a float).

    `advance` moves both clocks; `step` moves the wall clock alone, as NTP or a person does.
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
        """Moves both clocks on and returns the new time."""
        if seconds < 0:
            raise ValueError("time does not go back")
        self._now_seconds += seconds
        return self._now_seconds

    def step(self, seconds: float) -> None:
        """Moves the wall clock alone, forward or back."""
        self._step_seconds += seconds
