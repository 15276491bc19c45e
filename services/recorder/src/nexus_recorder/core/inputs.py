"""The inputs of a recording's state machine (`core.recording`): requests, news of its jobs, and what its
owner reports."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from nexus.recorder.v1 import recording_pb2
from nexus.types.v1 import error_pb2

# Requests


@dataclass(frozen=True, slots=True)
class Stop:
    pass


@dataclass(frozen=True, slots=True)
class Pause:
    pass


@dataclass(frozen=True, slots=True)
class Resume:
    pass


@dataclass(frozen=True, slots=True)
class Update:
    """None leaves a value as it is."""

    selection: recording_pb2.TrackSelection | None = None
    limits: recording_pb2.RecordingLimits | None = None
    expires_at_ms: int | None = None
    hold: bool | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """`at_ms` is a time since the Unix epoch."""

    name: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Delete:
    pass


@dataclass(frozen=True, slots=True)
class Forget:
    """Deletes what was recorded of an identity, and records nothing more of it."""

    identity: str


Request = Stop | Pause | Resume | Update | Mark | Delete | Forget


# Jobs


@dataclass(frozen=True, slots=True)
class Waiting:
    """No replica has taken the run for 5 s."""


@dataclass(frozen=True, slots=True)
class Unclaimed:
    """The job of the run ended without an owner: no capacity, or too many owners died."""

    error: error_pb2.Error


class Due(Enum):
    """The job that a recording needs in its present state."""

    RUN = "run"
    FINISH = "finish"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class JobCreated:
    due: Due
    job_id: str


# The owner of the run. `epoch` is that of its lease.


@dataclass(frozen=True, slots=True)
class Claimed:
    epoch: int


@dataclass(frozen=True, slots=True)
class Started:
    """Media is being kept."""

    epoch: int
    room_id: str
    timeline_start_ms: int


@dataclass(frozen=True, slots=True)
class Paused:
    """Nothing is received any more."""

    epoch: int


@dataclass(frozen=True, slots=True)
class Resumed:
    epoch: int


@dataclass(frozen=True, slots=True)
class Progress:
    """Segments that are in the store since the last report, and the bytes now; None: not known."""

    epoch: int
    segments: Sequence[recording_pb2.RecordingSegment] = ()
    stored_bytes: int | None = None
    spooled_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class DegradedChanged:
    epoch: int
    degraded: recording_pb2.Degraded | None


@dataclass(frozen=True, slots=True)
class Over:
    """The run has ended, at that time (0: now). With an error, what was kept until then is still made into
    files."""

    epoch: int
    reason: recording_pb2.EndReason.ValueType
    error: error_pb2.Error | None = None
    ended_at_ms: int = 0


@dataclass(frozen=True, slots=True)
class Returned:
    """The owner leaves the run to another one. `error` says why it could not go on; None: it drains."""

    epoch: int
    checkpoint: bytes
    error: error_pb2.Error | None = None


# The spools of owners that have ended


@dataclass(frozen=True, slots=True)
class SpoolsReported:
    """A replica has looked at its disk: the epochs whose owners have left something there, and those of which
    everything is in the store."""

    replica: str
    left: Sequence[int] = ()
    empty: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class SpoolWaitOver:
    """Spools of a recording that has ended, of which nothing was heard for `wait_ms`, are lost."""

    wait_ms: int


# The jobs after the end


@dataclass(frozen=True, slots=True)
class FilesMade:
    files: Sequence[recording_pb2.RecordedFile]
    manifest_key: str
    stored_bytes: int


@dataclass(frozen=True, slots=True)
class FilesFailed:
    error: error_pb2.Error


@dataclass(frozen=True, slots=True)
class ObjectsDeleted:
    pass


@dataclass(frozen=True, slots=True)
class IdentityDeleted:
    identity: str
    deleted_keys: Sequence[str]


@dataclass(frozen=True, slots=True)
class JobFailed:
    """A job after the end has ended without success. Another one is tried."""

    job_id: str


# The stream


@dataclass(frozen=True, slots=True)
class Published:
    """The stream has every event up to this number."""

    number: int


Input = (
    Request
    | Waiting
    | Unclaimed
    | Claimed
    | Started
    | Paused
    | Resumed
    | Progress
    | DegradedChanged
    | Over
    | Returned
    | SpoolsReported
    | SpoolWaitOver
    | FilesMade
    | FilesFailed
    | ObjectsDeleted
    | IdentityDeleted
    | JobFailed
    | JobCreated
    | Published
)
