"""The changes of a job's record. Each function takes the job as it was read and returns the job to write.

    queued ──claim──▶ running ──finish──▶ ended
       ▲                 │
       └─ return, lose ──┘        queued ──stop, queue timeout──▶ ended

The write is a compare-and-set on the revision that was read, so of several writers one succeeds, and each
function decides on the record that it changes. `now_ms` is the wall clock, for readers only.
"""

from dataclasses import replace

from nexus_jobs.core.job import NO_CAPACITY, OWNERS_DIED, STOPPED, Job, JobState, Outcome


def claim(job: Job, owner: str, now_ms: int) -> Job | None:
    """The job with a new owner and the next epoch. None unless the job is queued."""
    if job.state is not JobState.QUEUED:
        return None
    return replace(
        job,
        state=JobState.RUNNING,
        owner=owner,
        epoch=job.epoch + 1,
        renewals=0,
        heartbeat_at_ms=now_ms,
        started_at_ms=job.started_at_ms or now_ms,
    )


def renew(job: Job, now_ms: int, *, steady: bool = False, checkpoint: bytes | None = None) -> Job:
    """The job with one more renewal by its owner. `steady` says that the owner has run it for long enough to
    end the row of deaths."""
    return replace(
        job,
        renewals=job.renewals + 1,
        heartbeat_at_ms=now_ms,
        deaths=0 if steady else job.deaths,
        checkpoint=job.checkpoint if checkpoint is None else checkpoint,
    )


def return_to_queue(job: Job, now_ms: int) -> Job:
    """The job without owner, as the owner leaves it on purpose, which ends the row of deaths."""
    return _queued(replace(job, deaths=0), now_ms)


def lose_owner(job: Job, max_deaths: int, now_ms: int) -> Job:
    """The job after the death or the failure of its owner: queued, or ended if the row is too long."""
    lost = replace(job, deaths=job.deaths + 1)
    if lost.deaths >= max_deaths:
        return finish(lost, Outcome(OWNERS_DIED, f"{lost.deaths} owners in a row died or failed"), now_ms)
    return _queued(lost, now_ms)


def _queued(job: Job, now_ms: int) -> Job:
    return replace(
        job,
        state=JobState.QUEUED,
        owner="",
        queueings=job.queueings + 1,
        queued_at_ms=now_ms,
        waiting_reported=False,
    )


def finish(job: Job, outcome: Outcome, now_ms: int) -> Job:
    return replace(job, state=JobState.ENDED, owner="", ended_at_ms=now_ms, outcome=outcome)


def end_unclaimed(job: Job, queueings: int, now_ms: int) -> Job | None:
    """The job ended with NO_CAPACITY. None unless it still waits since the queueing of that number."""
    if job.state is not JobState.QUEUED or job.queueings != queueings:
        return None
    return finish(job, Outcome(NO_CAPACITY, "no replica had enough free capacity in time"), now_ms)


def report_waiting(job: Job, queueings: int) -> Job | None:
    """The job with its waiting reported. None unless it still waits, and the report was not yet made."""
    if job.state is not JobState.QUEUED or job.queueings != queueings or job.waiting_reported:
        return None
    return replace(job, waiting_reported=True)


def request_stop(job: Job, now_ms: int) -> Job:
    """The job with a request to stop. A job that no owner ever took ends at once. One that had an owner
    before waits for the next, which ends what the former one left. The same job if nothing changes."""
    if job.ended or job.stop_requested:
        return job
    stopped = replace(job, stop_requested=True, wanted_revision=job.wanted_revision + 1)
    if job.state is JobState.QUEUED and job.epoch == 0:
        return finish(stopped, Outcome(STOPPED), now_ms)
    return stopped


def change_wanted(job: Job, wanted: bytes) -> Job:
    """The job with another requested state. The same job if nothing changes."""
    if job.wanted == wanted:
        return job
    return replace(job, wanted=wanted, wanted_revision=job.wanted_revision + 1)
