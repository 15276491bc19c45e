"""A token bucket: how much of something a peer may do per second, with a burst. Time is a parameter."""

import math


class TokenBucket:
    """`rate_per_second` units flow in, at most `burst` are kept."""

    def __init__(self, rate_per_second: float, burst: float, now_ms: int) -> None:
        self._rate = rate_per_second
        self._burst = burst
        self._level = burst
        self._at_ms = now_ms

    def take(self, now_ms: int, cost: float = 1.0) -> int:
        """Takes `cost` and returns 0, or takes nothing and returns the milliseconds until it could be had.

        A cost above the burst is taken from a full bucket, leaving it in debt: else it could never be had at
        all.
        """
        self._level = min(self._burst, self._level + max(0, now_ms - self._at_ms) * self._rate / 1000)
        self._at_ms = now_ms
        needed = min(cost, self._burst)
        if self._level + 1e-9 >= needed:
            self._level -= cost
            return 0
        return max(1, math.ceil((needed - self._level) / self._rate * 1000))
