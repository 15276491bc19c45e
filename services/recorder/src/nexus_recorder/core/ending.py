"""Changes by the jobs after the end of a recording: files are made, or deleted."""

from nexus.recorder.v1 import recording_pb2
from nexus.recorder.v1.recording_pb2 import EndReason, RecordingState

from nexus_recorder.core import events, inputs
from nexus_recorder.core.record import Record, bounded, conclude, is_live, waits_for_spools


def files_made(record: Record, given: inputs.FilesMade, now_ms: int) -> None:
    recording = record.recording
    if recording.state != RecordingState.RECORDING_STATE_FINISHING:
        return
    del recording.files[:]
    recording.files.extend(bounded(given.files))
    recording.file_count = len(given.files)
    recording.manifest_key = given.manifest_key
    recording.stored_bytes = given.stored_bytes
    conclude(record, now_ms)


def files_failed(record: Record, given: inputs.FilesFailed, now_ms: int) -> None:
    recording = record.recording
    if recording.state == RecordingState.RECORDING_STATE_FINISHING:
        if not recording.HasField("error"):
            recording.error.CopyFrom(given.error)
        conclude(record, now_ms)


def objects_deleted(record: Record, _given: inputs.ObjectsDeleted, now_ms: int) -> None:
    recording = record.recording
    if not recording.delete_requested or is_live(recording):
        return
    if recording.state == RecordingState.RECORDING_STATE_DELETED:
        return
    recording.state = RecordingState.RECORDING_STATE_DELETED
    recording.end_reason = EndReason.END_REASON_DELETED
    del recording.files[:]
    del recording.markers[:]
    del recording.left_spools[:]
    del record.forgotten_identities[:]
    recording.file_count = 0
    recording.manifest_key = ""
    recording.stored_bytes = recording.spooled_bytes = 0
    record.checkpoint = b""
    events.add(record, recording_pb2.RecordingDeleted(), now_ms)


def identity_deleted(record: Record, given: inputs.IdentityDeleted, now_ms: int) -> None:
    recording = record.recording
    if given.identity not in record.forgotten_identities:
        return
    record.forgotten_identities.remove(given.identity)
    gone = set(given.deleted_keys)
    kept = [f for f in recording.files if f.identity != given.identity and f.key not in gone]
    recording.file_count -= min(recording.file_count, len(recording.files) - len(kept))
    del recording.files[:]
    recording.files.extend(kept)
    events.add(record, recording_pb2.RecordingDeleted(identity=given.identity), now_ms)


def job_created(record: Record, given: inputs.JobCreated, _now_ms: int) -> None:
    match given.due:
        case inputs.Due.RUN:
            record.run_job_id = given.job_id
        case inputs.Due.FINISH if not waits_for_spools(record.recording):
            record.finish_job_id = given.job_id
        case inputs.Due.DELETE:
            record.delete_job_id = given.job_id


def job_failed(record: Record, given: inputs.JobFailed, _now_ms: int) -> None:
    if given.job_id and given.job_id in (record.finish_job_id, record.delete_job_id):
        record.failed_jobs += 1
        if given.job_id == record.delete_job_id:
            record.delete_job_id = ""
        else:
            record.finish_job_id = ""


def published(record: Record, given: inputs.Published, _now_ms: int) -> None:
    events.forget_published(record, given.number)
