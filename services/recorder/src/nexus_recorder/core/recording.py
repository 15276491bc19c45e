"""The states of a recording, as changes of its record in KV `recordings`.

    QUEUED ──started──▶ RUNNING ⇄ PAUSED ──over──▶ FINISHING ──files made──▶ COMPLETED or FAILED ──▶ DELETED
       ▲                    │                                                        ▲
       └──no replica, 5 s───┘          QUEUED ──stopped, or no replica in time───────┘

`handle` takes the record as it was read, and returns the record to write. The write is a compare-and-set, so
any process may handle any input, and of several writers each decides on the record that it changes. What a
request wants (`stop_requested`, `pause_requested`) is a value in the record, which the owner of the run
follows. What an owner reports carries its epoch, and an older epoch than the record's changes nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from nexus.recorder.v1 import recording_pb2
from nexus.recorder.v1.recording_pb2 import RecordingState

from nexus_recorder.core import ending, events, inputs, left_spools, requests, running
from nexus_recorder.core.inputs import Due
from nexus_recorder.core.record import Record, is_live, waits_for_spools


@dataclass(frozen=True, slots=True)
class Change:
    """`record` is the very record that was given if nothing changes. `unreported` is the number of segments
    without an event."""

    record: Record
    unreported: int = 0


def due_job(record: Record) -> Due | None:
    """The job that must exist for this record; None if nothing is to be done."""
    recording = record.recording
    if recording.state == RecordingState.RECORDING_STATE_DELETED:
        return None
    if is_live(recording):
        return Due.RUN
    if recording.state == RecordingState.RECORDING_STATE_FINISHING:
        if recording.delete_requested:
            # A job that makes files must end before its files are deleted.
            return Due.FINISH if record.finish_job_id else Due.DELETE
        return None if waits_for_spools(recording) else Due.FINISH
    return Due.DELETE if recording.delete_requested or record.forgotten_identities else None


def new_record(recording: recording_pb2.Recording, request_id: str, now_ms: int) -> Record:
    """The record of a recording that was just requested, with its first event. `recording` has id, app, room,
    spec and started_by."""
    record = Record(recording=recording, request_id=request_id)
    record.recording.state = RecordingState.RECORDING_STATE_QUEUED
    record.recording.created_at_ms = now_ms
    events.add(record, recording_pb2.RecordingQueued(), now_ms)
    return record


def handle(record: Record, given: inputs.Input, now_ms: int) -> Change:
    """Returns the record after `given`. `now_ms` is the wall clock. Never changes `record` itself.

    Raises RpcError for a request that the state forbids, and Fenced for an owner of an older epoch.
    """
    changed = Record()
    changed.CopyFrom(record)
    unreported = _HANDLERS[type(given)](changed, given, now_ms) or 0
    return Change(record if changed == record else changed, unreported)


_HANDLERS: Final[dict[type, Callable[[Record, Any, int], int | None]]] = {
    inputs.Stop: requests.stop,
    inputs.Pause: requests.pause,
    inputs.Resume: requests.resume,
    inputs.Update: requests.update,
    inputs.Mark: requests.mark,
    inputs.Delete: requests.delete,
    inputs.Forget: requests.forget,
    inputs.Waiting: running.waiting,
    inputs.Unclaimed: running.unclaimed,
    inputs.Claimed: running.claimed,
    inputs.Started: running.started,
    inputs.Paused: running.paused,
    inputs.Resumed: running.resumed,
    inputs.Progress: running.progress,
    inputs.DegradedChanged: running.degraded,
    inputs.Over: running.over,
    inputs.Returned: running.returned,
    inputs.SpoolsReported: left_spools.spools_reported,
    inputs.SpoolWaitOver: left_spools.spool_wait_over,
    inputs.FilesMade: ending.files_made,
    inputs.FilesFailed: ending.files_failed,
    inputs.ObjectsDeleted: ending.objects_deleted,
    inputs.IdentityDeleted: ending.identity_deleted,
    inputs.JobCreated: ending.job_created,
    inputs.JobFailed: ending.job_failed,
    inputs.Published: ending.published,
}
