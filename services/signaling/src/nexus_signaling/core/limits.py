"""Limits of one session. Durations are in milliseconds, sizes in bytes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SessionLimits:
    join_timeout_ms: int = 10_000
    ping_interval_ms: int = 10_000
    # Number of silent intervals after which a client counts as gone.
    ping_misses: int = 3
    messages_per_second: float = 50.0
    message_burst: int = 100
    bytes_per_second: float = 1 << 20
    bytes_burst: int = 2 << 20
    # Messages refused for their rate before the session is closed; accepted messages do not reset the count.
    max_rate_limited: int = 100
    # Malformed messages before the session is closed.
    max_malformed: int = 8
    # Maximum number of requests that wait for the one that the SFU is handling.
    max_pending_requests: int = 32
    # Maximum number of room events held until a join's answer or a snapshot arrives.
    max_held_events: int = 1024
    # Minimum time between two snapshots of one session.
    snapshot_interval_ms: int = 1_000
    max_message_bytes: int = 256 * 1024

    @property
    def max_catch_up(self) -> int:
        """Maximum number of queued frames that bring a client up to date: a join's answer and a snapshot
        directly after it, each with the held events."""
        return 2 * (1 + self.max_held_events)

    @property
    def silence_ms(self) -> int:
        return self.ping_interval_ms * self.ping_misses
