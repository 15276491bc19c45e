"""Adds numbered events to a record. They wait there until the stream has them, so that no number is lost
when a process dies between the two writes."""

from typing import Final

from nexus.recorder.v1 import recording_pb2

# Maximum size of the events in a record that the stream does not have yet. Above it no segment is reported;
# every other event is.
MAX_UNPUBLISHED_BYTES: Final = 128_000

Body = (
    recording_pb2.RecordingQueued
    | recording_pb2.RecordingStarted
    | recording_pb2.RecordingDegraded
    | recording_pb2.RecordingPaused
    | recording_pb2.RecordingResumed
    | recording_pb2.RecordingSegment
    | recording_pb2.RecordingCompleted
    | recording_pb2.RecordingFailed
    | recording_pb2.RecordingDeleted
)


def add(record: recording_pb2.RecordingRecord, body: Body, now_ms: int) -> bool:
    """Adds an event with the next number. Returns False for a segment that is not reported, because too many
    events wait."""
    recording = record.recording
    if isinstance(body, recording_pb2.RecordingSegment):
        waiting = sum(event.ByteSize() for event in record.unpublished)
        if waiting + body.ByteSize() > MAX_UNPUBLISHED_BYTES:
            return False
    recording.last_event += 1
    event = record.unpublished.add(
        app=recording.app,
        room=recording.room,
        recording_id=recording.id,
        number=recording.last_event,
        at_ms=now_ms,
    )
    name = body.DESCRIPTOR.name.removeprefix("Recording").lower()
    getattr(event, name).CopyFrom(body)
    return True


def forget_published(record: recording_pb2.RecordingRecord, number: int) -> None:
    """Removes the events up to `number`."""
    kept = [event for event in record.unpublished if event.number > number]
    del record.unpublished[:]
    record.unpublished.extend(kept)
