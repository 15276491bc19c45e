"""The events of recordings as webhooks."""

from typing import Final

from google.protobuf import json_format
from google.protobuf.message import DecodeError
from nexus.recorder.v1 import recording_pb2
from nexus_bus import StoredMessage, subjects

from nexus_webhooks.event import EventSource, WebhookEvent, make_body

_KINDS: Final = tuple(field.name for field in recording_pb2.RecordingEvent.DESCRIPTOR.oneofs[0].fields)


def read_recording_event(message: StoredMessage) -> WebhookEvent | None:
    """The event that a message of the stream has; None if it is malformed, or of a newer release."""
    try:
        event = recording_pb2.RecordingEvent.FromString(message.payload)
        kind = event.WhichOneof("event")
        if kind is None or not event.room or not event.recording_id:
            return None
        event_type = f"recording.{kind}"
        body = make_body(event_type, event.at_ms, json_format.MessageToDict(event))
    except (DecodeError, ValueError, OverflowError, OSError):
        return None
    return WebhookEvent(f"{event.recording_id}-{event.number}", event.room, event_type, body)


RECORDINGS: Final = EventSource(
    stream=subjects.RECORDINGS_STREAM,
    types=frozenset(f"recording.{kind}" for kind in _KINDS),
    on_request=frozenset(("recording.segment",)),
    pattern=subjects.all_recording_events,
    room_pattern=subjects.recording_events,
    read=read_recording_event,
)
