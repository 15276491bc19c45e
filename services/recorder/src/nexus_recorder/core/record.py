"""Rules that all changes of a recording share: the bounds of its record, and how a run ends."""

from collections.abc import Iterable
from typing import Final

from nexus.recorder.v1 import recording_pb2
from nexus.recorder.v1.recording_pb2 import EndReason, RecordingState
from nexus.types.v1 import error_pb2

from nexus_recorder.core import events

MAX_MARKERS: Final = 10_000
# Maximum size of all names of markers. Together with `MAX_FILE_BYTES` it keeps a record below 1 MiB.
MAX_MARKER_BYTES: Final = 100_000
# Maximum size of the files that a record lists; the manifest lists all.
MAX_FILE_BYTES: Final = 100_000
MAX_CHECKPOINT_BYTES: Final = 64 * 1024
# Maximum number of identities that wait to be forgotten, and of those that a selection excludes.
MAX_FORGOTTEN: Final = 64
# Maximum number of pauses that a recording can have; later ones are refused.
MAX_PAUSES: Final = 1_000
# Maximum length of the name of a replica in a record.
MAX_REPLICA_CHARACTERS: Final = 64

_LIVE: Final = frozenset(
    {
        RecordingState.RECORDING_STATE_QUEUED,
        RecordingState.RECORDING_STATE_RUNNING,
        RecordingState.RECORDING_STATE_PAUSED,
    }
)
_ENDED: Final = frozenset(
    {
        RecordingState.RECORDING_STATE_COMPLETED,
        RecordingState.RECORDING_STATE_FAILED,
        RecordingState.RECORDING_STATE_DELETED,
    }
)

Record = recording_pb2.RecordingRecord


class Fenced(Exception):
    """The input comes from an owner whose epoch is over. It must stop, and write nothing."""


def is_live(recording: recording_pb2.Recording) -> bool:
    """Whether it still records, or will."""
    return recording.state in _LIVE


def has_ended(recording: recording_pb2.Recording) -> bool:
    """Whether neither a run nor the making of files can change it any more."""
    return recording.state in _ENDED


def offset_ms(recording: recording_pb2.Recording, at_ms: int) -> int:
    """A time since the Unix epoch as an offset on the timeline of the files, from which pauses are cut out
    unless the recording keeps them. 0 before the start."""
    if not recording.started_at_ms or at_ms <= recording.started_at_ms:
        return 0
    cut = 0
    if not recording.spec.keep_pauses:
        for pause in recording.pauses:
            until = min(pause.to_ms or at_ms, at_ms)
            cut += max(0, until - pause.from_ms)
    return max(0, at_ms - recording.started_at_ms - cut)


def check_epoch(recording: recording_pb2.Recording, epoch: int) -> None:
    if epoch != recording.epoch:
        raise Fenced


def open_pause(recording: recording_pb2.Recording) -> recording_pb2.Pause | None:
    last = recording.pauses[-1] if recording.pauses else None
    return last if last is not None and not last.to_ms else None


def close_pause(recording: recording_pb2.Recording, now_ms: int) -> None:
    pause = open_pause(recording)
    if pause is not None:
        pause.to_ms = max(now_ms, pause.from_ms + 1)


def set_degraded(record: Record, degraded: recording_pb2.Degraded | None, now_ms: int) -> None:
    recording = record.recording
    before = recording.degraded if recording.HasField("degraded") else None
    if before == degraded:
        return
    if degraded is None:
        recording.ClearField("degraded")
    else:
        recording.degraded.CopyFrom(degraded)
    events.add(record, recording_pb2.RecordingDegraded(degraded=degraded), now_ms)


def end(record: Record, reason: EndReason.ValueType, now_ms: int, ended_at_ms: int | None = None) -> None:
    """Ends the run, which was over at `ended_at_ms` (default: now). Files are made from what was kept;
    without any, the recording has ended."""
    recording = record.recording
    if not recording.started_at_ms:
        end_without_media(record, reason, now_ms)
        return
    recording.state = RecordingState.RECORDING_STATE_FINISHING
    recording.end_reason = EndReason.END_REASON_DELETED if recording.delete_requested else reason
    over_ms = now_ms if ended_at_ms is None else min(ended_at_ms, now_ms)
    recording.ended_at_ms = max(over_ms, recording.started_at_ms)
    recording.ClearField("degraded")
    close_pause(recording, recording.ended_at_ms)
    if waits_for_spools(recording):
        show_waiting(record, now_ms)


def waits_for_spools(recording: recording_pb2.Recording) -> bool:
    """Whether some spool that an owner has left may still bring segments."""
    return any(not spool.lost for spool in recording.left_spools)


def show_waiting(record: Record, now_ms: int) -> None:
    """Reports that the files of a recording that has ended wait for a spool."""
    replicas = sorted({spool.replica for spool in record.recording.left_spools if not spool.lost})
    message = "the files wait for segments on the disks of these recorders: " + ", ".join(replicas[:10])
    error = error_pb2.Error(code=error_pb2.SERVICE_UNAVAILABLE, message=message)
    set_degraded(record, recording_pb2.Degraded(since_ms=now_ms, error=error), now_ms)


def end_without_media(record: Record, reason: EndReason.ValueType, now_ms: int) -> None:
    record.recording.end_reason = reason
    record.recording.ended_at_ms = now_ms
    conclude(record, now_ms)


def conclude(record: Record, now_ms: int) -> None:
    recording = record.recording
    record.owned = False
    record.checkpoint = b""
    recording.ClearField("degraded")
    recording.spooled_bytes = 0
    lost = [spool for spool in recording.left_spools if spool.lost]
    del recording.left_spools[:]
    recording.left_spools.extend(lost)
    if recording.spec.retention_seconds and not recording.expires_at_ms:
        recording.expires_at_ms = now_ms + recording.spec.retention_seconds * 1000
    if recording.HasField("error"):
        recording.state = RecordingState.RECORDING_STATE_FAILED
        failed = recording_pb2.RecordingFailed(error=recording.error, files=recording.files)
        events.add(record, failed, now_ms)
    else:
        recording.state = RecordingState.RECORDING_STATE_COMPLETED
        completed = recording_pb2.RecordingCompleted(reason=recording.end_reason, files=recording.files)
        events.add(record, completed, now_ms)


def bounded(files: Iterable[recording_pb2.RecordedFile]) -> list[recording_pb2.RecordedFile]:
    kept: list[recording_pb2.RecordedFile] = []
    size = 0
    for file in files:
        size += file.ByteSize()
        if size > MAX_FILE_BYTES:
            break
        kept.append(file)
    return kept
