"""The metrics of jobs. The values of `kind` and `class` come from the program, never from a client."""

from typing import Final

from nexus_runtime import MetricSet

from nexus_jobs.core.job import COMPLETED, INTERNAL, NO_CAPACITY, OWNERS_DIED, STOPPED

# The outcomes that every kind has. All other codes are counted as FAILED, which keeps the label a closed set.
OUTCOMES: Final = (COMPLETED, STOPPED, NO_CAPACITY, OWNERS_DIED, INTERNAL)


def outcome_label(code: str) -> str:
    return code if code in OUTCOMES else "FAILED"


class JobMetrics:
    def __init__(self, metrics: MetricSet) -> None:
        counter, gauge = metrics.counter, metrics.gauge
        self.created = counter("jobs_created", "Jobs created.", "kind")
        self.refused = counter("jobs_refused", "Jobs refused because too many are open.", "kind")
        self.claimed = counter("jobs_claimed", "Jobs taken by this replica.", "kind", "class")
        self.taken_over = counter("jobs_taken_over", "Taken jobs whose last owner died.", "kind", "class")
        self.ended = counter("jobs_ended", "Jobs that this process ended, by outcome.", "kind", "outcome")
        self.returned = counter("jobs_returned", "Jobs that this replica returned.", "kind", "class")
        self.failed_attempts = counter(
            "jobs_failed_attempts", "Jobs whose handler raised an unexpected error.", "kind", "class"
        )
        self.expired = counter("jobs_owners_expired", "Owners that this process declared dead.", "kind")
        self.leases_lost = counter("jobs_leases_lost", "Leases that this replica lost.", "kind", "class")
        self.leases_unconfirmed = counter(
            "jobs_leases_unconfirmed", "Leases whose renewal came too late.", "kind", "class"
        )
        self.renewals_failed = counter("jobs_renewals_failed", "Renewals that failed.", "kind")
        self.tickets_offered = counter("jobs_tickets_offered", "Tickets published.", "kind")
        self.tickets_failed = counter("jobs_tickets_failed", "Tickets that were not stored.", "kind")
        self.tickets_stale = counter("jobs_tickets_stale", "Tickets of jobs that needed no owner.", "kind")
        self.tickets_declined = counter(
            "jobs_tickets_declined", "Tickets returned because the job did not fit.", "kind", "class"
        )
        self.malformed = counter("jobs_malformed", "Records and tickets that could not be read.", "what")
        self.unobserved = gauge(
            "jobs_unobserved", "Steps of the watch ignored because too many records exist."
        )
        self.open = gauge("jobs_open", "Jobs that have not ended, as this process sees them.", "state")
        self.running_here = gauge("jobs_running_here", "Jobs that this replica runs.")
        self.reserved_cpu = gauge("jobs_reserved_cpu_millicores", "CPU reserved for running jobs.")
        self.reserved_memory = gauge("jobs_reserved_memory_bytes", "Memory reserved for running jobs.")
        self.reserved_spool = gauge("jobs_reserved_spool_bytes", "Spool reserved for running jobs.")
