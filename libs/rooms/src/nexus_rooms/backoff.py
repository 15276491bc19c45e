"""Delays between attempts: they double up to a limit, and a random half of each keeps callers apart."""

import random
from dataclasses import dataclass, field


@dataclass(slots=True)
class Backoff:
    rng: random.Random
    first_ms: int = 100
    most_ms: int = 2_000
    _delay_ms: int = field(default=0, init=False)

    def next_ms(self) -> int:
        """The delay before the next attempt."""
        self._delay_ms = min(self.most_ms, 2 * self._delay_ms) if self._delay_ms else self.first_ms
        return round(self._delay_ms * (0.5 + self.rng.random() / 2))

    def reset(self) -> None:
        """Begins again with the first delay, after a success."""
        self._delay_ms = 0
