"""The settings of jobs. A service fills them from its own configuration."""

from dataclasses import dataclass, field

from nexus_jobs.core.timing import Timing


@dataclass(frozen=True, slots=True)
class JobsConfig:
    """Raises ValueError for settings that make no sense."""

    timing: Timing = field(default_factory=Timing)
    # How long the record of an ended job stays, and with it the effect of its request_id.
    keep_ended_ms: int = 24 * 3600 * 1000
    # How many owners of one job may die in a row before it counts as the cause.
    max_deaths: int = 3
    # Maximum number of jobs of one process's kinds that have not ended. Later ones are refused.
    max_open: int = 10_000
    # Maximum number of records, those of ended jobs included.
    max_records: int = 100_000
    max_payload_bytes: int = 64 * 1024
    max_wanted_bytes: int = 64 * 1024
    max_checkpoint_bytes: int = 256 * 1024
    # Longest time that a job may wait for capacity.
    max_queue_timeout_ms: int = 24 * 3600 * 1000
    # Number of NATS servers that store records and tickets: 1, or 3 in a cluster.
    replicas: int = 1

    def __post_init__(self) -> None:
        if self.keep_ended_ms < 1_000:
            raise ValueError("keep_ended_ms is at least a second")
        if self.max_deaths < 1:
            raise ValueError("max_deaths is at least 1")
        if self.max_payload_bytes + self.max_wanted_bytes + self.max_checkpoint_bytes > 900_000:
            raise ValueError("a record must fit into one message of the broker (1 MiB)")
