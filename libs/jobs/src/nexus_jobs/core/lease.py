"""An owner's side of a lease: when to renew it, and whether it is held at this moment.

The machine never trusts that it is still the owner. A write that succeeds proves it, because the write is a
compare-and-set on the record's revision. Everything else is decided from the record as it is read.
"""

from dataclasses import dataclass
from enum import Enum

from nexus_jobs.core.job import Job
from nexus_jobs.core.timing import Timing


class LeaseState(Enum):
    HELD = "held"
    """No other process can own the job now."""
    UNCONFIRMED = "unconfirmed"
    """The last renewal is too old: another process may own the job. Continue only what is harmless if it
    happens twice, such as writing to the local spool, or creating an object whose name contains the epoch."""
    LOST = "lost"
    """Another process owns the job, or it ended. Stop."""


@dataclass(frozen=True, slots=True)
class Wrote:
    """A write succeeded. `started_ms` is when it was sent, on the monotonic clock."""

    job: Job
    revision: int
    started_ms: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A write named a revision that is not the last: the record must be read again."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A write or a read failed. Whether a write was carried out is unknown."""


@dataclass(frozen=True, slots=True)
class Read:
    """The record as the broker returned it; `job` is None if there is none."""

    job: Job | None
    revision: int


@dataclass(frozen=True, slots=True)
class Watched:
    """A step of the watch, which may be late; `job` is None if the record was removed."""

    job: Job | None
    revision: int


@dataclass(frozen=True, slots=True)
class Tick:
    pass


Event = Wrote | Refused | Failed | Read | Watched | Tick


class Action(Enum):
    """An effect that the edge carries out. Only `Tick` results in one that needs the broker."""

    READ = "read"
    RENEW = "renew"
    RECREATE = "recreate"
    """Create the record again from the last known job: the broker has lost it."""
    NOTIFY_STATE = "notify_state"
    """The state has changed since the last notification."""
    NOTIFY_COMMAND = "notify_command"
    """`stop_requested` or `wanted` has changed."""


class LeaseMachine:
    """One owner's time with one job. `keep_ended_ms` is how long ended records stay: an owner that was
    paused for longer cannot know whether a missing record has ended."""

    def __init__(self, job: Job, revision: int, started_ms: int, timing: Timing, keep_ended_ms: int) -> None:
        self._job = job
        self._revision = revision
        self._timing = timing
        self._keep_ended_ms = keep_ended_ms
        self._owner = job.owner
        self._epoch = job.epoch
        self._claimed_ms = started_ms
        self._confirmed_ms = started_ms
        self._due_ms = started_ms + timing.heartbeat_ms
        self._must_read = False
        self._missing = False
        self._lost = False
        self._successor: Job | None = None
        self._notified = LeaseState.HELD

    @property
    def job(self) -> Job:
        """The job as last written, read or watched while it was owned."""
        return self._job

    @property
    def revision(self) -> int:
        return self._revision

    @property
    def must_read(self) -> bool:
        """Whether the revision is unknown, so that no write can succeed."""
        return self._must_read

    @property
    def successor(self) -> Job | None:
        """The job as it was read when the lease was found to be lost."""
        return self._successor

    def state(self, now_ms: int) -> LeaseState:
        if self._lost:
            return LeaseState.LOST
        if now_ms - self._confirmed_ms < self._timing.hold_ms:
            return LeaseState.HELD
        return LeaseState.UNCONFIRMED

    def steady(self, now_ms: int) -> bool:
        return now_ms - self._claimed_ms >= self._timing.steady_ms

    def next_deadline(self) -> int:
        """When `Tick` is due, on the monotonic clock in milliseconds."""
        if self._notified is LeaseState.HELD:
            return min(self._due_ms, self._confirmed_ms + self._timing.hold_ms)
        return self._due_ms

    def handle(self, event: Event, now_ms: int) -> list[Action]:
        actions: list[Action] = []
        if self._lost:
            return actions
        match event:
            case Wrote(job, revision, started_ms):
                self._adopt(job, revision)
                self._confirmed_ms = max(self._confirmed_ms, started_ms)
                self._due_ms = started_ms + self._timing.heartbeat_ms
            case Refused():
                self._must_read, self._missing = True, False
                self._due_ms = now_ms
            case Failed():
                self._must_read, self._missing = True, False
                self._due_ms = now_ms + self._timing.retry_ms
            case Read(job, revision):
                actions += self._read(job, revision, now_ms)
            case Watched(job, revision):
                actions += self._watched(job, revision, now_ms)
            case Tick():
                if now_ms >= self._due_ms:
                    actions.append(self._next_step())
                    # Until an event about this step says something else.
                    self._due_ms = now_ms + self._timing.retry_ms
        state = self.state(now_ms)
        if state is not self._notified:
            self._notified = state
            actions.append(Action.NOTIFY_STATE)
        return actions

    def _next_step(self) -> Action:
        if self._missing:
            return Action.RECREATE
        return Action.READ if self._must_read else Action.RENEW

    def _adopt(self, job: Job, revision: int) -> None:
        self._job, self._revision = job, revision
        self._must_read = self._missing = False

    def _read(self, job: Job | None, revision: int, now_ms: int) -> list[Action]:
        if job is None:
            # Only an ended record expires, so a record that is missing soon after a renewal was lost by the
            # broker with its storage.
            self._missing = now_ms - self._confirmed_ms < self._keep_ended_ms
            self._lost = not self._missing
            self._due_ms = now_ms
            return []
        if not job.is_owned_by(self._owner, self._epoch):
            return self._lose(job)
        actions = self._commands(job)
        self._adopt(job, revision)
        self._due_ms = now_ms
        return actions

    def _watched(self, job: Job | None, revision: int, now_ms: int) -> list[Action]:
        if revision <= self._revision:
            return []
        if job is None:
            self._must_read = True
            self._due_ms = now_ms
            return []
        if not job.is_owned_by(self._owner, self._epoch):
            return self._lose(job)
        actions = self._commands(job)
        self._adopt(job, revision)
        return actions

    def _lose(self, successor: Job) -> list[Action]:
        self._lost, self._successor = True, successor
        return []

    def _commands(self, job: Job) -> list[Action]:
        return [Action.NOTIFY_COMMAND] if job.wanted_revision != self._job.wanted_revision else []
