"""The spools that owners have left on the disks of their recorders: files wait for them, within a bound."""

from typing import Final

from nexus.recorder.v1 import recording_pb2
from nexus.recorder.v1.recording_pb2 import RecordingState

from nexus_recorder.core import inputs
from nexus_recorder.core.record import (
    MAX_REPLICA_CHARACTERS,
    Record,
    has_ended,
    set_degraded,
    show_waiting,
    waits_for_spools,
)

# Maximum number of spools that a record lists. Files do not wait for further ones.
MAX_LEFT_SPOOLS: Final = 100


def is_noted(recording: recording_pb2.Recording, epoch: int) -> bool:
    """Whether the files wait for the spool of this epoch."""
    return any(spool.epoch == epoch and not spool.lost for spool in recording.left_spools)


def spools_reported(record: Record, given: inputs.SpoolsReported, now_ms: int) -> None:
    recording = record.recording
    if has_ended(recording):
        return
    waited = waits_for_spools(recording)
    spools = {spool.epoch: spool for spool in recording.left_spools}
    for epoch in given.empty:
        if epoch in spools and not spools[epoch].lost:
            del spools[epoch]
    for epoch in given.left:
        known = spools.get(epoch)
        if known is not None and not known.lost:
            known.reported_at_ms = now_ms
        elif known is None and _has_room(record, epoch, len(spools)):
            replica = given.replica[:MAX_REPLICA_CHARACTERS]
            spools[epoch] = recording_pb2.LeftSpool(epoch=epoch, replica=replica, reported_at_ms=now_ms)
    kept = [spools[epoch] for epoch in sorted(spools)]
    del recording.left_spools[:]
    recording.left_spools.extend(kept)
    _show(record, waited, now_ms)


def _has_room(record: Record, epoch: int, count: int) -> bool:
    """Whether another spool can be noted. Once the job that makes the files exists, it is too late."""
    if record.finish_job_id or count >= MAX_LEFT_SPOOLS:
        return False
    return 1 <= epoch <= record.recording.epoch


def spool_wait_over(record: Record, given: inputs.SpoolWaitOver, now_ms: int) -> None:
    recording = record.recording
    if recording.state != RecordingState.RECORDING_STATE_FINISHING:
        return
    waited = waits_for_spools(recording)
    for spool in recording.left_spools:
        if now_ms - max(spool.reported_at_ms, recording.ended_at_ms) >= given.wait_ms:
            spool.lost = True
    _show(record, waited, now_ms)


def _show(record: Record, waited: bool, now_ms: int) -> None:
    """Sets `degraded` while files wait."""
    if record.recording.state != RecordingState.RECORDING_STATE_FINISHING:
        return
    if waits_for_spools(record.recording) and not waited:
        show_waiting(record, now_ms)
    elif waited and not waits_for_spools(record.recording):
        set_degraded(record, None, now_ms)
