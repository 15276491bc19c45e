"""The media half put together: runs of live recordings, the maker of files, and the spool that both share."""

import asyncio
import random
import shutil
from functools import partial
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

import structlog
from nexus.recorder.v1 import recording_pb2
from nexus_rooms import RoomChanges, Sfu
from nexus_runtime import Clock, MetricSet, cancel_all
from nexus_storage import Store, StoreNotFound, StoreSet

from nexus_recorder.core.object_names import MAX_NUMBER, ObjectNames
from nexus_recorder.media.adapters import FollowedRoom
from nexus_recorder.media.containers import FramesMuxer
from nexus_recorder.media.finishing import Finisher, FinishingParts
from nexus_recorder.media.media_metrics import MediaMetrics
from nexus_recorder.media.parts import RunParts
from nexus_recorder.media.room_run import RoomRun
from nexus_recorder.media.spool import Spool, Spooled, SpooledSegment, SpoolFolder, SpoolSpace
from nexus_recorder.media.uploader import Uploader
from nexus_recorder.media.workers import DiskWorkers
from nexus_recorder.run import RunRequest

log = structlog.get_logger()

# The folder below the spool in which files are made.
_WORK: Final = "work"


class _Unfenced:
    """The clearance for what dead owners have left: no other process has it, and its names have their
    epochs."""

    async def check(self) -> None:
        return


