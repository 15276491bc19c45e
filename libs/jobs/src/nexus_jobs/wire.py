"""Jobs and tickets as bytes on the bus."""

from nexus.jobs.v1 import job_pb2

from nexus_jobs.core.job import Capacity, Job, JobState, Outcome

_STATES = {
    JobState.QUEUED: job_pb2.JOB_STATE_QUEUED,
    JobState.RUNNING: job_pb2.JOB_STATE_RUNNING,
    JobState.ENDED: job_pb2.JOB_STATE_ENDED,
}
_STATES_READ = {number: state for state, number in _STATES.items()}


def to_record(job: Job) -> job_pb2.JobRecord:
    record = job_pb2.JobRecord(
        id=job.id,
        app=job.app,
        kind=job.kind,
        job_class=job.job_class,
        request_id=job.request_id,
        payload=job.payload,
        cost=job_pb2.JobCost(
            cpu_millicores=job.cost.cpu_millicores,
            memory_bytes=job.cost.memory_bytes,
            spool_bytes=job.cost.spool_bytes,
        ),
        state=_STATES[job.state],
        owner=job.owner,
        epoch=job.epoch,
        renewals=job.renewals,
        heartbeat_at_ms=job.heartbeat_at_ms,
        created_at_ms=job.created_at_ms,
        queued_at_ms=job.queued_at_ms,
        started_at_ms=job.started_at_ms,
        ended_at_ms=job.ended_at_ms,
        queue_timeout_ms=job.queue_timeout_ms,
        queueings=job.queueings,
        deaths=job.deaths,
        waiting_reported=job.waiting_reported,
        stop_requested=job.stop_requested,
        wanted=job.wanted,
        wanted_revision=job.wanted_revision,
        checkpoint=job.checkpoint,
    )
    if job.outcome is not None:
        record.outcome.code = job.outcome.code
        record.outcome.message = job.outcome.message
    return record


def from_record(record: job_pb2.JobRecord) -> Job:
    """The job of a record. Raises ValueError for an unknown state: a newer release wrote it."""
    state = _STATES_READ.get(record.state)
    if state is None:
        raise ValueError(f"unknown state {record.state}")
    return Job(
        id=record.id,
        app=record.app,
        kind=record.kind,
        job_class=record.job_class,
        request_id=record.request_id,
        payload=record.payload,
        cost=Capacity(record.cost.cpu_millicores, record.cost.memory_bytes, record.cost.spool_bytes),
        state=state,
        owner=record.owner,
        epoch=record.epoch,
        renewals=record.renewals,
        heartbeat_at_ms=record.heartbeat_at_ms,
        created_at_ms=record.created_at_ms,
        queued_at_ms=record.queued_at_ms,
        started_at_ms=record.started_at_ms,
        ended_at_ms=record.ended_at_ms,
        queue_timeout_ms=record.queue_timeout_ms,
        queueings=record.queueings,
        deaths=record.deaths,
        waiting_reported=record.waiting_reported,
        stop_requested=record.stop_requested,
        wanted=record.wanted,
        wanted_revision=record.wanted_revision,
        checkpoint=record.checkpoint,
        outcome=(
            Outcome(record.outcome.code, record.outcome.message) if record.HasField("outcome") else None
        ),
    )


def encode_job(job: Job) -> bytes:
    return to_record(job).SerializeToString()


def decode_job(value: bytes) -> Job:
    """Raises DecodeError or ValueError for bytes that are no record."""
    return from_record(job_pb2.JobRecord.FromString(value))


def encode_ticket(job_id: str, queueings: int) -> bytes:
    return job_pb2.JobTicket(job_id=job_id, queueings=queueings).SerializeToString()


def decode_ticket(payload: bytes) -> job_pb2.JobTicket:
    """Raises DecodeError for bytes that are no ticket."""
    return job_pb2.JobTicket.FromString(payload)
