"""Takes jobs for which this replica has capacity, and runs their handlers."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

import structlog
from google.protobuf.message import DecodeError
from nexus_bus import BusError, DurableMessage, RevisionMismatch, subjects
from nexus_runtime import is_set_within, run_together

from nexus_jobs.core import transitions
from nexus_jobs.core.admission import Admission
from nexus_jobs.core.job import Capacity, Job, JobState, Outcome
from nexus_jobs.core.lease import LeaseState
from nexus_jobs.errors import JobError, JobFailed, JobUnreadable, LeaseLost
from nexus_jobs.lease import Lease
from nexus_jobs.records import JobRecords, Stored
from nexus_jobs.wire import decode_ticket

log = structlog.get_logger()

# Longest time that a fetch waits at the broker. A fetch outlives a process that is paused and would receive a
# ticket in vain, so it must be over when the owner that was paused with it expires.
FETCH_SECONDS = 2.0
# How long a replica waits after a failure before it fetches again.
RETRY_SECONDS = 0.5
# How often a claim is tried while other writers change the record.
MAX_CONFLICTS = 8
# Longest delay after which a ticket that did not fit is delivered again.
MAX_DECLINE_SECONDS = 2.0


class Returned(Enum):
    """The result of a handler that leaves its job to another owner."""

    RETURNED = "returned"


RETURNED: Final = Returned.RETURNED
Handler = Callable[[Lease], Awaitable[Outcome | Returned]]


@dataclass(frozen=True, slots=True)
class Work:
    """A kind and class of jobs that this replica runs.

    `typical` is what a job of the class usually needs: with less free capacity, none is fetched. The handler
    returns the job's outcome, or `RETURNED`. It may raise JobFailed. Any other error counts as a death of its
    owner, and the job is tried again. A handler whose lease is lost is cancelled. While `has_room` is false,
    the replica takes no job of the class, whatever its capacity is.
    """

    kind: str
    job_class: str
    typical: Capacity
    handler: Handler
    has_room: Callable[[], bool] = lambda: True


@dataclass(frozen=True, slots=True)
class _Running:
    lease: Lease
    handling: asyncio.Task[Outcome | Returned]
    living: asyncio.Task[None]


class JobWorker:
    """`replica` names this process for operators, and `incarnation` is unique to it: two processes of one
    name are different owners."""

    def __init__(
        self, records: JobRecords, replica: str, incarnation: str, capacity: Capacity, works: Sequence[Work]
    ) -> None:
        self._records = records
        self._clock = records.clock
        self._owner = f"{replica}-{incarnation}"
        self._works = tuple(works)
        self._admission = Admission(capacity)
        self._running: dict[str, _Running] = {}
        self._claiming: set[str] = set()
        self._avoided_until_ms: dict[str, int] = {}
        self._accepting = True
        self._freed = asyncio.Event()
        for work in works:
            subjects.job_tickets(work.kind, work.job_class)  # raises ValueError for a bad name

    @property
    def owner(self) -> str:
        return self._owner

    @property
    def leases(self) -> list[Lease]:
        """The leases of the jobs that run here."""
        return [running.lease for running in self._running.values()]

    @property
    def free(self) -> Capacity:
        return self._admission.free()

    def set_accepting(self, accepting: bool) -> None:
        """Takes jobs or not; jobs that run here continue."""
        self._accepting = accepting
        self._freed.set()

    def measure_process(self, total: Capacity) -> None:
        """Reports what all jobs of this replica use together, which is divided in proportion to what they
        declared. For handlers that cannot measure their own share."""
        for job_id, usage in self._admission.apportion(total).items():
            self._measure(job_id, usage)

    async def run(self) -> None:
        """Takes jobs until cancelled. Those that run continue until `drain` or `close`."""
        await run_together(
            {f"jobs-take-{work.kind}-{work.job_class}": self._take_forever(work) for work in self._works}
        )

    async def drain(self, timeout_ms: int) -> None:
        """Takes no more jobs, asks every handler to return its job, and cancels those that have not done so
        in time. Their jobs are returned too."""
        self.set_accepting(False)
        for running in self._running.values():
            running.lease.request_return()
        await self._ended(timeout_ms)
        await self.close()

    async def close(self) -> None:
        """Cancels the handlers that run, and returns their jobs if the broker answers."""
        self.set_accepting(False)
        for running in self._running.values():
            running.handling.cancel()
        await self._ended(2 * self._records.config.timing.operation_ms)
        for running in list(self._running.values()):
            running.living.cancel()
        await self._ended(None)

    def abandon(self) -> None:
        """Stops everything at once and writes nothing, as the death of the process would."""
        for running in self._running.values():
            running.lease.close()
            running.handling.cancel()
            running.living.cancel()

    async def _ended(self, timeout_ms: int | None) -> None:
        if living := [running.living for running in self._running.values()]:
            await asyncio.wait(living, timeout=None if timeout_ms is None else timeout_ms / 1000)

    # Taking

    async def _take_forever(self, work: Work) -> None:
        wait_seconds = min(FETCH_SECONDS, self._records.config.timing.expiry_ms / 2_000)
        while True:
            self._freed.clear()
            if not self._may_take(work):
                await is_set_within(self._freed, RETRY_SECONDS)
                continue
            try:
                await self.take_one(work, wait_seconds)
            except (BusError, JobError) as error:
                log.debug("job_not_taken", kind=work.kind, job_class=work.job_class, error=repr(error))
                await asyncio.sleep(RETRY_SECONDS)

    def _may_take(self, work: Work) -> bool:
        admits = self._admission.admits(work.kind, work.job_class, work.typical)
        return self._accepting and admits and work.has_room()

    async def take_one(self, work: Work, wait_seconds: float) -> bool:
        """Waits for a ticket, and takes its job if it fits. Returns whether it was taken. Raises BusError."""
        ticket = await self._records.tickets.fetch(work.kind, work.job_class, wait_seconds)
        if ticket is None:
            return False
        job_id = self._job_id(ticket)
        if job_id is None:
            await ticket.ack()
            return False
        try:
            stored = await self._records.read(work.kind, job_id)
        except JobUnreadable:
            await ticket.retry(MAX_DECLINE_SECONDS)  # a replica of a newer release may read it
            return False
        if stored is None or stored.job.state is not JobState.QUEUED:
            self._records.metrics.tickets_stale.labels(work.kind).inc()
            await ticket.ack()
            return False
        if not work.has_room() or not self._fits(stored.job):
            self._records.metrics.tickets_declined.labels(work.kind, work.job_class).inc()
            await ticket.retry(min(MAX_DECLINE_SECONDS, 0.1 * ticket.deliveries))
            return False
        taken = await self._claim(work, stored)
        await ticket.ack()
        return taken

    def _job_id(self, ticket: DurableMessage) -> str | None:
        try:
            job_id = decode_ticket(ticket.payload).job_id
            subjects.job_key(self._works[0].kind, job_id)
        except (DecodeError, ValueError) as error:
            self._records.metrics.malformed.labels("ticket").inc()
            log.warning("job_ticket_malformed", subject=ticket.subject, error=repr(error))
            return None
        return job_id

    def _fits(self, job: Job) -> bool:
        now_ms = self._clock.monotonic_ms()
        self._avoided_until_ms = {
            job_id: until_ms for job_id, until_ms in self._avoided_until_ms.items() if until_ms > now_ms
        }
        return (
            self._accepting
            and job.id not in self._running  # its end is being written
            and job.id not in self._claiming
            and job.id not in self._avoided_until_ms
            and self._admission.admits(job.kind, job.job_class, job.cost)
        )

    async def _claim(self, work: Work, stored: Stored) -> bool:
        """Becomes the owner, unless another process is faster. The capacity is reserved meanwhile."""
        job = stored.job
        self._claiming.add(job.id)
        self._admission.start(job.id, job.kind, job.job_class, job.cost, self._clock.monotonic_ms())
        claimed = None
        try:
            claimed = await self._write_claim(stored)
        finally:
            self._claiming.discard(job.id)
            if claimed is None:
                self._admission.end(job.id)
        if claimed is None:
            return False
        self._start(work, *claimed)
        return True

    async def _write_claim(self, stored: Stored) -> tuple[Stored, int] | None:
        """The claimed job, and when the claim was sent. None if the job is no longer queued."""
        for _ in range(MAX_CONFLICTS):
            started_ms = self._clock.monotonic_ms()
            claimed = transitions.claim(stored.job, self._owner, self._clock.epoch_ms())
            if claimed is None:
                return None
            try:
                return Stored(claimed, await self._records.write(claimed, stored.revision)), started_ms
            except RevisionMismatch:
                pass
            except BusError:
                # The claim may have been stored. If it was, the record says so; if it cannot be read, the
                # job expires as if its owner had died.
                again = await self._records.read(claimed.kind, claimed.id)
                if again is not None and again.job.is_owned_by(self._owner, claimed.epoch):
                    return again, started_ms
                if again is None:
                    raise
                stored = again
                continue
            reread = await self._records.read(claimed.kind, claimed.id)
            if reread is None:
                return None
            stored = reread
        return None

    # Running

    def _start(self, work: Work, stored: Stored, started_ms: int) -> None:
        job = stored.job
        lease = Lease(self._records, stored, started_ms, lambda usage: self._measure(job.id, usage))
        handling = asyncio.create_task(_call(work.handler, lease), name=f"job-{job.id}")
        living = asyncio.create_task(self._live(work, lease, handling), name=f"job-lease-{job.id}")
        self._running[job.id] = _Running(lease, handling, living)
        self._records.metrics.claimed.labels(work.kind, work.job_class).inc()
        if job.deaths:
            self._records.metrics.taken_over.labels(work.kind, work.job_class).inc()
        self._show_load()
        log.info("job_claimed", job=job.id, kind=job.kind, epoch=job.epoch, deaths=job.deaths)
        if not self._accepting:
            lease.request_return()

    async def _live(self, work: Work, lease: Lease, handling: asyncio.Task[Outcome | Returned]) -> None:
        """Renews the lease while the handler runs and until its end is written."""
        job_id = lease.job.id
        renewing = asyncio.create_task(lease.run(), name=f"job-renewal-{job_id}")
        try:
            await asyncio.wait({handling, renewing}, return_when=asyncio.FIRST_COMPLETED)
            if not handling.done():  # the lease was lost, or its renewal has a defect
                handling.cancel()
                await asyncio.wait({handling})
            transition = self._transition(work, lease, handling)
            if lease.check() is not LeaseState.LOST:
                await self._release(work, lease, transition)
        finally:
            lease.close()
            handling.cancel()
            renewing.cancel()
            for ended in await asyncio.gather(renewing, return_exceptions=True):
                if isinstance(ended, Exception):
                    log.error("job_renewal_crashed", job=job_id, exc_info=ended)
            self._running.pop(job_id, None)
            self._admission.end(job_id)
            self._show_load()
            self._freed.set()

    def _transition(
        self, work: Work, lease: Lease, handling: asyncio.Task[Outcome | Returned]
    ) -> Callable[[Job], Job]:
        """The change of the record that follows from how the handler ended."""
        now_ms = self._clock.epoch_ms()
        if handling.cancelled():
            return lambda job: transitions.return_to_queue(job, now_ms)
        error = handling.exception()
        if error is None:
            result = handling.result()
            if isinstance(result, Outcome):
                return lambda job: transitions.finish(job, result, now_ms)
            return lambda job: transitions.return_to_queue(job, now_ms)
        if isinstance(error, JobFailed):
            outcome = Outcome(error.code, error.message)
            return lambda job: transitions.finish(job, outcome, now_ms)
        self._records.metrics.failed_attempts.labels(work.kind, work.job_class).inc()
        log.error("job_handler_failed", job=lease.job.id, epoch=lease.epoch, exc_info=error)
        max_deaths = self._records.config.max_deaths
        return lambda job: transitions.lose_owner(job, max_deaths, now_ms)

    async def _release(self, work: Work, lease: Lease, transition: Callable[[Job], Job]) -> None:
        try:
            job = await lease.release(transition)
        except LeaseLost:
            return
        if job.state is not JobState.QUEUED:
            log.info("job_ended", job=job.id, outcome=job.outcome.code if job.outcome else "")
            return
        if job.deaths == 0:
            self._records.metrics.returned.labels(work.kind, work.job_class).inc()
        log.info("job_returned", job=job.id, epoch=job.epoch, deaths=job.deaths)
        # The others come first; this replica may be the only one.
        avoid_ms = self._records.config.timing.avoid_ms
        self._avoided_until_ms[job.id] = self._clock.monotonic_ms() + avoid_ms
        await self._records.tickets.offer(job.kind, job.job_class, job.id, job.queueings)

    def _measure(self, job_id: str, usage: Capacity) -> None:
        self._admission.measure(job_id, usage, self._clock.monotonic_ms())
        self._show_load()
        self._freed.set()

    def _show_load(self) -> None:
        reserved = self._admission.reserved()
        metrics = self._records.metrics
        metrics.running_here.set(len(self._running))
        metrics.reserved_cpu.set(reserved.cpu_millicores)
        metrics.reserved_memory.set(reserved.memory_bytes)
        metrics.reserved_spool.set(reserved.spool_bytes)


async def _call(handler: Handler, lease: Lease) -> Outcome | Returned:
    return await handler(lease)
