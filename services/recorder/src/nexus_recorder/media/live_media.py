"""The media half put together: runs of live recordings, the maker of files, and the spool that both share."""

import asyncio
import random
import shutil
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

import structlog
from nexus.recorder.v1 import recording_pb2
from nexus_rooms import RoomChanges, Sfu
from nexus_runtime import Clock, MetricSet
from nexus_storage import StoreNotFound, StoreSet

from nexus_recorder.core.object_names import ObjectNames
from nexus_recorder.media.adapters import FollowedRoom
from nexus_recorder.media.containers import FramesMuxer
from nexus_recorder.media.finishing import Finisher, FinishingParts
from nexus_recorder.media.media_metrics import MediaMetrics
from nexus_recorder.media.parts import RunParts
from nexus_recorder.media.room_run import RoomRun
from nexus_recorder.media.spool import Spool, SpoolSpace
from nexus_recorder.media.uploader import Uploader
from nexus_recorder.media.workers import DiskWorkers
from nexus_recorder.run import RunRequest

log = structlog.get_logger()

# The folder below the spool in which files are made.
_WORK: Final = "work"

# How long the spool of a live recording waits for its next owner. A takeover lasts less than 8 s.
TAKEOVER_S: Final = 15.0

_LIVE: Final = frozenset(
    {
        recording_pb2.RECORDING_STATE_QUEUED,
        recording_pb2.RECORDING_STATE_RUNNING,
        recording_pb2.RECORDING_STATE_PAUSED,
    }
)

FindRecording = Callable[[str], Awaitable[recording_pb2.Recording | None]]


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
                upload_left_behind=lambda recording: self._upload(recording.id, recording),
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

    async def upload_left_behind(self, find: FindRecording) -> int:
        """Uploads what dead processes and ended runs have left in the spool. Returns the number of objects.

        `find` returns a recording, or None if it no longer exists: what is left of it is then removed. A
        recording that is live is left to its next owner for a while, which continues best with the journals
        in the spool.
        """
        uploaded = 0
        live = []
        for recording_id in await self._workers.run(self._spool.recordings):
            recording = await find(recording_id)
            if recording is not None and recording.state in _LIVE:
                live.append(recording_id)
            else:
                uploaded += await self._upload(recording_id, recording)
        if live:
            await asyncio.sleep(TAKEOVER_S)
        for recording_id in live:
            uploaded += await self._upload(recording_id, await find(recording_id))
        return uploaded

    async def _upload(self, recording_id: str, recording: recording_pb2.Recording | None) -> int:
        """Waits for another upload of the same recording, so that afterwards everything is in the store."""
        lock = self._uploading.setdefault(recording_id, asyncio.Lock())
        async with lock:
            return await self._upload_folders(recording_id, recording)

    async def _upload_folders(self, recording_id: str, recording: recording_pb2.Recording | None) -> int:
        store = None
        if recording is not None:
            with suppress(StoreNotFound):
                store = self._stores.get(recording.spec.store)
            if store is None:
                return 0
        uploaded = 0
        folders = await self._workers.run(
            lambda: list(self._spool.left_behind(recording_id, before_epoch=1 << 62))
        )
        for _, folder in folders:
            items = await self._workers.run(folder.recover)
            if recording is None or store is None:
                for item in items:
                    await self._workers.run(partial(folder.remove, item))
            else:
                names = ObjectNames(recording.app, recording.id)
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
                await asyncio.wait({task, idle}, return_when=asyncio.FIRST_COMPLETED)
                idle.cancel()
                task.cancel()
                await asyncio.gather(task, idle, return_exceptions=True)
                uploaded += len(items)
            empty = recording is None or await self._workers.run(folder.is_empty)
            await self._workers.run(partial(folder.close, empty=empty))
            log.info("recording_spool_recovered", recording=recording_id, objects=len(items))
        return uploaded

    def close(self) -> None:
        self._workers.close()
