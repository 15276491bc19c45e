"""Reports of a run that are not yet in the record: in order, together where possible, and bounded."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from nexus.recorder.v1 import recording_pb2

from nexus_recorder import run as media
from nexus_recorder.core import inputs
from nexus_recorder.metrics import Metrics

# Maximum number of segments whose reports wait. At 100 tracks this is an outage of the broker of one minute;
# the segments themselves are not lost, and the manifest has them.
MAX_SEGMENTS: Final = 1_000
# Maximum number of other reports that wait. They are rare; beyond it the oldest are dropped.
MAX_REPORTS: Final = 256


class RunReports:
    def __init__(self, epoch: int, metrics: Metrics) -> None:
        self._epoch = epoch
        self._metrics = metrics
        self._reports: deque[inputs.Input] = deque(maxlen=MAX_REPORTS)
        self._segments = 0
        self._arrived = asyncio.Event()

    def note(self, event: media.RunEvent) -> None:
        """Takes an event of the run. Never blocks."""
        match event:
            case media.Started():
                self.add(inputs.Started(self._epoch, event.room_id, event.timeline_start_ms))
            case media.DegradedChanged():
                self.add(inputs.DegradedChanged(self._epoch, event.degraded))
            case media.BytesChanged():
                progress = inputs.Progress(self._epoch, (), event.stored_bytes, event.spooled_bytes)
                self._add_progress(progress)
            case media.SegmentStored():
                self._add_segment(event)
            case media.RoomMoved():
                pass

    def add(self, given: inputs.Input) -> None:
        self._reports.append(given)
        self._arrived.set()

    def _add_segment(self, event: media.SegmentStored) -> None:
        if self._segments >= MAX_SEGMENTS:
            self._metrics.segments_dropped.inc()
            return
        segment = recording_pb2.RecordingSegment(
            key=event.key,
            track_id=event.track_id,
            bytes=event.size_bytes,
            offset_ms=event.offset_ms,
            duration_ms=event.duration_ms,
        )
        self._segments += 1
        self._add_progress(inputs.Progress(self._epoch, (segment,)))

    def _add_progress(self, progress: inputs.Progress) -> None:
        """Adds it to the last report if that is one of progress, too, so that many need one write."""
        last = self._reports[-1] if self._reports else None
        if isinstance(last, inputs.Progress):
            self._reports.pop()
            progress = _together(last, progress)
        self.add(progress)

    async def wait(self) -> None:
        """Returns when there is something to take."""
        await self._arrived.wait()

    def take(self) -> Sequence[inputs.Input]:
        """Everything that waits, in order; empty if there is nothing."""
        self._arrived.clear()
        taken = list(self._reports)
        self._reports.clear()
        self._segments = 0
        return taken

    def give_back(self, given: Sequence[inputs.Input]) -> None:
        """Puts back what could not be written, before everything that came since."""
        since = list(self._reports)
        self._reports.clear()
        self._segments = 0
        for one in (*given, *since):
            if not isinstance(one, inputs.Progress):
                self.add(one)
                continue
            kept = one.segments[: MAX_SEGMENTS - self._segments]
            self._metrics.segments_dropped.inc(len(one.segments) - len(kept))
            self._segments += len(kept)
            self._add_progress(replace(one, segments=tuple(kept)))


def _together(one: inputs.Progress, other: inputs.Progress) -> inputs.Progress:
    return inputs.Progress(
        one.epoch,
        (*one.segments, *other.segments),
        one.stored_bytes if other.stored_bytes is None else other.stored_bytes,
        one.spooled_bytes if other.spooled_bytes is None else other.spooled_bytes,
    )
