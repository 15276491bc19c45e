"""A job as a value: what `nexus.jobs.v1.JobRecord` carries."""

from dataclasses import dataclass
from enum import Enum
from typing import Final


class JobState(Enum):
    QUEUED = "queued"
    RUNNING = "running"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Capacity:
    """An amount of resources. CPU is in thousandths of a core."""

    cpu_millicores: int = 0
    memory_bytes: int = 0
    spool_bytes: int = 0

    def __add__(self, other: "Capacity") -> "Capacity":
        return Capacity(
            self.cpu_millicores + other.cpu_millicores,
            self.memory_bytes + other.memory_bytes,
            self.spool_bytes + other.spool_bytes,
        )

    def __sub__(self, other: "Capacity") -> "Capacity":
        """The difference, in which every resource is at least 0."""
        return Capacity(
            max(0, self.cpu_millicores - other.cpu_millicores),
            max(0, self.memory_bytes - other.memory_bytes),
            max(0, self.spool_bytes - other.spool_bytes),
        )

    def largest(self, other: "Capacity") -> "Capacity":
        """The larger amount of each resource."""
        return Capacity(
            max(self.cpu_millicores, other.cpu_millicores),
            max(self.memory_bytes, other.memory_bytes),
            max(self.spool_bytes, other.spool_bytes),
        )

    def fits_into(self, free: "Capacity") -> bool:
        return (
            self.cpu_millicores <= free.cpu_millicores
            and self.memory_bytes <= free.memory_bytes
            and self.spool_bytes <= free.spool_bytes
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended. `code` is upper case; the codes of this module are those that every kind has."""

    code: str
    message: str = ""


COMPLETED: Final = "COMPLETED"
STOPPED: Final = "STOPPED"
NO_CAPACITY: Final = "NO_CAPACITY"
OWNERS_DIED: Final = "OWNERS_DIED"
INTERNAL: Final = "INTERNAL"


@dataclass(frozen=True, slots=True)
class Job:
    """A job at one revision of its record. The fields are those of `JobRecord`, with the same names."""

    id: str
    app: str
    kind: str
    job_class: str
    queue_timeout_ms: int
    created_at_ms: int
    request_id: str = ""
    payload: bytes = b""
    cost: Capacity = Capacity()
    state: JobState = JobState.QUEUED
    owner: str = ""
    epoch: int = 0
    renewals: int = 0
    heartbeat_at_ms: int = 0
    queued_at_ms: int = 0
    started_at_ms: int = 0
    ended_at_ms: int = 0
    queueings: int = 1
    deaths: int = 0
    waiting_reported: bool = False
    stop_requested: bool = False
    wanted: bytes = b""
    wanted_revision: int = 0
    checkpoint: bytes = b""
    outcome: Outcome | None = None

    @property
    def ended(self) -> bool:
        return self.state is JobState.ENDED

    def is_owned_by(self, owner: str, epoch: int) -> bool:
        return self.state is JobState.RUNNING and self.owner == owner and self.epoch == epoch
