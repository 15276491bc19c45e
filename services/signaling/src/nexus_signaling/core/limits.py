"""What one session may do, as the session core needs it. Durations in milliseconds, sizes in bytes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SessionLimits:
    join_timeout_ms: int = 10_000
    ping_interval_ms: int = 10_000
    # A client that has been silent for this many intervals is gone.
    ping_misses: int = 3
    messages_per_second: float = 50.0
    message_burst: int = 100
    bytes_per_second: float = 1 << 20
    bytes_burst: int = 2 << 20
    # Refused for their rate before the session is closed; one well-behaved message does not reset it.
    max_rate_limited: int = 100
    # Malformed messages before the session is closed.
    max_malformed: int = 8
    # Requests that wait behind one that the SFU is working on.
    max_pending_requests: int = 32
    # Room events kept while a join's answer or a snapshot is on its way.
    max_held_events: int = 1024
    # Between two snapshots of one session.
    snapshot_interval_ms: int = 1_000
    max_message_bytes: int = 256 * 1024

    @property
    def max_catch_up(self) -> int:
        """Maximum number of frames waiting that bring a client up to date: a join's answer and a snapshot
        right behind it, each with the events that were held back."""
        return 2 * (1 + self.max_held_events)

    @property
    def silence_ms(self) -> int:
        return self.ping_interval_ms * self.ping_misses
