"""The durations that decide how long a lease is held and when an owner counts as dead."""

from dataclasses import dataclass
from typing import Final

# How much the monotonic clocks of two hosts may differ in rate. NTP slews by at most 0.05 %, and a quartz is
# accurate to 0.01 %; the rest is margin.
MAX_CLOCK_DRIFT: Final = 0.05


@dataclass(frozen=True, slots=True)
class Timing:
    """All in milliseconds of the monotonic clock of the process that waits.

    An owner holds its lease for `hold_ms` from the moment before its last successful write was sent. An
    observer counts `expiry_ms` from the moment after it saw that write. No two owners hold one lease if

        hold_ms / (1 - MAX_CLOCK_DRIFT) < expiry_ms / (1 + MAX_CLOCK_DRIFT)

    Raises ValueError for durations that break this or that leave no time for a second renewal.
    """

    heartbeat_ms: int = 2_000
    # How long after a failed renewal the next one is tried.
    retry_ms: int = 500
    hold_ms: int = 4_000
    expiry_ms: int = 5_000
    # Longest time for one operation on the bus, after which it counts as failed.
    operation_ms: int = 1_000
    # How long a job waits for an owner until the creator is informed.
    report_waiting_ms: int = 5_000
    # How often a waiting job is offered again, in case that its ticket was lost.
    reoffer_ms: int = 60_000
    # How long an owner runs a job until earlier deaths no longer count.
    steady_ms: int = 60_000
    # How long a replica leaves a job that it has returned to the others.
    avoid_ms: int = 10_000

    def __post_init__(self) -> None:
        if self.hold_ms / (1 - MAX_CLOCK_DRIFT) >= self.expiry_ms / (1 + MAX_CLOCK_DRIFT):
            raise ValueError(f"expiry_ms must exceed hold_ms by more than {2 * MAX_CLOCK_DRIFT:.0%}")
        if self.heartbeat_ms + self.retry_ms >= self.hold_ms:
            raise ValueError("hold_ms must leave time to try a renewal twice")
        if min(self.heartbeat_ms, self.retry_ms, self.operation_ms) < 1:
            raise ValueError("durations are at least a millisecond")
