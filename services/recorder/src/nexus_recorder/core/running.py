"""Changes of a recording by the job of its run, and by the owner of that job."""

from nexus.recorder.v1 import recording_pb2
from nexus.recorder.v1.recording_pb2 import EndReason, RecordingState

from nexus_recorder.core import events, inputs
from nexus_recorder.core.record import (
    MAX_CHECKPOINT_BYTES,
    Fenced,
    Record,
    check_epoch,
    close_pause,
    end,
    end_without_media,
    has_ended,
    is_live,
    offset_ms,
    open_pause,
    set_degraded,
)


def waiting(record: Record, _given: inputs.Waiting, now_ms: int) -> None:
    recording = record.recording
    if record.owned or recording.state not in (
        RecordingState.RECORDING_STATE_RUNNING,
        RecordingState.RECORDING_STATE_PAUSED,
    ):
        return  # a queued recording has reported that already
    recording.state = RecordingState.RECORDING_STATE_QUEUED
    events.add(record, recording_pb2.RecordingQueued(), now_ms)


def unclaimed(record: Record, given: inputs.Unclaimed, now_ms: int) -> None:
    recording = record.recording
    if not is_live(recording):
        return
    record.owned = False
    if recording.stop_requested:
        reason = EndReason.END_REASON_DELETED if recording.delete_requested else EndReason.END_REASON_STOPPED
    else:
        reason = EndReason.END_REASON_FAILED
        recording.error.CopyFrom(given.error)
    end(record, reason, now_ms)


def claimed(record: Record, given: inputs.Claimed, now_ms: int) -> None:
    recording = record.recording
    if given.epoch < recording.epoch:
        raise Fenced
    if not is_live(recording):
        return
    recording.epoch = given.epoch
    record.owned = True
    if recording.state == RecordingState.RECORDING_STATE_QUEUED and open_pause(recording) is not None:
        recording.state = RecordingState.RECORDING_STATE_PAUSED
        events.add(record, recording_pb2.RecordingPaused(), now_ms)


def started(record: Record, given: inputs.Started, now_ms: int) -> None:
    recording = record.recording
    check_epoch(recording, given.epoch)
    if not is_live(recording):
        return
    recording.room_id = given.room_id
    if not recording.started_at_ms:
        recording.started_at_ms = given.timeline_start_ms
        for marker in recording.markers:
            marker.offset_ms = offset_ms(recording, marker.at_ms)
    if recording.state == RecordingState.RECORDING_STATE_QUEUED:
        recording.state = RecordingState.RECORDING_STATE_RUNNING
        events.add(record, recording_pb2.RecordingStarted(room_id=given.room_id), now_ms)


def paused(record: Record, given: inputs.Paused, now_ms: int) -> None:
    recording = record.recording
    check_epoch(recording, given.epoch)
    if not is_live(recording) or recording.state == RecordingState.RECORDING_STATE_PAUSED:
        return
    recording.state = RecordingState.RECORDING_STATE_PAUSED
    if recording.started_at_ms:
        recording.pauses.add(from_ms=now_ms)
    events.add(record, recording_pb2.RecordingPaused(), now_ms)


def resumed(record: Record, given: inputs.Resumed, now_ms: int) -> None:
    recording = record.recording
    check_epoch(recording, given.epoch)
    if recording.state != RecordingState.RECORDING_STATE_PAUSED:
        return
    close_pause(recording, now_ms)
    started = bool(recording.started_at_ms)
    recording.state = (
        RecordingState.RECORDING_STATE_RUNNING if started else RecordingState.RECORDING_STATE_QUEUED
    )
    events.add(record, recording_pb2.RecordingResumed(), now_ms)


def progress(record: Record, given: inputs.Progress, now_ms: int) -> int:
    recording = record.recording
    check_epoch(recording, given.epoch)
    if has_ended(recording):
        return 0
    if given.stored_bytes is not None:
        recording.stored_bytes = given.stored_bytes
    if given.spooled_bytes is not None:
        recording.spooled_bytes = given.spooled_bytes
    return sum(not events.add(record, segment, now_ms) for segment in given.segments)


def degraded(record: Record, given: inputs.DegradedChanged, now_ms: int) -> None:
    recording = record.recording
    check_epoch(recording, given.epoch)
    if not has_ended(recording):
        set_degraded(record, given.degraded, now_ms)


def over(record: Record, given: inputs.Over, now_ms: int) -> None:
    recording = record.recording
    check_epoch(recording, given.epoch)
    if not is_live(recording):
        return
    record.owned = False
    if given.error is not None:
        recording.error.CopyFrom(given.error)
    reason = EndReason.END_REASON_FAILED if given.error is not None else given.reason
    end(record, reason, now_ms, given.ended_at_ms or now_ms)


def returned(record: Record, given: inputs.Returned, now_ms: int) -> None:
    recording = record.recording
    check_epoch(recording, given.epoch)
    if not is_live(recording):
        return
    record.owned = False
    if len(given.checkpoint) > MAX_CHECKPOINT_BYTES:
        raise ValueError(f"a checkpoint of {len(given.checkpoint)} bytes is too large")
    record.checkpoint = given.checkpoint
    if given.error is not None:
        degraded = recording_pb2.Degraded(since_ms=now_ms, error=given.error)
        set_degraded(record, degraded, now_ms)
    if recording.stop_requested and not recording.started_at_ms:
        end_without_media(record, EndReason.END_REASON_STOPPED, now_ms)
