"""The lease of a running job, as its handler sees it."""

import asyncio
from collections.abc import Callable

import structlog
from nexus_bus import BusError, KeyExists, RevisionMismatch
from nexus_runtime import is_set_within

from nexus_jobs.core import transitions
from nexus_jobs.core.job import Capacity, Job
from nexus_jobs.core.lease import (
    Action,
    Event,
    Failed,
    LeaseMachine,
    LeaseState,
    Read,
    Refused,
    Tick,
    Watched,
    Wrote,
)
from nexus_jobs.errors import JobUnreadable, LeaseLost
from nexus_jobs.records import JobRecords, Stored

log = structlog.get_logger()

# How often a write is tried while commands change the record.
MAX_CONFLICTS = 16

OnUsage = Callable[[Capacity], None]


class Lease:
    """The right of this process to work on one job, for one epoch.

    A handler asks `check()` before every write that others can see, puts `epoch` into the names of what it
    creates, and creates only what is absent. It waits for `changed()` to learn of commands, of a request to
    return the job, and of changes of the state.
    """

    def __init__(self, records: JobRecords, stored: Stored, started_ms: int, on_usage: OnUsage) -> None:
        timing = records.config.timing
        self._records = records
        self._clock = records.clock
        self._machine = LeaseMachine(
            stored.job, stored.revision, started_ms, timing, records.config.keep_ended_ms
        )
        self._on_usage = on_usage
        self._writing = asyncio.Lock()
        self._changed = asyncio.Event()
        self._confirmed = asyncio.Event()
        self._wake = asyncio.Event()
        self._return_requested = False
        self._releasing = False
        self._released = False
        self._job = stored.job
        self._stop_listening = records.listen(stored.job.id, self._watched)

    @property
    def job(self) -> Job:
        """The job as this process knows it."""
        return self._machine.job

    @property
    def epoch(self) -> int:
        return self._job.epoch

    @property
    def stop_requested(self) -> bool:
        return self.job.stop_requested

    @property
    def wanted(self) -> bytes:
        """The state that the creator requests, in the kind's own message."""
        return self.job.wanted

    @property
    def return_requested(self) -> bool:
        """Whether the handler should bring its work into a state from which another owner can continue, and
        then return `RETURNED`. A replica that drains requests this."""
        return self._return_requested

    def check(self) -> LeaseState:
        """The state at this moment, by the monotonic clock and without I/O.

        It is right also for a process that was paused and wakes. A pause between this check and a write
        remains: only the name of what is written (epoch) and create-if-absent protect against that.
        """
        return LeaseState.LOST if self._released else self._machine.state(self._clock.monotonic_ms())

    async def confirmed(self) -> None:
        """Returns when the lease is held. Raises LeaseLost. While the broker is unreachable, it waits."""
        while (state := self.check()) is not LeaseState.HELD:
            if state is LeaseState.LOST:
                raise LeaseLost(self._job.id)
            self._confirmed.clear()
            self._wake.set()
            await self._confirmed.wait()

    async def changed(self) -> None:
        """Returns when something has changed since the last call: a command, `return_requested` or the state.
        Only one task may wait."""
        await self._changed.wait()
        self._changed.clear()

    async def checkpoint(self, data: bytes) -> None:
        """Stores what the next owner needs in order to continue. Raises LeaseLost, ValueError if it is too
        large, and BusError if the broker does not answer; then it may or may not be stored."""
        if len(data) > self._records.config.max_checkpoint_bytes:
            raise ValueError(f"a checkpoint of {len(data)} bytes is too large")
        await self._write(lambda job: self._renewed(job, data))

    def report_usage(self, usage: Capacity) -> None:
        """Reports what the job uses now, which corrects the cost of its class on this replica."""
        self._on_usage(usage)

    # The worker's side

    def request_return(self) -> None:
        self._return_requested = True
        self._changed.set()

    async def release(self, transition: Callable[[Job], Job]) -> Job:
        """Writes the end of this lease: a job that is queued or ended. Tries until the broker answers. Raises
        LeaseLost."""
        self._releasing = True
        while True:
            meant = transition(self.job)
            try:
                await self._write(transition, last=True)
                return self.job
            except LeaseLost:
                # A write without an answer may have been carried out.
                successor = self._machine.successor
                if successor is not None and _same_end(successor, meant):
                    return successor
                raise
            except (BusError, JobUnreadable):
                await asyncio.sleep(self._records.config.timing.retry_ms / 1000)

    async def run(self) -> None:
        """Renews the lease until it is lost or released."""
        while self.check() is not LeaseState.LOST:
            await self.step()
            wait_ms = max(1, self._machine.next_deadline() - self._clock.monotonic_ms())
            self._wake.clear()
            await is_set_within(self._wake, wait_ms / 1000)

    async def step(self) -> None:
        """Does what is due now: at most a read, and the renewal that follows it."""
        for _ in range(2):
            if self._released:
                return
            for action in self._handle(Tick()):
                await self._perform(action)

    def close(self) -> None:
        self._stop_listening()
        self._released = True
        self._wake.set()

    # Between the machine and the records

    def _watched(self, job: Job | None, revision: int) -> None:
        if not self._releasing and not self._released:
            self._handle(Watched(job, revision))
            self._wake.set()

    def _handle(self, event: Event) -> list[Action]:
        """Lets the machine handle an event, and returns the actions that need I/O."""
        before = self.check()
        actions = self._machine.handle(event, self._clock.monotonic_ms())
        for action in actions:
            if action is Action.NOTIFY_COMMAND:
                self._changed.set()
            elif action is Action.NOTIFY_STATE:
                self._changed.set()
                self._note(self.check())
        if self.check() is not LeaseState.UNCONFIRMED:
            self._confirmed.set()
        if self.check() is LeaseState.LOST and before is not LeaseState.LOST:
            self._lost()
        return [a for a in actions if a not in (Action.NOTIFY_COMMAND, Action.NOTIFY_STATE)]

    def _note(self, state: LeaseState) -> None:
        if state is LeaseState.UNCONFIRMED:
            self._records.metrics.leases_unconfirmed.labels(self._job.kind, self._job.job_class).inc()
            log.warning("job_lease_unconfirmed", job=self._job.id, epoch=self.epoch)
        elif state is LeaseState.HELD:
            log.info("job_lease_confirmed", job=self._job.id, epoch=self.epoch)

    def _lost(self) -> None:
        self._records.metrics.leases_lost.labels(self._job.kind, self._job.job_class).inc()
        log.warning("job_lease_lost", job=self._job.id, epoch=self.epoch)
        self._wake.set()

    async def _perform(self, action: Action) -> None:
        try:
            if action is Action.RENEW:
                await self._write(self._renewed)
                return
            async with self._writing:
                if action is Action.READ:
                    await self._read()
                elif action is Action.RECREATE:
                    await self._recreate()
        except (BusError, LeaseLost, JobUnreadable) as error:
            self._records.metrics.renewals_failed.labels(self._job.kind).inc()
            log.debug("job_renewal_failed", job=self._job.id, error=repr(error))

    def _renewed(self, job: Job, checkpoint: bytes | None = None) -> Job:
        steady = self._machine.steady(self._clock.monotonic_ms())
        return transitions.renew(job, self._clock.epoch_ms(), steady=steady, checkpoint=checkpoint)

    async def _write(self, transition: Callable[[Job], Job], *, last: bool = False) -> None:
        """Writes the record as the owner; after the `last` write the lease is released. Raises LeaseLost,
        BusError, JobUnreadable."""
        async with self._writing:
            for _ in range(MAX_CONFLICTS):
                if self._machine.must_read:
                    await self._read()
                if self.check() is LeaseState.LOST:
                    raise LeaseLost(self._job.id)
                started_ms = self._clock.monotonic_ms()
                changed = transition(self._machine.job)
                try:
                    revision = await self._records.write(changed, self._machine.revision)
                except RevisionMismatch:
                    self._handle(Refused())
                    continue
                except BusError:
                    self._handle(Failed())
                    raise
                self._handle(Wrote(changed, revision, started_ms))
                self._released = last
                return
        raise BusError(f"the record of {self._job.id} changes too often")

    async def _read(self) -> None:
        try:
            stored = await self._records.read(self._job.kind, self._job.id)
        except (BusError, JobUnreadable):
            self._handle(Failed())
            raise
        self._handle(Read(None, 0) if stored is None else Read(stored.job, stored.revision))

    async def _recreate(self) -> None:
        started_ms = self._clock.monotonic_ms()
        job = self._renewed(self._machine.job)
        try:
            revision = await self._records.create(job)
        except KeyExists:
            self._handle(Refused())
            return
        except BusError:
            self._handle(Failed())
            raise
        log.warning("job_record_created_again", job=job.id, epoch=job.epoch)
        self._handle(Wrote(job, revision, started_ms))


def _same_end(one: Job, other: Job) -> bool:
    return (
        one.epoch == other.epoch
        and one.state is other.state
        and one.queueings == other.queueings
        and one.deaths == other.deaths
        and one.outcome == other.outcome
    )
