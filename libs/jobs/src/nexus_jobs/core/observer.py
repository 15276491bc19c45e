"""The oversight of all jobs of some kinds: finds owners that died, jobs that wait too long, and lost tickets.

Every process that creates or runs jobs is an observer, and several may act at once. Each effect is carried
out by a compare-and-set on a record that is read again, so one of them succeeds, and an observer whose view
is old changes nothing. Durations count from the moment at which this process saw a change, on its own
monotonic clock, and only while the broker answers.
"""

from dataclasses import dataclass

from nexus_jobs.core.job import Job, JobState
from nexus_jobs.core.timing import Timing


@dataclass(frozen=True, slots=True)
class Mark:
    """The fields of a record that change when its owner is alive or changes. A command changes none."""

    state: JobState
    epoch: int
    renewals: int
    queueings: int

    @classmethod
    def of(cls, job: Job) -> "Mark":
        return cls(job.state, job.epoch, job.renewals, job.queueings)


@dataclass(frozen=True, slots=True)
class Seen:
    """A step of the watch."""

    job: Job
    revision: int


@dataclass(frozen=True, slots=True)
class Reread:
    """The record as the broker returned it, to be believed even if its revision is lower: a broker that lost
    its storage counts from 1 again."""

    job: Job
    revision: int


@dataclass(frozen=True, slots=True)
class Removed:
    kind: str
    job_id: str


@dataclass(frozen=True, slots=True)
class BrokerLost:
    """An operation failed or the connection broke: silence no longer says anything about owners."""


@dataclass(frozen=True, slots=True)
class BrokerBack:
    """An operation succeeded after `BrokerLost`."""


@dataclass(frozen=True, slots=True)
class Tick:
    pass


Event = Seen | Reread | Removed | BrokerLost | BrokerBack | Tick


@dataclass(frozen=True, slots=True)
class Expire:
    """Take the owner for dead, if the record still has this mark."""

    kind: str
    job_id: str
    mark: Mark


@dataclass(frozen=True, slots=True)
class EndUnclaimed:
    kind: str
    job_id: str
    queueings: int


@dataclass(frozen=True, slots=True)
class ReportWaiting:
    kind: str
    job_id: str
    queueings: int


@dataclass(frozen=True, slots=True)
class Offer:
    """Publish the ticket again."""

    kind: str
    job_class: str
    job_id: str
    queueings: int


Effect = Expire | EndUnclaimed | ReportWaiting | Offer


@dataclass(slots=True)
class _Sight:
    kind: str
    job_class: str
    mark: Mark
    revision: int
    queue_timeout_ms: int
    waiting_reported: bool
    since_ms: int
    offer_ms: int
    quiet_until_ms: int = 0


@dataclass(frozen=True, slots=True)
class Counts:
    queued: int = 0
    running: int = 0
    ended: int = 0

    @property
    def open(self) -> int:
        return self.queued + self.running

    @property
    def total(self) -> int:
        return self.open + self.ended


class Observer:
    """Begins as if the broker were lost. At most `max_jobs` jobs are observed; `unobserved` counts the steps
    of the watch that were ignored beyond that."""

    def __init__(self, timing: Timing, max_jobs: int) -> None:
        self._timing = timing
        self._max_jobs = max_jobs
        self._sights: dict[str, _Sight] = {}
        self._lost_since_ms: int | None = None
        self._reachable = False
        self.unobserved = 0

    @property
    def reachable(self) -> bool:
        return self._reachable

    def counts(self) -> Counts:
        states = [sight.mark.state for sight in self._sights.values()]
        return Counts(
            states.count(JobState.QUEUED), states.count(JobState.RUNNING), states.count(JobState.ENDED)
        )

    def handle(self, event: Event, now_ms: int) -> list[Effect]:
        match event:
            case Seen(job, revision):
                self._see(job, revision, now_ms, always=False)
            case Reread(job, revision):
                self._see(job, revision, now_ms, always=True)
            case Removed(_, job_id):
                self._sights.pop(job_id, None)
            case BrokerLost():
                if self._reachable:
                    self._reachable = False
                    self._lost_since_ms = now_ms
            case BrokerBack():
                self._come_back(now_ms)
            case Tick():
                return self._due(now_ms)
        return []

    def _see(self, job: Job, revision: int, now_ms: int, *, always: bool) -> None:
        sight = self._sights.get(job.id)
        if sight is not None and revision < sight.revision and not always:
            return
        mark = Mark.of(job)
        if sight is not None and sight.mark == mark:
            sight.revision = revision
            sight.waiting_reported = job.waiting_reported
            return
        if sight is None and len(self._sights) >= self._max_jobs:
            self.unobserved += 1
            return
        self._sights[job.id] = _Sight(
            job.kind,
            job.job_class,
            mark,
            revision,
            job.queue_timeout_ms,
            job.waiting_reported,
            since_ms=now_ms,
            offer_ms=now_ms + self._timing.expiry_ms,
        )

    def _come_back(self, now_ms: int) -> None:
        if self._reachable:
            return
        self._reachable = True
        away_ms = 0 if self._lost_since_ms is None else now_ms - self._lost_since_ms
        for sight in self._sights.values():
            if sight.mark.state is JobState.RUNNING:
                sight.since_ms = now_ms  # its owner could not renew either
            else:
                sight.since_ms += away_ms  # replicas could not take it meanwhile
                sight.offer_ms += away_ms

    def _due(self, now_ms: int) -> list[Effect]:
        if not self._reachable:
            return []
        effects: list[Effect] = []
        for job_id, sight in self._sights.items():
            if sight.mark.state is JobState.ENDED or now_ms < sight.quiet_until_ms:
                continue
            found = self._of(job_id, sight, now_ms)
            if found:
                # The record will change, or the effect failed and is due again.
                sight.quiet_until_ms = now_ms + self._timing.operation_ms
                effects += found
        return effects

    def _of(self, job_id: str, sight: _Sight, now_ms: int) -> list[Effect]:
        age_ms = now_ms - sight.since_ms
        if sight.mark.state is JobState.RUNNING:
            due = age_ms >= self._timing.expiry_ms
            return [Expire(sight.kind, job_id, sight.mark)] if due else []
        if age_ms >= sight.queue_timeout_ms:
            return [EndUnclaimed(sight.kind, job_id, sight.mark.queueings)]
        effects: list[Effect] = []
        if age_ms >= self._timing.report_waiting_ms and not sight.waiting_reported:
            effects.append(ReportWaiting(sight.kind, job_id, sight.mark.queueings))
        if now_ms >= sight.offer_ms:
            sight.offer_ms = now_ms + self._timing.reoffer_ms
            effects.append(Offer(sight.kind, sight.job_class, job_id, sight.mark.queueings))
        return effects
