"""The tracks that one run records at the moment: each has a task that reads its tap, again if the node was
lost."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog
from nexus.recorder.v1 import recording_pb2
from nexus.types.v1.media_pb2 import TrackKind
from nexus_runtime import Clock

from nexus_recorder.core.notes import Note
from nexus_recorder.core.records import Entry, SegmentRecord, TrackEntry
from nexus_recorder.core.segmenter import SegmentLimits
from nexus_recorder.core.selection import Publication, Publisher
from nexus_recorder.core.stream_book import StreamBook
from nexus_recorder.core.timeline import Timeline
from nexus_recorder.core.track_pipeline import RecordedTrack, TrackPipeline
from nexus_recorder.media.parts import RunParts
from nexus_recorder.media.ports import RoomSnapshot
from nexus_recorder.media.spool import SpooledSegment, SpoolFolder, SpoolFull
from nexus_recorder.media.track_recording import Ending, TrackEnd, TrackRecording

log = structlog.get_logger()

# How long after a failure a track is opened again.
REOPEN_S: Final = 0.5
# How often the recording of a track may fail by a defect before it is given up.
MAX_DEFECTS: Final = 3
DEFAULT_SEGMENT_MS: Final = 6_000


@dataclass(frozen=True, slots=True)
class TrackSurroundings:
    """The run that the tracks belong to.

    `now_us` is the position of this moment, and `until_us` is no later than the end of the recording. `place`
    is where the room is. `wanted` returns a track if it is to be recorded now.
    """

    recording: recording_pb2.Recording
    epoch: int
    parts: RunParts
    timeline: Timeline
    folder: SpoolFolder
    on_segment: Callable[[SpooledSegment], None]
    note: Callable[[Entry], None]
    now_us: Callable[[], int]
    until_us: Callable[[], int]
    place: Callable[[], RoomSnapshot | None]
    wanted: Callable[[str], tuple[Publisher, Publication] | None]
    on_full: Callable[[SpoolFull], None]


@dataclass(slots=True)
class _Active:
    """A track that is being recorded."""

    entry: TrackEntry
    task: asyncio.Task[None]
    recording: TrackRecording | None = None
    ending: Ending | None = None
    until_us: int | None = None
    frames: int = 0
    notes: list[Note] = field(default_factory=list)

    def is_ending(self) -> bool:
        return self.ending is not None

    def end(self, ending: Ending, until_us: int | None = None) -> None:
        if self.ending is None or ending.value > self.ending.value:
            self.ending = ending
        self.until_us = self.until_us if until_us is None else until_us
        if self.recording is not None:
            self.recording.end(ending, until_us)


class _Microseconds:
    """The monotonic clock in microseconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def monotonic_us(self) -> int:
        return self._clock.monotonic_ms() * 1000


