"""When a delivery that failed is tried again.

Standard Webhooks 1.0 recommends a back-off over several days with jitter. Its example waits 5 minutes after
the second failure. This schedule has two shorter steps before that, because all later events of the room wait
too, and ends after about as long.
"""

import random
from dataclasses import dataclass
from typing import Final

_SECOND: Final = 1_000
_MINUTE: Final = 60 * _SECOND
_HOUR: Final = 60 * _MINUTE

DELAYS_MS: Final = (
    5 * _SECOND,
    15 * _SECOND,
    60 * _SECOND,
    5 * _MINUTE,
    15 * _MINUTE,
    30 * _MINUTE,
    2 * _HOUR,
    5 * _HOUR,
    10 * _HOUR,
    14 * _HOUR,
    20 * _HOUR,
    24 * _HOUR,
)
# How much a delay differs from the schedule at random, so that receivers that failed together do not get all
# their retries at one moment.
JITTER: Final = 0.2


@dataclass(frozen=True, slots=True)
class Schedule:
    """Delays in milliseconds between the attempts of one event. After the last delay there is one more
    attempt."""

    delays_ms: tuple[int, ...] = DELAYS_MS
    jitter: float = JITTER

    def delay_ms(self, attempts: int, random_source: random.Random) -> int | None:
        """How long to wait after `attempts` (1 or more) failed ones; None: the event is given up."""
        if attempts > len(self.delays_ms):
            return None
        factor = 1 + self.jitter * random_source.uniform(-1, 1)
        return round(self.delays_ms[attempts - 1] * factor)

    @property
    def longest_ms(self) -> int:
        """The longest delay that `delay_ms` returns."""
        return round(max(self.delays_ms, default=0) * (1 + self.jitter))
