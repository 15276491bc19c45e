"""A token bucket: a rate limit with a burst. Time is a parameter."""

import math


class TokenBucket:
    """Gains `rate_per_second` units and holds at most `burst`. It begins full."""

    def __init__(self, rate_per_second: float, burst: float, now_ms: int) -> None:
        self._rate = rate_per_second
        self._burst = burst
        self._level = burst
        self._at_ms = now_ms

    def take(self, now_ms: int, cost: float = 1.0) -> int:
        """Takes `cost` and returns 0, or takes nothing and returns the milliseconds until it is available.

        A cost above the burst is taken from a full bucket and leaves it in debt, because otherwise it would
        never be available.
        """
        self._level = min(self._burst, self._level + max(0, now_ms - self._at_ms) * self._rate / 1000)
        self._at_ms = now_ms
        needed = min(cost, self._burst)
        if self._level + 1e-9 >= needed:
            self._level -= cost
            return 0
        return max(1, math.ceil((needed - self._level) / self._rate * 1000))
