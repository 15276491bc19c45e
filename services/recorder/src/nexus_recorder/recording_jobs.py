"""The jobs of recordings (`nexus_jobs`): one that records, and one that does what is due after the end."""

from dataclasses import dataclass
from typing import Final

from nexus.types.v1 import error_pb2
from nexus.types.v1.error_pb2 import ErrorCode
from nexus_jobs import (
    NO_CAPACITY,
    OWNERS_DIED,
    Capacity,
    Job,
    JobQueue,
    JobRequest,
    Outcome,
)
from nexus_jobs.queue import job_id

from nexus_recorder.core import inputs
from nexus_recorder.core.inputs import Due
from nexus_recorder.core.record import Record
from nexus_recorder.core.recording import due_job
from nexus_recorder.directory import RecordingDirectory, Stored

KIND: Final = "record"
RUN: Final = "run"
AFTER: Final = "after"
# How long a job after the end may wait for capacity. Another one follows it.
AFTER_TIMEOUT_MS: Final = 6 * 3_600_000


@dataclass(frozen=True, slots=True)
class Costs:
    """The resources that a job reserves until its real use is measured."""

    run: Capacity
    after: Capacity


def request_id(record: Record, due: Due) -> str:
    """The request id of the job, which makes its creation idempotent."""
    attempt = 0 if due is Due.RUN else record.failed_jobs
    return f"{record.recording.id}:{due.value}:{attempt}"


def expected_job_id(record: Record, due: Due) -> str:
    return job_id(record.recording.app, KIND, request_id(record, due))


class RecordingJobs:
    def __init__(self, queue: JobQueue, directory: RecordingDirectory, costs: Costs) -> None:
        self._queue = queue
        self._directory = directory
        self._costs = costs

    async def ensure(self, stored: Stored) -> Stored:
        """Makes sure that the job which is due exists, and draws the conclusions from one that has ended
        without success. Raises BusError, `nexus_jobs.JobError` and RpcError; then `Oversight` tries again."""
        recording = stored.record.recording
        due = due_job(stored.record)
        if due is None:
            return stored
        wanted = expected_job_id(stored.record, due)
        if _job_of(stored.record, due) != wanted:
            created = inputs.JobCreated(due, wanted)
            stored = await self._directory.change(recording.app, recording.id, created)
            if due_job(stored.record) is not due:
                return await self.ensure(stored)
        job = await self._queue.create(self._request(stored.record, due))
        if job.outcome is None:
            return stored
        return await self._conclude(due, job)

    async def _conclude(self, due: Due, job: Job) -> Stored:
        """The record after its job has ended. The record is read again, because an owner that succeeded has
        changed it before its job ended."""
        app, recording_id = job.app, job.payload.decode()
        assert job.outcome is not None
        stored = await self._directory.get(app, recording_id)
        if due_job(stored.record) is not due or _job_of(stored.record, due) != job.id:
            return stored
        given: inputs.Input
        if due is Due.RUN:
            given = inputs.Unclaimed(error_of(job.outcome))
        elif due is Due.FINISH and job.outcome.code != NO_CAPACITY:
            given = inputs.FilesFailed(error_of(job.outcome))
        else:
            given = inputs.JobFailed(job.id)
        return await self._directory.change(app, recording_id, given)

    def _request(self, record: Record, due: Due) -> JobRequest:
        recording = record.recording
        run = due is Due.RUN
        return JobRequest(
            app=recording.app,
            kind=KIND,
            job_class=RUN if run else AFTER,
            cost=self._costs.run if run else self._costs.after,
            queue_timeout_ms=(
                recording.spec.limits.queue_timeout_seconds * 1000 if run else AFTER_TIMEOUT_MS
            ),
            payload=recording.id.encode(),
            request_id=request_id(record, due),
        )


def error_of(outcome: Outcome) -> error_pb2.Error:
    """The error of a recording whose job ended in this way."""
    code = ErrorCode.NO_CAPACITY if outcome.code == NO_CAPACITY else ErrorCode.INTERNAL
    message = outcome.message or {
        NO_CAPACITY: "no recorder had enough free capacity in time",
        OWNERS_DIED: "the recorders of this recording failed one after the other",
    }.get(outcome.code, "the recorder failed; its log has the reason")
    return error_pb2.Error(code=code, message=message)


def _job_of(record: Record, due: Due) -> str:
    match due:
        case Due.RUN:
            return record.run_job_id
        case Due.FINISH:
            return record.finish_job_id
        case Due.DELETE:
            return record.delete_job_id