class LiveMedia:
    """Everything that the control half uses. `make_run` is a `MakeRun`, `files` a `FileMaker`; `owner` is
    different in every life of the process."""

    def __init__(
        self,
        stores: StoreSet,
        changes: RoomChanges,
        sfu: Sfu,
        clock: Clock,
        rng: random.Random,
        metrics: MetricSet,
        *,
        spool_folder: Path,
        spool_bytes: int,
        owner: str,
        workers: DiskWorkers | None = None,
    ) -> None:
        self._stores = stores
        self._changes = changes
        self._sfu = sfu
        self._clock = clock
        self._rng = rng
        self._owner = owner
        self._workers = workers or DiskWorkers()
        self._space = SpoolSpace(spool_bytes)
        self._folder = spool_folder
        self._spool = Spool(spool_folder / "segments", self._space)
        # Files that a dead process was making; the next attempt makes them again.
        shutil.rmtree(spool_folder / _WORK, ignore_errors=True)
        self._left_behind = asyncio.Event()
        self._uploading: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self.files = Finisher(
            FinishingParts(
                stores,
                spool_folder / _WORK,
                self._workers,
                rng,
                upload_left_behind=self.upload_left,
            )
        )
        self._metrics = MediaMetrics(metrics)
        self._metrics.spool_bytes.set_function(self.spool_bytes)
        self._metrics.spool_refusals.set_function(lambda: self._space.refused)

    def spool_bytes(self) -> int:
        """The bytes of the spool that are in use."""
        return self._space.used_bytes

    def has_room(self, size: int) -> bool:
        """Whether the spool has room for `size` bytes, by its bound and on its disk."""
        try:
            on_disk = shutil.disk_usage(self._folder).free
        except OSError:
            return False
        return min(self._space.max_bytes - self._space.used_bytes, on_disk) >= size

    def make_run(self, request: RunRequest) -> RoomRun:
        """Raises `nexus_storage.StoreNotFound`."""
        recording = request.recording
        room = FollowedRoom(
            self._changes,
            self._sfu,
            self._clock,
            self._rng,
            app=recording.app,
            room=recording.room,
            recording_id=recording.id,
        )
        return RoomRun(
            request,
            RunParts(
                room=room,
                store=self._stores.get(recording.spec.store),
                spool=self._spool,
                workers=self._workers,
                open_muxer=FramesMuxer,
                clock=self._clock,
                rng=self._rng,
                owner=f"{self._owner}/{request.lease.epoch}",
                metrics=self._metrics,
                on_left_behind=self._left_behind.set,
            ),
        )

    async def until_left_behind(self) -> None:
        """Returns when a run has ended before all of its spool was in the store."""
        await self._left_behind.wait()
        self._left_behind.clear()

    async def left_recordings(self) -> list[str]:
        """The recordings of which the spool has something."""
        return await self._workers.run(self._spool.recordings)

    async def left_epochs(self, recording_id: str) -> list[int]:
        """The epochs of which dead processes or ended runs have left something. Not while an upload runs."""
        async with self._lock_of(recording_id):
            return await self._workers.run(lambda: self._spool.left_epochs(recording_id))

    async def upload_left(self, recording: recording_pb2.Recording) -> tuple[int, ...]:
        """Uploads what dead processes and ended runs have left of a recording, and waits for another such
        upload. Returns the epochs of which nothing is left."""
        try:
            store = self._stores.get(recording.spec.store)
        except StoreNotFound:
            log.warning("recording_spool_without_store", recording=recording.id)
            return ()
        empty = []
        async with self._lock_of(recording.id):
            for folder in await self._folders(recording.id):
                if await self._upload_folder(folder, recording, store):
                    empty.append(folder.epoch)
        return tuple(empty)

    async def discard_left(self, recording_id: str) -> int:
        """Removes what is left of a recording whose files are made, or that no longer exists. Returns the
        number of its segments."""
        segments = 0
        async with self._lock_of(recording_id):
            for folder in await self._folders(recording_id):
                try:
                    items = await self._workers.run(folder.recover)
                    for item in items:
                        await self._workers.run(partial(folder.remove, item))
                    segments += sum(isinstance(item, SpooledSegment) for item in items)
                finally:
                    empty = await self._workers.run(folder.is_empty)
                    await self._workers.run(partial(folder.close, empty=empty))
        self._metrics.late_segments.inc(segments)
        return segments

    async def remove_late(self, recording: recording_pb2.Recording) -> None:
        """Removes the segments that were uploaded after the files of a recording were made or deleted."""
        names = ObjectNames(recording.app, recording.id)
        store = self._stores.get(recording.spec.store)
        deleted = recording.state == recording_pb2.RECORDING_STATE_DELETED
        kept = recording.spec.keep_segments and not deleted
        for prefix in [names.prefix] if deleted else names.temporary(keep_segments=kept):
            await store.delete_prefix(prefix)

    def _lock_of(self, recording_id: str) -> asyncio.Lock:
        return self._uploading.setdefault(recording_id, asyncio.Lock())

    async def _folders(self, recording_id: str) -> list[SpoolFolder]:
        return await self._workers.run(
            lambda: [folder for _, folder in self._spool.left_behind(recording_id, MAX_NUMBER + 1)]
        )

    async def _upload_folder(
        self, folder: SpoolFolder, recording: recording_pb2.Recording, store: Store
    ) -> bool:
        """Returns whether everything is in the store."""
        uploaded, complete = 0, False
        try:
            while items := await self._workers.run(folder.recover):
                if not await self._upload(items, folder, ObjectNames(recording.app, recording.id), store):
                    break
                uploaded += len(items)
            # The files that are still there have no record that can be read.
            complete = not items and not await self._workers.run(folder.has_open_segments)
        finally:
            await self._workers.run(lambda: folder.close(empty=complete and folder.is_empty()))
        log.info("recording_spool_recovered", recording=recording.id, epoch=folder.epoch, objects=uploaded)
        return complete

    async def _upload(
        self, items: list[Spooled], folder: SpoolFolder, names: ObjectNames, store: Store
    ) -> bool:
        """Returns whether all of them are in the store; False: another owner has an object of that name."""
        uploader = Uploader(
            store,
            names,
            _Unfenced(),
            self._workers,
            self._clock,
            self._rng,
            lambda event: None,
            self._metrics,
        )
        for item in items:
            uploader.add(item, folder)
        task = asyncio.create_task(uploader.run())
        idle = asyncio.create_task(uploader.idle())
        try:
            await asyncio.wait({task, idle}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await cancel_all({task, idle})
        return uploader.is_idle

    def close(self) -> None:
        self._workers.close()
