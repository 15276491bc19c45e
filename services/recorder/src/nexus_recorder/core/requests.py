"""Changes of a recording by requests."""

from nexus.recorder.v1 import recording_pb2
from nexus.recorder.v1.recording_pb2 import EndReason, RecordingState

from nexus_recorder import errors
from nexus_recorder.core import inputs
from nexus_recorder.core.record import (
    MAX_FORGOTTEN,
    MAX_MARKER_BYTES,
    MAX_MARKERS,
    MAX_PAUSES,
    Record,
    end_without_media,
    is_live,
    offset_ms,
)


def stop(record: Record, _given: inputs.Stop, now_ms: int) -> None:
    recording = record.recording
    if not is_live(recording) or recording.stop_requested:
        return
    recording.stop_requested = True
    if not record.owned and not recording.started_at_ms:
        end_without_media(record, EndReason.END_REASON_STOPPED, now_ms)


def pause(record: Record, _given: inputs.Pause, _now_ms: int) -> None:
    recording = record.recording
    if is_live(recording) and not recording.stop_requested and not recording.pause_requested:
        if len(recording.pauses) >= MAX_PAUSES:
            raise errors.invalid_argument("recording_id", f"a recording has at most {MAX_PAUSES} pauses")
        recording.pause_requested = True


def resume(record: Record, _given: inputs.Resume, _now_ms: int) -> None:
    if is_live(record.recording):
        record.recording.pause_requested = False


def update(record: Record, given: inputs.Update, _now_ms: int) -> None:
    recording = record.recording
    deleted = recording.state == RecordingState.RECORDING_STATE_DELETED or recording.delete_requested
    over = not is_live(recording) and (given.selection is not None or given.limits is not None)
    if deleted or over:
        raise errors.recording_ended(recording.id)
    if given.selection is not None:
        recording.spec.selection.CopyFrom(given.selection)
        for identity in record.forgotten_identities:
            exclude(recording, identity)
    if given.limits is not None:
        recording.spec.limits.CopyFrom(given.limits)
    if given.expires_at_ms is not None:
        recording.expires_at_ms = given.expires_at_ms
    if given.hold is not None:
        recording.hold = given.hold


def mark(record: Record, given: inputs.Mark, _now_ms: int) -> None:
    recording = record.recording
    if not is_live(recording):
        raise errors.recording_ended(recording.id)
    size = sum(len(marker.name.encode()) for marker in recording.markers) + len(given.name.encode())
    if len(recording.markers) >= MAX_MARKERS or size > MAX_MARKER_BYTES:
        raise errors.invalid_argument(
            "name", f"a recording has at most {MAX_MARKERS} markers, with {MAX_MARKER_BYTES} bytes of names"
        )
    recording.markers.add(name=given.name, at_ms=given.at_ms, offset_ms=offset_ms(recording, given.at_ms))


def delete(record: Record, _given: inputs.Delete, now_ms: int) -> None:
    recording = record.recording
    if recording.state == RecordingState.RECORDING_STATE_DELETED or recording.delete_requested:
        return
    if recording.hold:
        raise errors.permission_denied("the recording is on hold", recording_id=recording.id)
    recording.delete_requested = True
    if is_live(recording):
        recording.stop_requested = True
        if not record.owned and not recording.started_at_ms:
            end_without_media(record, EndReason.END_REASON_DELETED, now_ms)


def forget(record: Record, given: inputs.Forget, _now_ms: int) -> None:
    recording = record.recording
    if recording.state == RecordingState.RECORDING_STATE_DELETED or recording.delete_requested:
        return
    if recording.hold:
        raise errors.permission_denied("the recording is on hold", recording_id=recording.id)
    if given.identity in record.forgotten_identities:
        return
    if len(record.forgotten_identities) >= MAX_FORGOTTEN:
        raise errors.unavailable("too many identities of this recording are being deleted")
    record.forgotten_identities.append(given.identity)
    if is_live(recording):
        exclude(recording, given.identity)


def exclude(recording: recording_pb2.Recording, identity: str) -> None:
    # A pattern cannot name the characters * and ? themselves; ? fits any one character, so also these.
    without_wildcards = identity.replace("*", "?")
    excluded = recording.spec.selection.exclude
    pattern = recording_pb2.TrackPattern(identity=without_wildcards)
    if pattern not in excluded:
        excluded.append(pattern)
