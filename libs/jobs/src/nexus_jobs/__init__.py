"""Jobs that outlive a process: a queue by kind and class, one owner at a time, takeover, capacity.

`JobQueue` creates and commands jobs, `JobWorker` runs them, and both share one `JobRecords`.
"""

from nexus_jobs.config import JobsConfig
from nexus_jobs.core.job import (
    COMPLETED,
    INTERNAL,
    NO_CAPACITY,
    OWNERS_DIED,
    STOPPED,
    Capacity,
    Job,
    JobState,
    Outcome,
)
from nexus_jobs.core.lease import LeaseState
from nexus_jobs.core.timing import Timing
from nexus_jobs.errors import (
    InvalidJob,
    JobError,
    JobFailed,
    JobHasEnded,
    JobNotFound,
    JobUnreadable,
    LeaseLost,
    TooManyJobs,
)
from nexus_jobs.lease import Lease
from nexus_jobs.metrics import JobMetrics
from nexus_jobs.queue import JobQueue, JobRequest
from nexus_jobs.records import JobRecords
from nexus_jobs.worker import RETURNED, Handler, JobWorker, Returned, Work

__all__ = [
    "COMPLETED",
    "INTERNAL",
    "NO_CAPACITY",
    "OWNERS_DIED",
    "RETURNED",
    "STOPPED",
    "Capacity",
    "Handler",
    "InvalidJob",
    "Job",
    "JobError",
    "JobFailed",
    "JobHasEnded",
    "JobMetrics",
    "JobNotFound",
    "JobQueue",
    "JobRecords",
    "JobRequest",
    "JobState",
    "JobUnreadable",
    "JobWorker",
    "JobsConfig",
    "Lease",
    "LeaseLost",
    "LeaseState",
    "Outcome",
    "Returned",
    "Timing",
    "TooManyJobs",
    "Work",
]
