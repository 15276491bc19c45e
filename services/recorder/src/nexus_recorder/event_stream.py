"""Publishes the events of recordings to the stream RECORDINGS."""

from collections.abc import Iterable
from typing import Final

from nexus.recorder.v1 import recording_pb2
from nexus_bus import Bus, BusError, StreamSpec, subjects

# How long the stream keeps an event, and how many bytes of them.
STREAM: Final = StreamSpec(
    subjects.RECORDINGS_STREAM,
    subjects.RECORDINGS_STREAM_SUBJECTS,
    max_age_seconds=30 * 24 * 3600,
    max_bytes=4 << 30,
)


class EventStream:
    """The stream is created at its first use, and again after a failure, because a broker can lose its
    storage."""

    def __init__(self, bus: Bus, spec: StreamSpec = STREAM) -> None:
        self._bus = bus
        self._spec = spec
        self._ensured = False

    async def publish(self, events: Iterable[recording_pb2.RecordingEvent]) -> None:
        """Publishes the events in order. An event that the stream has is not stored again within two
        minutes; after that a reader recognises a repeated one by its number. Raises BusError; then some are
        published."""
        try:
            if not self._ensured:
                await self._bus.ensure_stream(self._spec)
                self._ensured = True
            for event in events:
                await self._bus.publish_durable(
                    subjects.recording_events(event.app, event.room),
                    event.SerializeToString(),
                    f"{event.recording_id}.{event.number}",
                )
        except BusError:
            self._ensured = False
            raise
