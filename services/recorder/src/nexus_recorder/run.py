"""The interface between the two halves of the recorder.

The control half answers requests, owns jobs and writes the record of a recording. The media half receives the
tracks of a room, and writes segments and files. `MediaRun` is one owner's work on a recording that is live,
and `FileMaker` makes the files after its end. The twins are in `nexus_recorder.testing`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol

from nexus.recorder.v1 import recording_pb2
from nexus.types.v1 import error_pb2


class RunLease(Protocol):
    """The right to work on a recording, for one epoch. `nexus_jobs.Lease` stands behind it."""

    @property
    def epoch(self) -> int:
        """The number of this owner, from 1. It goes into the names of taps and segments."""
        ...

    def held(self) -> bool:
        """Whether this process may write at this moment, by the monotonic clock and without I/O. Ask before
        every write that others can see. False may become true again, once the broker answers."""
        ...

    def lost(self) -> bool:
        """Whether another process owns the recording. It never becomes false again: write nothing more."""
        ...

    async def confirmed(self) -> None:
        """Returns when the lease is held. While the broker is unreachable, it waits. Raises
        `nexus_jobs.LeaseLost` if another process owns the recording."""
        ...


# Reports of the media half to the control half, through `OnRunEvent`.


@dataclass(frozen=True, slots=True)
class Started:
    """The first tap is open, so media is being kept. Reported once by each owner.

    `timeline_start_ms` is the start of the recording's timeline in milliseconds since the Unix epoch; a later
    owner reports that of the first.
    """

    room_id: str
    timeline_start_ms: int


@dataclass(frozen=True, slots=True)
class SegmentStored:
    """A segment is an object in the store. Durations are in milliseconds on the recording's timeline."""

    key: str
    track_id: str
    size_bytes: int
    offset_ms: int
    duration_ms: int


@dataclass(frozen=True, slots=True)
class DegradedChanged:
    """Something that is retried does not work since `degraded.since_ms`; None: everything works again."""

    degraded: recording_pb2.Degraded | None


@dataclass(frozen=True, slots=True)
class BytesChanged:
    """The bytes of this recording in the store, and in the spool of this replica. Report them about once in
    5 s."""

    stored_bytes: int
    spooled_bytes: int


@dataclass(frozen=True, slots=True)
class RoomMoved:
    """The room is on another node, or has another id, so the room's state must be set there again."""

    node_id: str
    room_id: str


RunEvent = Started | SegmentStored | DegradedChanged | BytesChanged | RoomMoved
OnRunEvent = Callable[[RunEvent], None]


class Conclusion(Enum):
    """Why `MediaRun.run` returned."""

    # The recording is over, for `RunEnd.reason`: the room closed or was empty, or `stop` was called.
    OVER = auto()
    # `drain` was called. Another owner continues.
    DRAINED = auto()
    # This replica cannot go on, for example because its disk is full: `RunEnd.error`. Another owner
    # continues.
    UNABLE = auto()
    # The lease is lost. Nothing was written since.
    FENCED = auto()
    # Nothing can continue this recording: `RunEnd.error`. What was kept until then is there.
    FAILED = auto()


@dataclass(frozen=True, slots=True)
class RunEnd:
    conclusion: Conclusion
    reason: recording_pb2.EndReason.ValueType = recording_pb2.END_REASON_UNSPECIFIED
    error: error_pb2.Error | None = None
    # State with which the next owner continues, in a form of the media half; at most 64 KiB.
    checkpoint: bytes = b""
    # When it was over, in milliseconds since the Unix epoch: the uploads may take longer. 0: now.
    ended_at_ms: int = 0
    # The epochs whose owners have left something in the spool of this replica, and those of which everything
    # is in the store now.
    left: tuple[int, ...] = ()
    empty: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class RunRequest:
    """The start of an owner's work. `recording` is the record as it is now, which includes the pauses so
    far."""

    recording: recording_pb2.Recording
    lease: RunLease
    on_event: OnRunEvent
    # Whether the recording is paused: no tap is opened before `resume`.
    paused: bool = False
    # The checkpoint of the last owner; empty for the first, and after a crash.
    checkpoint: bytes = b""


class MediaRun(Protocol):
    """One owner's work on a live recording. Made by a `MakeRun`, run once.

    `run` ends by itself when the room closes or has been empty for `limits.empty_timeout_seconds`. The
    control half calls `stop(END_REASON_MAX_DURATION)` in time.
    """

    async def run(self) -> RunEnd:
        """Records until the end. Segments are closed and safe when it returns, unless the lease is lost."""
        ...

    async def pause(self) -> None:
        """Returns when the taps are released and the segments closed: nothing is received any more."""
        ...

    async def resume(self) -> None:
        """Returns when taps are being opened again."""
        ...

    def update(self, selection: recording_pb2.TrackSelection, limits: recording_pb2.RecordingLimits) -> None:
        """Replaces the selection and the limits; tracks that are no longer selected end."""
        ...

    def stop(self, reason: recording_pb2.EndReason.ValueType) -> None:
        """Makes `run` end with `OVER`, or with `FAILED` if nothing could be kept."""
        ...

    def drain(self) -> None:
        """Makes `run` close its segments, acknowledge what is safe, and end with `DRAINED`."""
        ...


MakeRun = Callable[[RunRequest], MediaRun]


@dataclass(frozen=True, slots=True)
class FinishedRecording:
    """The files, and the key of the manifest, which lists all of them."""

    files: Sequence[recording_pb2.RecordedFile] = field(default=())
    manifest_key: str = ""
    stored_bytes: int = 0


@dataclass(frozen=True, slots=True)
class ForgottenTracks:
    """The result of `FileMaker.forget`: the keys of the deleted objects."""

    deleted_keys: Sequence[str] = field(default=())


class FileMaker(Protocol):
    """Makes and removes what a recording that has ended consists of. Every method can be repeated after a
    crash."""

    async def finish(self, recording: recording_pb2.Recording, lease: RunLease) -> FinishedRecording:
        """Makes the files and the manifest, then removes the segments unless `spec.keep_segments`. Raises
        `nexus_storage.StorageError`, and retries what can be retried."""
        ...

    async def delete(self, recording: recording_pb2.Recording) -> int:
        """Removes files, segments and the manifest, and returns the number of objects. Raises
        `nexus_storage.StorageError`; then some are removed, and the call can be repeated."""
        ...

    async def forget(self, recording: recording_pb2.Recording, identity: str) -> ForgottenTracks:
        """Removes what was recorded of `identity`, and rewrites the manifest without it. Raises
        `nexus_storage.StorageError`."""
        ...
