"""Continues what a process has left undone when it died, and notices jobs that ended without success.

Every replica does this for every recording. All steps are idempotent, so it does not matter that several do
one.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

import structlog
from nexus_bus import BusError, RevisionMismatch
from nexus_jobs import Job, JobError, JobRecords
from nexus_rpc import RpcError
from nexus_runtime import Clock, is_set_within

from nexus_recorder.core import inputs
from nexus_recorder.core.catalog import Entry
from nexus_recorder.core.inputs import Due
from nexus_recorder.directory import RecordingDirectory, Stored
from nexus_recorder.recording_jobs import RecordingJobs

log = structlog.get_logger()

# How long a record that needs something must have stayed unchanged until other processes than its writer act.
QUIET_MS: Final = 5_000
# The same for a recording that an owner works on.
OWNED_QUIET_MS: Final = 20_000
INTERVAL_SECONDS: Final = 1.0
# How often recordings that expire, or whose record does, are looked at.
DATED_INTERVAL_MS: Final = 30_000
# How many recordings are attended to in one round, so that a round stays short.
ROUND: Final = 200

OnUnclaimed = Callable[[Stored], None]
Key = tuple[str, str]


class Oversight:
    """`on_unclaimed` is called with a recording whose run has ended without an owner. `keep_deleted_ms` is
    how long the record of a deleted recording stays, and with it the effect of its request id.
    `spool_wait_ms` is how long files wait for a spool of which nothing is heard."""

    def __init__(
        self,
        directory: RecordingDirectory,
        jobs: RecordingJobs,
        job_records: JobRecords,
        clock: Clock,
        on_unclaimed: OnUnclaimed,
        keep_deleted_ms: int,
        spool_wait_ms: int,
    ) -> None:
        self._directory = directory
        self._jobs = jobs
        self._job_records = job_records
        self._clock = clock
        self._on_unclaimed = on_unclaimed
        self._keep_deleted_ms = keep_deleted_ms
        self._spool_wait_ms = spool_wait_ms
        self._listening: dict[Key, tuple[tuple[str, ...], list[Callable[[], None]]]] = {}
        # Recordings to look at now, and when each recording was last looked at.
        self._urgent: set[Key] = set()
        self._attended_ms: dict[Key, int] = {}
        # Recordings that wait for something, and those for which a time will come.
        self._unsettled: set[Key] = set()
        self._dated: set[Key] = set()
        self._dated_at_ms = clock.monotonic_ms()
        self._reports: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        directory.on_entry(self._seen)

    def report_waiting(self, job: Job) -> None:
        """Takes the news that no replica has taken a run for 5 s. A listener of `JobRecords`."""
        task = asyncio.get_running_loop().create_task(self._waiting(job), name=f"recording-waits-{job.id}")
        self._reports.add(task)
        task.add_done_callback(self._reports.discard)

    async def _waiting(self, job: Job) -> None:
        with suppress(BusError, RpcError, UnicodeDecodeError):
            await self._directory.change(job.app, job.payload.decode(), inputs.Waiting())

    async def run(self) -> None:
        """Attends to recordings until cancelled."""
        while True:
            await is_set_within(self._wake, INTERVAL_SECONDS)
            self._wake.clear()
            await self.step()

    async def step(self) -> None:
        """Attends to what is due now."""
        urgent, self._urgent = self._urgent, set()
        found = self._entries(urgent)
        if self._directory.synced:
            found += [entry for entry in self._entries(self._candidates()) if self._is_due(entry)][:ROUND]
        for entry in found:
            key = (entry.app, entry.id)
            self._attended_ms[key] = self._clock.monotonic_ms()
            try:
                await self._attend(entry)
            except (BusError, JobError, RpcError) as error:
                log.info("oversight_failed", recording=entry.id, error=repr(error))

    def _entries(self, keys: Iterable[Key]) -> list[Entry]:
        return [entry for key in keys if (entry := self._directory.catalog.get(*key)) is not None]

    def _candidates(self) -> set[Key]:
        """The recordings that may be due. Many more have a time that will come than wait for something, so
        these are looked at less often."""
        now_ms = self._clock.monotonic_ms()
        if now_ms - self._dated_at_ms < DATED_INTERVAL_MS:
            return set(self._unsettled)
        self._dated_at_ms = now_ms
        for keys in (self._unsettled, self._dated):  # without those whose record another process has removed
            keys.intersection_update([key for key in keys if self._directory.catalog.get(*key) is not None])
        return self._unsettled | self._dated

    def _is_due(self, entry: Entry) -> bool:
        now_ms = self._clock.monotonic_ms()
        quiet_ms = OWNED_QUIET_MS if entry.owned else QUIET_MS
        since_ms = max(entry.seen_ms, self._attended_ms.get((entry.app, entry.id), 0))
        if now_ms - since_ms < quiet_ms:
            return False
        if entry.deleted:
            return self._clock.epoch_ms() - entry.ended_at_ms >= self._keep_deleted_ms
        return entry.has_unpublished or entry.due is not None or entry.waits or self._is_expired(entry)

    def _is_expired(self, entry: Entry) -> bool:
        over = 0 < entry.expires_at_ms <= self._clock.epoch_ms()
        return over and entry.ended and not entry.hold and not entry.deleted

    async def _attend(self, entry: Entry) -> None:
        if entry.has_unpublished:
            await self._directory.publish_again(entry.app, entry.id)
        stored = await self._directory.find(entry.app, entry.id)
        if stored is None:
            return
        now = Entry.of(stored.record, stored.revision, entry.seen_ms)
        if now.deleted:
            if self._clock.epoch_ms() - now.ended_at_ms >= self._keep_deleted_ms:
                with suppress(RevisionMismatch):
                    await self._directory.remove(entry.app, entry.id, stored.revision)
                    self._dated.discard((entry.app, entry.id))
            return
        if now.due is None and self._is_expired(now):
            log.info("recording_expired", recording=entry.id)
            stored = await self._directory.change(entry.app, entry.id, inputs.Delete())
        if now.waits:
            over = inputs.SpoolWaitOver(self._spool_wait_ms)
            stored = await self._directory.change(entry.app, entry.id, over)
        after = await self._jobs.ensure(stored)
        if now.due is Due.RUN and Entry.of(after.record, after.revision, 0).due is not Due.RUN:
            self._on_unclaimed(after)
            await self._jobs.ensure(after)

    # Jobs that end

    def _seen(self, entry: Entry) -> None:
        """Listens for the end of the jobs for which a recording waits."""
        key = (entry.app, entry.id)
        if entry.due is not None or entry.has_unpublished or entry.waits:
            self._unsettled.add(key)
        else:
            self._unsettled.discard(key)
            self._attended_ms.pop(key, None)
        if entry.deleted or entry.expires_at_ms:
            self._dated.add(key)
        else:
            self._dated.discard(key)
        wanted, ends = self._listening.get(key, ((), []))
        if wanted == entry.job_ids:
            return
        for end in ends:
            end()
        self._listening.pop(key, None)
        if entry.job_ids:
            listening = [self._job_records.listen(job, self._listener(key)) for job in entry.job_ids]
            self._listening[key] = (entry.job_ids, listening)

    def _listener(self, key: Key) -> Callable[[Job | None, int], None]:
        def changed(job: Job | None, _revision: int) -> None:
            if job is None or job.ended:
                self._urgent.add(key)
                self._wake.set()

        return changed
