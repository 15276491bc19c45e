"""One owner's work on a live recording (`MediaRun`): follows the room, and records the tracks that are
selected."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Final

import structlog
from nexus.recorder.v1 import recording_pb2
from nexus.types.v1 import error_pb2
from nexus.types.v1.media_pb2 import TrackKind
from nexus_storage import StorageError

from nexus_recorder.core.interruptions import LOST
from nexus_recorder.core.knowledge import Knowledge, from_checkpoint, to_checkpoint
from nexus_recorder.core.object_names import ObjectNames
from nexus_recorder.core.records import (
    Entry,
    Journal,
    LineEntry,
    OwnerEntry,
    PauseEntry,
    read_journal,
)
from nexus_recorder.core.roster import Begin, Effect, Roster
from nexus_recorder.core.selection import Publication, Publisher, Selection
from nexus_recorder.core.timeline import Timeline
from nexus_recorder.media.fence import Fence, Fenced
from nexus_recorder.media.parts import RunParts
from nexus_recorder.media.ports import (
    PublicationGone,
    PublicationPut,
    PublisherGone,
    PublisherPut,
    RoomChange,
    RoomClosed,
    RoomMissing,
    RoomSnapshot,
    RoomWatch,
)
from nexus_recorder.media.recorded_tracks import RecordedTracks, TrackSurroundings
from nexus_recorder.media.spool import SpooledJournal, SpoolFolder, SpoolFull
from nexus_recorder.media.track_recording import Ending
from nexus_recorder.media.uploader import Uploader
from nexus_recorder.run import BytesChanged, Conclusion, RoomMoved, RunEnd, RunRequest, Started

log = structlog.get_logger()

# How often journals are written and the lease and the limits are looked at.
HOUSEKEEPING_S: Final = 0.5
# How often the bytes are reported.
BYTES_EVERY_S: Final = 5.0
# How long a drained owner still uploads. What is left stays in the spool.
DRAIN_UPLOAD_S: Final = 10.0
# How long the store is waited for when a new owner reads the journals of earlier ones.
KNOWLEDGE_S: Final = 3.0
DEFAULT_EMPTY_TIMEOUT_S: Final = 60


class RoomRun:
    """A `MediaRun`. See `nexus_recorder.run`."""

    def __init__(self, request: RunRequest, parts: RunParts) -> None:
        recording = request.recording
        self._recording = recording
        self._lease = request.lease
        self._epoch = request.lease.epoch
        self._on_event = request.on_event
        self._paused = request.paused
        self._checkpoint = request.checkpoint
        self._parts = parts
        self._clock = parts.clock
        self._names = ObjectNames(recording.app, recording.id)
        self._roster = Roster(Selection.from_message(recording.spec.selection), parts.clock.monotonic_ms())
        self._limits = recording.spec.limits
        self._knowledge = Knowledge()
        self._journal: list[Entry] = []
        self._journal_number = 0
        self._room: RoomSnapshot | None = None
        self._missing_since_ms: int | None = None
        self._room_seen = False
        self._started = False
        self._pause_from_us: int | None = None
        self._end: asyncio.Future[RunEnd] | None = None
        self._early_end: RunEnd | None = None
        self._drained = asyncio.Event()
        self._uploads_end: RunEnd | None = None
        self._over_us: int | None = None
        # Set by `run`.
        self._timeline: Timeline
        self._tracks: RecordedTracks
        self._folder: SpoolFolder
        self._uploader: Uploader
        self._folders: list[SpoolFolder] = []

    # Commands

    async def pause(self) -> None:
        if self._paused:
            return
        self._paused = True
        self._pause_from_us = self._now_us()
        self._note(PauseEntry(from_us=self._pause_from_us))
        await self._tracks.end_all(Ending.NOW)

    async def resume(self) -> None:
        if not self._paused:
            return
        self._paused = False
        if self._pause_from_us is not None:
            self._note(PauseEntry(from_us=self._pause_from_us, to_us=self._now_us()))
            self._pause_from_us = None
        # Every track that is selected begins again.
        for track_id in self._roster.recorded:
            wanted = self._wanted(track_id)
            if wanted is not None:
                self._tracks.begin(*wanted)

    def update(self, selection: recording_pb2.TrackSelection, limits: recording_pb2.RecordingLimits) -> None:
        self._limits = limits
        self._apply(self._roster.select(Selection.from_message(selection), self._clock.monotonic_ms()))

    def stop(self, reason: recording_pb2.EndReason.ValueType) -> None:
        self._finish(RunEnd(Conclusion.OVER, reason))

    def drain(self) -> None:
        self._drained.set()
        self._finish(RunEnd(Conclusion.DRAINED))

    def _finish(self, end: RunEnd) -> None:
        """Makes `run` conclude. The first reason counts."""
        if end.conclusion is Conclusion.OVER and self._over_us is None and self._started:
            self._over_us = self._now_us()
            end = replace(end, ended_at_ms=self._start_ms + self._over_us // 1000)
        if self._end is None:
            self._early_end = self._early_end or end
        elif not self._end.done():
            self._end.set_result(end)

    # The run

    async def run(self) -> RunEnd:
        self._end = asyncio.get_running_loop().create_future()
        if self._early_end is not None:
            self._end.set_result(self._early_end)
        try:
            await self._open()
        except SpoolFull as error:
            return await self._close_spool(RunEnd(Conclusion.UNABLE, error=_no_room(error)))
        except BaseException:
            await self._close_spool()
            raise
        uploads = asyncio.create_task(self._uploader.run(), name="recording-uploads")
        uploads.add_done_callback(self._on_uploads_ended)
        watch = self._parts.room.watch()
        following = asyncio.create_task(self._follow(watch), name="recording-room")
        following.add_done_callback(self._on_part_ended)
        keeping = asyncio.create_task(self._keep_house(), name="recording-housekeeping")
        keeping.add_done_callback(self._on_part_ended)
        end: RunEnd | None = None
        try:
            end = await self._end
            following.cancel()
            keeping.cancel()
            end = await self._conclude(end)
        finally:
            for task in (uploads, following, keeping):
                task.cancel()
            await self._tracks.cancel()
            await asyncio.gather(uploads, following, keeping, return_exceptions=True)
            await watch.close()
            end = await self._close_spool(end)
        return end

    async def _close_spool(self, end: RunEnd | None = None) -> RunEnd:
        """Removes the folders of which everything is in the store, and returns `end` with the epochs."""
        left: list[int] = []
        empty: list[int] = []
        for folder in self._folders:
            is_empty = await self._parts.workers.run(folder.is_empty)
            (empty if is_empty else left).append(folder.epoch)
            await self._parts.workers.run(partial(folder.close, empty=is_empty))
        if left:
            self._parts.on_left_behind()
        return replace(end or RunEnd(Conclusion.FENCED), left=tuple(left), empty=tuple(empty))

    async def _open(self) -> None:
        """Opens the spool, takes what dead owners have left in it, and learns what they knew."""
        recording, parts = self._recording, self._parts
        self._folder = await parts.workers.run(lambda: parts.spool.open(recording.id, self._epoch))
        self._folders.append(self._folder)
        clearance = Fence(self._lease, parts.store, self._names, parts.owner)
        self._uploader = Uploader(
            parts.store,
            self._names,
            clearance,
            parts.workers,
            parts.clock,
            parts.rng,
            self._on_event,
            parts.metrics,
            on_stored=lambda record: self._tracks.on_stored(record),
            policy=parts.upload_policy,
        )
        self._knowledge.add(from_checkpoint(self._checkpoint))
        for _, folder in await parts.workers.run(
            lambda: list(parts.spool.left_behind(recording.id, self._epoch))
        ):
            self._folders.append(folder)
            for item in await parts.workers.run(folder.recover):
                if isinstance(item, SpooledJournal):
                    self._knowledge.add(item.journal.entries)
                self._uploader.add(item, folder)
        if self._epoch > 1:
            await self._read_journals()
        now = self._clock.now()
        age_ms = now.epoch_ms - recording.started_at_ms if recording.started_at_ms else 0
        self._timeline = Timeline(now.monotonic_ms * 1000 - max(0, age_ms) * 1000, self._knowledge.offsets)
        self._start_ms = recording.started_at_ms or now.epoch_ms
        self._tracks = RecordedTracks(
            TrackSurroundings(
                recording=recording,
                epoch=self._epoch,
                parts=parts,
                timeline=self._timeline,
                folder=self._folder,
                on_segment=lambda segment: self._uploader.add(segment, self._folder),
                note=self._note,
                now_us=self._now_us,
                until_us=self._until_us,
                place=lambda: self._room,
                wanted=self._wanted,
                on_full=self._on_full,
            )
        )
        self._take_over_pause()
        self._note(OwnerEntry(epoch=self._epoch, at_us=max(0, age_ms) * 1000, event="began"))

    def _take_over_pause(self) -> None:
        """Continues, begins or ends the pause, as the last owner left it."""
        unended = [pause for pause in self._knowledge.pauses.values() if pause.to_us is None]
        now_us = max(0, self._now_us())
        if not self._paused:
            for pause in unended:
                self._note(PauseEntry(from_us=pause.from_us, to_us=now_us))
        elif unended:
            self._pause_from_us = unended[-1].from_us
        else:
            self._pause_from_us = now_us
            self._note(PauseEntry(from_us=now_us))

    async def _read_journals(self) -> None:
        """Reads the journals in the store, if it answers soon."""
        with suppress(StorageError, TimeoutError):
            async with asyncio.timeout(KNOWLEDGE_S):
                async for listed in self._parts.store.list(self._names.journals):
                    if self._names.parse_journal(listed.key) is None:
                        continue
                    journal = read_journal(await self._parts.store.get(listed.key))
                    if journal is not None:
                        self._knowledge.add(journal.entries)

    async def _conclude(self, end: RunEnd) -> RunEnd:
        ending = {
            Conclusion.OVER: Ending.SOON,
            Conclusion.FAILED: Ending.SOON,
            Conclusion.DRAINED: Ending.DRAIN,
            Conclusion.UNABLE: Ending.DRAIN,
            Conclusion.FENCED: Ending.ABANDON,
        }[end.conclusion]
        over_us = self._over_us if end.conclusion is Conclusion.OVER else None
        await self._tracks.end_all(ending, over_us)
        if end.conclusion is Conclusion.FENCED:
            return end
        self._note(
            OwnerEntry(
                epoch=self._epoch, at_us=self._until_us(), event="ended", reason=end.conclusion.name.lower()
            )
        )
        with suppress(SpoolFull):
            await self._write_journal()
        if not await self._settle(end.conclusion is Conclusion.OVER):
            fenced = RunEnd(Conclusion.FENCED) if self._lease.lost() else None
            end = fenced or self._uploads_end or RunEnd(Conclusion.DRAINED)
        self._report_bytes()
        if end.conclusion in (Conclusion.DRAINED, Conclusion.UNABLE):
            return RunEnd(end.conclusion, end.reason, end.error, to_checkpoint(self._epoch, self._knowledge))
        return end

    async def _settle(self, patiently: bool) -> bool:
        """Waits for the uploads: for as long as needed, or for a moment. Returns whether the conclusion
        stands."""
        idle = asyncio.create_task(self._uploader.idle())
        drained = asyncio.create_task(self._drained.wait())
        try:
            while not idle.done() and not self._lease.lost() and self._uploads_end is None:
                if not patiently or drained.done():
                    await asyncio.wait({idle}, timeout=DRAIN_UPLOAD_S)
                    return not patiently or idle.done()
                await asyncio.wait(
                    {idle, drained}, timeout=HOUSEKEEPING_S, return_when=asyncio.FIRST_COMPLETED
                )
            return idle.done() and not self._lease.lost()
        finally:
            idle.cancel()
            drained.cancel()

    # Parts that end

    def _on_uploads_ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, BaseExceptionGroup) and error.subgroup(Fenced) is not None:
            self._uploads_end = RunEnd(Conclusion.FENCED)
            self._finish(self._uploads_end)
            return
        log.error("recording_uploads_failed", recording=self._recording.id, exc_info=error)
        self._uploads_end = RunEnd(Conclusion.UNABLE, error=_defect())
        self._finish(self._uploads_end)

    def _on_part_ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, SpoolFull):
            self._finish(RunEnd(Conclusion.UNABLE, error=_no_room(error)))
        elif error is not None:
            log.error("recording_failed", recording=self._recording.id, exc_info=error)
            self._finish(RunEnd(Conclusion.UNABLE, error=_defect()))

    # The room

    async def _follow(self, watch: RoomWatch) -> None:
        async for change in watch:
            self.apply(change)

    def apply(self, change: RoomChange) -> None:
        """Takes a change of the room."""
        now_ms = self._clock.monotonic_ms()
        match change:
            case RoomSnapshot():
                self._on_snapshot(change)
            case PublisherPut(publisher):
                self._apply(self._roster.put_publisher(publisher, now_ms))
            case PublisherGone(participant_id):
                self._apply(self._roster.remove_publisher(participant_id, now_ms))
            case PublicationPut(publication):
                self._apply(self._roster.put_publication(publication, now_ms))
            case PublicationGone(track_id):
                self._apply(self._roster.remove_publication(track_id, now_ms))
            case RoomMissing():
                self._missing_since_ms = self._missing_since_ms or now_ms
                self._apply(self._roster.replace((), (), now_ms))
            case RoomClosed():
                self._finish(RunEnd(Conclusion.OVER, recording_pb2.END_REASON_ROOM_CLOSED))

    def _on_snapshot(self, room: RoomSnapshot) -> None:
        previous, self._room = self._room, room
        self._missing_since_ms = None
        self._room_seen = True
        moved = previous is None or (previous.node_id, previous.room_id) != (room.node_id, room.room_id)
        now_ms = self._clock.monotonic_ms()
        self._apply(self._roster.replace(room.publishers, room.publications, now_ms))
        if previous is None:
            self._adopt_open_tracks(room)
        if not self._started:
            self._started = True
            self._on_event(Started(room.room_id, self._start_ms))
        elif moved:
            self._on_event(RoomMoved(room.node_id, room.room_id))

    def _adopt_open_tracks(self, room: RoomSnapshot) -> None:
        """Opens the taps of tracks that ended while no owner read them: the node keeps them for a while.
        Another node than before knows nothing of them."""
        if self._paused:
            return
        lines = self._knowledge.lines
        lost = bool(lines) and f"{room.node_id}/{room.room_id}" not in lines
        for entry in self._knowledge.open_tracks:
            if entry.track_id in self._tracks:
                continue
            if lost:
                self._note(entry.model_copy(update={"to_us": max(0, self._now_us()), "end_reason": LOST}))
                continue
            publisher = Publisher(entry.participant_id, entry.identity, entry.participant_name)
            kind = TrackKind.TRACK_KIND_VIDEO if entry.media == "video" else TrackKind.TRACK_KIND_AUDIO
            publication = Publication(entry.track_id, entry.participant_id, kind, entry.source, entry.name)
            self._tracks.begin(publisher, publication, ending=Ending.UNPUBLISHED)

    def _apply(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Begin):
                if not self._paused:
                    self._tracks.begin(effect.publisher, effect.publication)
            else:
                self._tracks.end(effect.track_id, Ending.UNPUBLISHED if effect.unpublished else Ending.NOW)

    def _wanted(self, track_id: str) -> tuple[Publisher, Publication] | None:
        """The track, if it is to be recorded now."""
        over = self._end is not None and self._end.done()
        if over or self._paused or track_id not in self._roster.recorded:
            return None
        publisher, publication = self._roster.publisher_of(track_id), self._roster.publication(track_id)
        return (publisher, publication) if publisher and publication else None

    def _on_full(self, error: SpoolFull) -> None:
        self._finish(RunEnd(Conclusion.UNABLE, error=_no_room(error)))

    # Housekeeping

    async def _keep_house(self) -> None:
        passed = 0.0
        while True:
            await asyncio.sleep(HOUSEKEEPING_S)
            passed += HOUSEKEEPING_S
            await self.keep_house()
            if passed >= BYTES_EVERY_S:
                passed = 0.0
                self._report_bytes()

    async def keep_house(self) -> None:
        """Looks at the lease and the limits, and writes the journal."""
        if self._lease.lost():
            self._finish(RunEnd(Conclusion.FENCED))
            return
        await self._write_journal()
        now_ms = self._clock.monotonic_ms()
        empty_ms = (self._limits.empty_timeout_seconds or DEFAULT_EMPTY_TIMEOUT_S) * 1000
        since_ms = self._roster.empty_since_ms
        if since_ms is not None and now_ms - since_ms >= empty_ms:
            gone = self._missing_since_ms is not None and self._room_seen
            reason = recording_pb2.END_REASON_ROOM_CLOSED if gone else recording_pb2.END_REASON_ROOM_EMPTY
            self._finish(RunEnd(Conclusion.OVER, reason))

    async def _write_journal(self) -> None:
        for line in self._timeline.lines:
            if line.name not in self._knowledge.lines:
                self._note(LineEntry(line=line.name, offset_us=line.offset_us, from_us=self._now_us()))
        if not self._journal:
            return
        entries, self._journal = self._journal, []
        self._journal_number += 1
        journal = Journal(epoch=self._epoch, number=self._journal_number, entries=tuple(entries))
        self._uploader.add(
            await self._parts.workers.run(lambda: self._folder.write_journal(journal)), self._folder
        )

    def _note(self, entry: Entry) -> None:
        self._knowledge.add([entry])
        self._journal.append(entry)

    def _report_bytes(self) -> None:
        self._on_event(BytesChanged(self._uploader.stored_bytes, self._uploader.spooled_bytes))

    def _until_us(self) -> int:
        """The position of this moment, or of the stop."""
        return self._now_us() if self._over_us is None else min(self._now_us(), self._over_us)

    def _now_us(self) -> int:
        return self._timeline.now_us(self._clock.monotonic_ms() * 1000)


def _no_room(error: SpoolFull) -> error_pb2.Error:
    return error_pb2.Error(code=error_pb2.NO_CAPACITY, message=str(error))


def _defect() -> error_pb2.Error:
    return error_pb2.Error(code=error_pb2.INTERNAL, message="The recorder has failed; its log says why.")
