"""The records of some kinds of jobs, as one process sees and changes them.

A process has one `JobRecords`, which its `JobQueue` and its `JobWorker` share. It follows the bucket, carries
out what the `Observer` decides, and passes every change of a job to those who listen for it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import structlog
from google.protobuf.message import DecodeError
from nexus_bus import (
    Bus,
    BusError,
    Change,
    KeyExists,
    LazyKeyValue,
    RequestTimeout,
    RevisionMismatch,
    Synced,
    subjects,
)
from nexus_runtime import Clock, run_together

from nexus_jobs.config import JobsConfig
from nexus_jobs.core import transitions
from nexus_jobs.core.job import Job, JobState
from nexus_jobs.core.observer import (
    BrokerBack,
    BrokerLost,
    Counts,
    Effect,
    EndUnclaimed,
    Expire,
    Mark,
    Observer,
    Offer,
    Removed,
    ReportWaiting,
    Reread,
    Seen,
    Tick,
)
from nexus_jobs.errors import JobError, JobNotFound, JobUnreadable
from nexus_jobs.metrics import JobMetrics, outcome_label
from nexus_jobs.tickets import TicketOffice
from nexus_jobs.wire import decode_job, encode_job

log = structlog.get_logger()

TICK_SECONDS = 0.25
RETRY_SECONDS = 0.5
# Longest time to list all records of a kind.
LIST_SECONDS = 10.0
# How often a change is tried while other writers are faster.
MAX_CONFLICTS = 16
# A key that no job has, which is read to find out whether the broker answers.
_PROBE = "none"

Transition = Callable[[Job], Job | None]
Listener = Callable[[Job | None, int], None]
WaitingListener = Callable[[Job], None]


@dataclass(frozen=True, slots=True)
class Stored:
    """A job and the revision of its record."""

    job: Job
    revision: int


class JobRecords:
    """`on_waiting` is called with a job that has waited for capacity for `report_waiting_ms`: once for each
    queueing, in one of the processes that observe the job."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        config: JobsConfig,
        kinds: Sequence[str],
        metrics: JobMetrics,
        on_waiting: WaitingListener | None = None,
    ) -> None:
        self.clock = clock
        self.config = config
        self.kinds = tuple(subjects.job_kind(kind) for kind in kinds)
        self.metrics = metrics
        self.tickets = TicketOffice(bus, config, metrics)
        self._bucket = LazyKeyValue(bus, subjects.JOBS, replicas=config.replicas)
        self._observer = Observer(config.timing, config.max_records)
        self._on_waiting = on_waiting
        self._listeners: dict[str, list[Listener]] = {}
        self._synced: set[str] = set()
        bus.on_connection(self._on_connection)

    # Reading and writing

    async def read(self, kind: str, job_id: str) -> Stored | None:
        """The record, or None. Raises BusError, JobUnreadable, and ValueError for an id that no job can
        have."""
        async with self._operation():
            entry = await self._bucket.get(subjects.job_key(kind, job_id))
        if entry is None:
            return None
        job = self._decode(entry.key, entry.value)
        if job is None:
            raise JobUnreadable(job_id)
        stored = Stored(job, entry.revision)
        self._observer.handle(Reread(job, entry.revision), self.clock.monotonic_ms())
        return stored

    async def create(self, job: Job) -> int:
        """Writes a new record and returns its revision. Raises KeyExists."""
        async with self._operation():
            revision = await self._bucket.create(subjects.job_key(job.kind, job.id), encode_job(job))
        self._wrote(job, revision)
        return revision

    async def write(self, job: Job, revision: int) -> int:
        """Replaces the record of `revision` and returns the new revision. Raises RevisionMismatch."""
        ttl_seconds = -(-self.config.keep_ended_ms // 1000) if job.ended else None
        async with self._operation():
            key = subjects.job_key(job.kind, job.id)
            written = await self._bucket.update(key, encode_job(job), revision, ttl_seconds)
        self._wrote(job, written)
        return written

    async def change(self, kind: str, job_id: str, transition: Transition) -> Stored:
        """Applies a transition to the record, again if another writer is faster, and returns the job as it
        is then. A transition that returns None or the same job writes nothing. Raises JobNotFound."""
        for _ in range(MAX_CONFLICTS):
            stored = await self.read(kind, job_id)
            if stored is None:
                raise JobNotFound(job_id)
            changed = transition(stored.job)
            if changed is None or changed is stored.job:
                return stored
            with suppress(RevisionMismatch):
                return Stored(changed, await self.write(changed, stored.revision))
        raise BusError(f"the record of {job_id} changes too often")

    async def list(self, kind: str) -> list[Job]:
        """Every job of a kind whose record exists, by age."""
        pattern = subjects.jobs_filter(kind)
        found: list[Job] = []
        try:
            async with asyncio.timeout(LIST_SECONDS), await self._bucket.watch(pattern) as watch:
                async for step in watch:
                    if isinstance(step, Synced):
                        break
                    if step.value is not None and (job := self._decode(step.key, step.value)) is not None:
                        found.append(job)
        except TimeoutError:
            raise RequestTimeout("the broker did not list the jobs") from None
        return sorted(found, key=lambda job: (job.created_at_ms, job.id))

    @asynccontextmanager
    async def _operation(self) -> AsyncIterator[None]:
        """Limits the time of an operation on the bucket, and reports its failure to the observer."""
        try:
            async with asyncio.timeout(self.config.timing.operation_ms / 1000):
                yield
        except TimeoutError:
            self._observer.handle(BrokerLost(), self.clock.monotonic_ms())
            raise RequestTimeout("the broker did not answer") from None
        except (KeyExists, RevisionMismatch):
            raise
        except BusError:
            self._observer.handle(BrokerLost(), self.clock.monotonic_ms())
            raise

    def _decode(self, key: str, value: bytes) -> Job | None:
        try:
            return decode_job(value)
        except (DecodeError, ValueError) as error:
            self.metrics.malformed.labels("record").inc()
            log.warning("job_record_malformed", key=key, error=repr(error))
            return None

    def _wrote(self, job: Job, revision: int) -> None:
        self._observer.handle(Seen(job, revision), self.clock.monotonic_ms())
        if job.outcome is not None:
            self.metrics.ended.labels(job.kind, outcome_label(job.outcome.code)).inc()

    # Following

    @property
    def counts(self) -> Counts:
        return self._observer.counts()

    @property
    def synced(self) -> bool:
        """Whether the records of every kind have been read once."""
        return self._synced.issuperset(self.kinds)

    def listen(self, job_id: str, listener: Listener) -> Callable[[], None]:
        """Calls `listener(job, revision)` at every change that the watch delivers, with None for a removed
        record. Returns a function that ends this."""
        listeners = self._listeners.setdefault(job_id, [])
        listeners.append(listener)

        def end() -> None:
            if listener in listeners:
                listeners.remove(listener)
            if not listeners:
                self._listeners.pop(job_id, None)

        return end

    async def run(self) -> None:
        """Follows the bucket and acts on it until cancelled."""
        following = {f"jobs-follow-{kind}": self.follow(kind) for kind in self.kinds}
        await run_together({**following, "jobs-tick": self._tick_forever()})

    async def _tick_forever(self) -> None:
        while True:
            await self.tick()
            await asyncio.sleep(TICK_SECONDS)

    async def follow(self, kind: str) -> None:
        """Follows the records of a kind. The watch survives outages; if it ends, another one is started."""
        while True:
            try:
                async with await self._bucket.watch(subjects.jobs_filter(kind)) as watch:
                    async for step in watch:
                        self._apply(kind, step)
            except BusError as error:
                self._observer.handle(BrokerLost(), self.clock.monotonic_ms())
                log.debug("job_watch_interrupted", kind=kind, error=repr(error))
            await asyncio.sleep(RETRY_SECONDS)

    def _apply(self, kind: str, step: Change | Synced) -> None:
        now_ms = self.clock.monotonic_ms()
        if isinstance(step, Synced):
            self._synced.add(kind)
            return
        if step.value is None:
            job, job_id = None, step.key.removeprefix(f"{kind}.")
            self._observer.handle(Removed(kind, job_id), now_ms)
        else:
            job = self._decode(step.key, step.value)
            if job is None:
                return
            job_id = job.id
            self._observer.handle(Seen(job, step.revision), now_ms)
        for listener in list(self._listeners.get(job_id, ())):
            listener(job, step.revision)

    def _on_connection(self, connected: bool) -> None:
        if not connected:
            self._observer.handle(BrokerLost(), self.clock.monotonic_ms())

    # Acting

    async def tick(self) -> None:
        """Carries out what is due now."""
        if not self._observer.reachable:
            await self._probe()
        for effect in self._observer.handle(Tick(), self.clock.monotonic_ms()):
            try:
                await self._perform(effect)
            except (BusError, JobError) as error:
                log.info("job_oversight_failed", job=effect.job_id, effect=repr(effect), error=repr(error))
                if isinstance(error, JobNotFound):
                    removed = Removed(effect.kind, effect.job_id)
                    self._observer.handle(removed, self.clock.monotonic_ms())
        counts = self._observer.counts()
        self.metrics.open.labels("queued").set(counts.queued)
        self.metrics.open.labels("running").set(counts.running)
        self.metrics.unobserved.set(self._observer.unobserved)

    async def _probe(self) -> None:
        try:
            async with self._operation():
                await self._bucket.get(subjects.job_key(self.kinds[0], _PROBE))
        except BusError:
            return
        self._observer.handle(BrokerBack(), self.clock.monotonic_ms())

    async def _perform(self, effect: Effect) -> None:
        match effect:
            case Expire():
                await self._expire(effect)
            case EndUnclaimed(kind, job_id, queueings):
                now_ms = self.clock.epoch_ms()
                await self.change(kind, job_id, lambda job: transitions.end_unclaimed(job, queueings, now_ms))
            case ReportWaiting(kind, job_id, queueings):
                await self._report_waiting(kind, job_id, queueings)
            case Offer(kind, job_class, job_id, queueings):
                await self.tickets.offer(kind, job_class, job_id, queueings)

    async def _expire(self, effect: Expire) -> None:
        """Takes the job from an owner that was silent. The compare-and-set proves that it was silent up to
        this moment."""
        stored = await self.read(effect.kind, effect.job_id)
        if stored is None:
            raise JobNotFound(effect.job_id)
        if Mark.of(stored.job) != effect.mark:
            return
        lost = transitions.lose_owner(stored.job, self.config.max_deaths, self.clock.epoch_ms())
        try:
            await self.write(lost, stored.revision)
        except RevisionMismatch:
            return  # the owner or another observer was faster; the watch delivers the result
        self.metrics.expired.labels(effect.kind).inc()
        log.warning(
            "job_owner_expired",
            job=lost.id,
            owner=stored.job.owner,
            epoch=lost.epoch,
            deaths=lost.deaths,
            ended=lost.ended,
        )
        if lost.state is JobState.QUEUED:
            await self.tickets.offer(lost.kind, lost.job_class, lost.id, lost.queueings)

    async def _report_waiting(self, kind: str, job_id: str, queueings: int) -> None:
        reported = False

        def report(job: Job) -> Job | None:
            nonlocal reported
            changed = transitions.report_waiting(job, queueings)
            reported = changed is not None
            return changed

        stored = await self.change(kind, job_id, report)
        if reported:
            log.info("job_waits_for_capacity", job=job_id, kind=kind)
            if self._on_waiting is not None:
                self._on_waiting(stored.job)
