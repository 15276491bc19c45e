"""A token bucket: how much of something a peer may do per second, with a burst. Time is a parameter."""


class TokenBucket:
    """`rate_per_second` units flow in, at most `burst` are kept."""

    def __init__(self, rate_per_second: float, burst: float, now: float) -> None:
        self._rate = rate_per_second
        self._burst = burst
        self._level = burst
        self._at = now

    def take(self, now: float, cost: float = 1.0) -> float:
        """Takes `cost` and returns 0.0, or takes nothing and returns the seconds until it could be had.

        A cost above the burst is taken from a full bucket, leaving it in debt: else it could never be had at
        all.
        """
        self._level = min(self._burst, self._level + max(0.0, now - self._at) * self._rate)
        self._at = now
        needed = min(cost, self._burst)
        if self._level + 1e-9 >= needed:
            self._level -= cost
            return 0.0
        return (needed - self._level) / self._rate