class RecordedTracks:
    """The tracks of one run, by their ids."""

    def __init__(self, run: TrackSurroundings) -> None:
        self._run = run
        self._clock = _Microseconds(run.parts.clock)
        self._book = StreamBook()
        self._active: dict[str, _Active] = {}

    def __contains__(self, track_id: str) -> bool:
        return track_id in self._active

    def begin(self, publisher: Publisher, publication: Publication, ending: Ending | None = None) -> None:
        """Records a track; with `ending`, only what its tap still has. A track that is ending begins again
        after its end, if it is still wanted then."""
        if publication.track_id in self._active:
            return
        stream = self._book.begin(publisher, publication)
        entry = TrackEntry(
            identity=publisher.identity,
            source=publication.source,
            name=publication.name,
            ordinal=stream.ordinal,
            participant_id=publisher.participant_id,
            participant_name=publisher.name,
            track_id=publication.track_id,
            media="video" if publication.kind == TrackKind.TRACK_KIND_VIDEO else "audio",
            from_us=max(0, self._run.now_us()),
        )
        self._run.note(entry)
        task = asyncio.create_task(
            self._record(publication.track_id), name=f"recording-track-{publication.track_id}"
        )
        self._active[publication.track_id] = _Active(entry, task, ending=ending)

    def end(self, track_id: str, ending: Ending) -> None:
        """Ends a track, if it is recorded. Another track may continue its stream at once."""
        active = self._active.get(track_id)
        if active is not None:
            active.end(ending)
            self._book.end(active.entry.stream, track_id)

    async def end_all(self, ending: Ending, until_us: int | None = None) -> None:
        """Returns when all tracks have ended. `until_us`: nothing that was sampled later is kept."""
        active = list(self._active.values())
        for each in active:
            each.end(ending, until_us)
        await asyncio.gather(*(each.task for each in active), return_exceptions=True)

    async def cancel(self) -> None:
        """Ends everything at once, and leaves what is open to a later owner."""
        tasks = [each.task for each in self._active.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def on_stored(self, record: SegmentRecord) -> None:
        """A segment is in the store."""
        active = self._active.get(record.track_id)
        if active is not None and active.recording is not None and record.epoch == self._run.epoch:
            active.recording.on_stored(record.number)

    async def _record(self, track_id: str) -> None:
        active = self._active[track_id]
        metrics = self._run.parts.metrics
        metrics.tracks.inc()
        reason = "defect"
        try:
            reason = await self._record_until_end(active)
        except SpoolFull as error:
            reason = "spool_full"
            self._run.on_full(error)
        finally:
            metrics.tracks.dec()
            metrics.tracks_ended.labels(reason).inc()
            self._active.pop(track_id, None)
            self._book.end(active.entry.stream, track_id)
            continued = reason in ("taken", "spool_full") or active.ending in (Ending.DRAIN, Ending.ABANDON)
            if not continued:
                self._note_end(active, reason)
            wanted = self._run.wanted(track_id)
            if wanted is not None and not continued and reason not in ("ended", "defect"):
                self.begin(*wanted)

    async def _record_until_end(self, active: _Active) -> str:
        """Opens the tap of the track, again after the node was lost, and returns why it ended."""
        defects = 0
        while True:
            try:
                end = await self._record_once(active)
            except (SpoolFull, asyncio.CancelledError):
                raise
            except Exception:
                log.exception("recording_track_failed", track=active.entry.track_id)
                defects += 1
                end = TrackEnd.LOST
                if defects == MAX_DEFECTS:
                    return "defect"
            if end is TrackEnd.LOST and not active.is_ending():
                await asyncio.sleep(REOPEN_S)
            if end is not TrackEnd.LOST or active.is_ending():
                return end.name.lower()

    async def _record_once(self, active: _Active) -> TrackEnd:
        recording = active.recording = self._open(active)
        if active.ending is not None:
            recording.end(active.ending, active.until_us)
        try:
            end = await recording.run()
            # After a failure the tap is read again behind what was acknowledged, and what was written appears
            # once: the plan of the files sees it twice.
            self._book.wrote(active.entry.stream, recording.pipeline.last_us)
            return end
        finally:
            active.frames += recording.pipeline.frames
            self._run.parts.metrics.frames.inc(recording.pipeline.frames)
            self._run.parts.metrics.frames_refused.inc(recording.spoiled_frames)
            active.notes += recording.pipeline.take_notes()

    def _note_end(self, active: _Active, reason: str) -> None:
        self._run.note(
            active.entry.model_copy(
                update={
                    "to_us": self._run.until_us(),
                    "end_reason": reason,
                    "frames": active.frames,
                    "notes": tuple(active.notes),
                }
            )
        )

    def _open(self, active: _Active) -> TrackRecording:
        run, entry, stream = self._run, active.entry, active.entry.stream
        room = run.place()
        assert room is not None
        spec = run.recording.spec
        pipeline = TrackPipeline(
            RecordedTrack(
                stream,
                entry.track_id,
                entry.participant_id,
                f"{room.node_id}/{room.room_id}",
                entry.media == "video",
            ),
            run.timeline,
            SegmentLimits((spec.segment_ms or DEFAULT_SEGMENT_MS) * 1000),
            epoch=run.epoch,
            numbers=self._book.numbers(stream),
            after_us=self._book.last_us(stream),
            prefer_webm=spec.prefer_webm,
        )
        return TrackRecording(
            pipeline,
            run.parts.room.feed(room.address, entry.track_id),
            run.folder,
            run.parts.workers,
            run.parts.open_muxer,
            self._clock,
            run.on_segment,
            durable_in_store=spec.durability == recording_pb2.DURABILITY_STORE,
        )
