"""The errors of jobs. What the broker refuses or does not answer is a `nexus_bus.BusError`."""


class JobError(Exception):
    """An operation on a job failed; the subclass says why."""


class JobNotFound(JobError):
    """No job has this id: it never existed, or it ended long ago and its record has expired."""


class JobUnreadable(JobError):
    """The record of the job is malformed, or a newer release wrote it."""


class JobHasEnded(JobError):
    """The job has an outcome, so that nothing about it can change."""


class InvalidJob(JobError):
    """A job's description is malformed or too large. `field` names the part at fault."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


class TooManyJobs(JobError):
    """The bound of open jobs, or of records, is reached. Try again later."""


class LeaseLost(JobError):
    """Another process owns the job, or it has ended: stop working on it."""


class JobFailed(JobError):
    """Raised by a handler: the job ends with this outcome, and is not tried again."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
