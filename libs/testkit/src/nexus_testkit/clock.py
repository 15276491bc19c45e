"""A clock that moves only when a test says so."""


class ManualClock:
    """Callable like `time.monotonic`: seconds as a float. Never goes back."""

    def __init__(self, now_seconds: float = 1_000.0) -> None:
        self._now_seconds = now_seconds

    def __call__(self) -> float:
        return self._now_seconds

    @property
    def now_seconds(self) -> float:
        return self._now_seconds

    @property
    def now_ms(self) -> int:
        return round(self._now_seconds * 1000)

    def advance(self, seconds: float) -> float:
        """Moves on and returns the new time."""
        if seconds < 0:
            raise ValueError("time does not go back")
        self._now_seconds += seconds
        return self._now_seconds
