"""Creates jobs, finds them, and changes what is requested of them. Any process may do so for any job."""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import structlog
from nexus_bus import KeyExists, subjects

from nexus_jobs.core import transitions
from nexus_jobs.core.job import Capacity, Job
from nexus_jobs.errors import InvalidJob, JobHasEnded, JobNotFound, TooManyJobs
from nexus_jobs.records import JobRecords

log = structlog.get_logger()

MAX_NAME_BYTES = 1_000
_MAX_UINT32 = (1 << 32) - 1
_MAX_UINT64 = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A job to create. With `request_id`, the same request of the same app and kind creates one job only.
    `payload` and `wanted` are messages of the kind."""

    app: str
    kind: str
    job_class: str
    cost: Capacity
    queue_timeout_ms: int
    payload: bytes = b""
    wanted: bytes = b""
    request_id: str = ""


def random_id() -> str:
    return f"JB_{secrets.token_hex(10)}"


class JobQueue:
    """`new_id` makes the ids of jobs without request id."""

    def __init__(self, records: JobRecords, new_id: Callable[[], str] = random_id) -> None:
        self._records = records
        self._new_id = new_id

    async def create(self, request: JobRequest) -> Job:
        """Creates the job and offers it to the replicas; returns the existing one for a known request id.

        Raises InvalidJob, TooManyJobs, and BusError. After a BusError the job may exist: try again with the
        same request id.
        """
        self._check(request)
        job = self._new_job(request)
        if (existing := await self._existing(job)) is not None:
            return existing
        counts = self._records.counts
        if counts.open >= self._records.config.max_open or counts.total >= self._records.config.max_records:
            self._records.metrics.refused.labels(job.kind).inc()
            raise TooManyJobs(f"{counts.open} jobs are open, {counts.total} records exist")
        try:
            await self._records.create(job)
        except KeyExists:
            return await self.get(job.kind, job.id)
        self._records.metrics.created.labels(job.kind).inc()
        log.info("job_created", job=job.id, kind=job.kind, job_class=job.job_class, app=job.app)
        await self._records.tickets.offer(job.kind, job.job_class, job.id, job.queueings)
        return job

    async def _existing(self, job: Job) -> Job | None:
        if not job.request_id:
            return None
        stored = await self._records.read(job.kind, job.id)
        return None if stored is None else stored.job

    def _new_job(self, request: JobRequest) -> Job:
        now_ms = self._records.clock.epoch_ms()
        return Job(
            id=job_id(request.app, request.kind, request.request_id) or self._new_id(),
            app=request.app,
            kind=request.kind,
            job_class=request.job_class,
            queue_timeout_ms=request.queue_timeout_ms,
            created_at_ms=now_ms,
            queued_at_ms=now_ms,
            request_id=request.request_id,
            payload=request.payload,
            cost=request.cost,
            wanted=request.wanted,
        )

    def _check(self, request: JobRequest) -> None:
        config = self._records.config
        if request.kind not in self._records.kinds:
            raise InvalidJob("kind", f"this process knows only {', '.join(self._records.kinds)}")
        try:
            subjects.job_tickets(request.kind, request.job_class)
        except ValueError as error:
            raise InvalidJob("job_class", str(error)) from None
        for field, text in (("app", request.app), ("request_id", request.request_id)):
            if len(text.encode()) > MAX_NAME_BYTES:
                raise InvalidJob(field, f"longer than {MAX_NAME_BYTES} bytes")
        if not 1 <= request.queue_timeout_ms <= config.max_queue_timeout_ms:
            raise InvalidJob("queue_timeout_ms", f"not between 1 and {config.max_queue_timeout_ms}")
        for field, data, limit in (
            ("payload", request.payload, config.max_payload_bytes),
            ("wanted", request.wanted, config.max_wanted_bytes),
        ):
            if len(data) > limit:
                raise InvalidJob(field, f"longer than {limit} bytes")
        cost = request.cost
        if not 0 <= cost.cpu_millicores <= _MAX_UINT32:
            raise InvalidJob("cost", "cpu_millicores is not a 32-bit number")
        if not (0 <= cost.memory_bytes <= _MAX_UINT64 and 0 <= cost.spool_bytes <= _MAX_UINT64):
            raise InvalidJob("cost", "an amount is not a 64-bit number")

    async def get(self, kind: str, job_id: str) -> Job:
        """Raises JobNotFound, BusError."""
        try:
            stored = await self._records.read(kind, job_id)
        except ValueError:
            raise JobNotFound(job_id) from None
        if stored is None:
            raise JobNotFound(job_id)
        return stored.job

    async def list(self, kind: str, app: str | None = None) -> list[Job]:
        """The jobs of a kind, of one app or of all, the oldest first. Ended jobs are listed until their
        records expire. Raises BusError."""
        return [job for job in await self._records.list(kind) if app is None or job.app == app]

    async def request_stop(self, kind: str, job_id: str) -> Job:
        """Requests the stop, and returns the job as it is then. A job that no owner has taken ends at once.
        No error if it was requested before, or if the job has ended. Raises JobNotFound, BusError."""
        now_ms = self._records.clock.epoch_ms()
        return await self._change(kind, job_id, lambda job: transitions.request_stop(job, now_ms))

    async def change_wanted(self, kind: str, job_id: str, change: Callable[[bytes], bytes]) -> Job:
        """Changes what is requested of the job. `change` is called with the present value, and again if
        another request is faster. Raises JobNotFound, JobHasEnded, InvalidJob, BusError."""

        def transition(job: Job) -> Job:
            if job.ended:
                raise JobHasEnded(job.id)
            wanted = change(job.wanted)
            if len(wanted) > self._records.config.max_wanted_bytes:
                raise InvalidJob("wanted", f"longer than {self._records.config.max_wanted_bytes} bytes")
            return transitions.change_wanted(job, wanted)

        return await self._change(kind, job_id, transition)

    async def _change(self, kind: str, job_id: str, transition: Callable[[Job], Job]) -> Job:
        try:
            return (await self._records.change(kind, job_id, transition)).job
        except ValueError:
            raise JobNotFound(job_id) from None

    async def watch(self, kind: str, job_id: str) -> AsyncIterator[Job]:
        """The job now and after every change, until it has ended or its record is gone. A slow reader misses
        changes but never the last. `JobRecords.run` must be running. Raises JobNotFound, BusError."""
        newest: list[tuple[Job | None, int]] = []
        arrived = asyncio.Event()

        def note(job: Job | None, revision: int) -> None:
            newest[:] = [(job, revision)]
            arrived.set()

        end = self._records.listen(job_id, note)
        try:
            seen = await self._records.read(kind, job_id)
            if seen is None:
                raise JobNotFound(job_id)
            yield seen.job
            ended, revision = seen.job.ended, seen.revision
            while not ended:
                await arrived.wait()
                arrived.clear()
                job, seen_revision = newest.pop()
                if job is None:
                    return
                if seen_revision > revision:
                    revision, ended = seen_revision, job.ended
                    yield job
        finally:
            end()

    async def wait_until_ended(self, kind: str, job_id: str) -> Job:
        """The job once it has ended. Raises JobNotFound, BusError."""
        last = None
        async for job in self.watch(kind, job_id):
            last = job
        if last is None or not last.ended:
            raise JobNotFound(job_id)
        return last


def job_id(app: str, kind: str, request_id: str) -> str:
    """The id of the job that a request creates, so that the same request finds it. Empty without request
    id."""
    if not request_id:
        return ""
    parts = (app, kind, request_id)
    text = "".join(f"{len(part.encode())}:{part}" for part in parts)
    return f"JB_{hashlib.sha256(text.encode()).hexdigest()[:20]}"
