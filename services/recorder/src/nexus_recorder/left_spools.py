"""Uploads what ended runs and dead processes have left in the spool of this replica (`LeftSpools`).

The record of a recording notes such a spool, and its files wait for it. A replica reports what it has again
and again, so that only the spools of replicas that are silent are given up. What comes after the files were
made is removed: no file and no manifest would name it.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Final, Protocol

import structlog
from nexus.recorder.v1 import recording_pb2
from nexus.recorder.v1.recording_pb2 import RecordingState
from nexus_bus import BusError
from nexus_jobs import JobError
from nexus_rpc import RpcError
from nexus_runtime import cancel_all
from nexus_storage import StorageError

from nexus_recorder.core import inputs
from nexus_recorder.core.left_spools import is_noted
from nexus_recorder.core.record import has_ended, is_live
from nexus_recorder.directory import RecordingDirectory, Stored
from nexus_recorder.recording_jobs import RecordingJobs

log = structlog.get_logger()

# How long the spool of a live recording waits for its next owner. A takeover lasts less than 8 s.
TAKEOVER_S: Final = 15.0
# How often a recording with something in the spool is looked at.
LOOK_S: Final = 1.0
# How often a spool is reported again while it is uploaded.
REPORT_S: Final = 30.0
# How long after a failure, or while files are made without the spool, it is looked at again.
AGAIN_S: Final = 10.0


class LeftMedia(Protocol):
    """The spool of this replica. `media.live_media.LiveMedia`."""

    async def until_left_behind(self) -> None: ...
    async def left_recordings(self) -> list[str]: ...
    async def left_epochs(self, recording_id: str) -> list[int]: ...
    async def upload_left(self, recording: recording_pb2.Recording) -> tuple[int, ...]: ...
    async def discard_left(self, recording_id: str) -> int: ...
    async def remove_late(self, recording: recording_pb2.Recording) -> None: ...


class LeftSpools:
    def __init__(
        self, media: LeftMedia, directory: RecordingDirectory, jobs: RecordingJobs, replica: str
    ) -> None:
        self._media = media
        self._directory = directory
        self._jobs = jobs
        self._replica = replica
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._apps: dict[str, str] = {}
        # Spools that an upload did not empty, by recording and epoch. They are tried again, and not reported.
        self._stuck: set[tuple[str, int]] = set()

    async def run(self) -> None:
        """Works until cancelled, once it is known which recordings exist."""
        await self._directory.until_synced()
        try:
            while True:
                with suppress(OSError):
                    await self._begin()
                with suppress(TimeoutError):
                    async with asyncio.timeout(REPORT_S):
                        await self._media.until_left_behind()
        finally:
            await cancel_all(set(self._tasks.values()))

    async def _begin(self) -> None:
        """Begins to attend to every recording of which the spool has something. Each has its own task,
        because their stores differ."""
        for recording_id in await self._media.left_recordings():
            if recording_id not in self._tasks and await self._media.left_epochs(recording_id):
                task = asyncio.create_task(self._attend(recording_id), name=f"left-spool-{recording_id}")
                self._tasks[recording_id] = task
                task.add_done_callback(partial(self._forget, recording_id))

    def _forget(self, recording_id: str, _task: asyncio.Task[None]) -> None:
        self._tasks.pop(recording_id, None)
        self._apps.pop(recording_id, None)
        self._stuck = {key for key in self._stuck if key[0] != recording_id}

    async def _attend(self, recording_id: str) -> None:
        """Returns when nothing is left, or when an owner has taken it."""
        waited_s = 0.0
        while True:
            try:
                wait_s = await self._step(recording_id, waited_s)
            except (BusError, StorageError, RpcError, OSError) as error:
                log.warning("left_spool_not_uploaded", recording=recording_id, error=repr(error))
                wait_s = AGAIN_S
            if wait_s is None:
                return
            await asyncio.sleep(wait_s)
            waited_s += wait_s

    async def _step(self, recording_id: str, waited_s: float) -> float | None:
        """Does what can be done now. Returns how long to wait before the next step; None: nothing is left."""
        epochs = await self._media.left_epochs(recording_id)
        if not epochs:
            return None
        stored = await self._reported(recording_id, left=self._hopeful(recording_id, epochs))
        if stored is None or has_ended(stored.record.recording):
            segments = await self._media.discard_left(recording_id)
            log.warning("left_spool_discarded", recording=recording_id, segments=segments)
            return None
        recording = stored.record.recording
        if is_live(recording) and waited_s < TAKEOVER_S:
            return LOOK_S  # its next owner continues best with the journals in the spool
        if not is_live(recording) and not any(is_noted(recording, epoch) for epoch in epochs):
            return AGAIN_S  # files are being made, perhaps here: then the maker uploads it first
        await self._upload(recording, epochs)
        return AGAIN_S

    def _hopeful(self, recording_id: str, epochs: Sequence[int]) -> list[int]:
        """The epochs that can be uploaded sooner or later, as far as is known."""
        return [epoch for epoch in epochs if (recording_id, epoch) not in self._stuck]

    async def _upload(self, recording: recording_pb2.Recording, epochs: Sequence[int]) -> None:
        hopeful = self._hopeful(recording.id, epochs)
        reporting = asyncio.create_task(self._report_again(recording.id, hopeful))
        try:
            empty = await self._media.upload_left(recording)
        finally:
            await cancel_all({reporting})
        for epoch in epochs:
            key = recording.id, epoch
            self._stuck.discard(key) if epoch in empty else self._stuck.add(key)
        stored = await self._until_written(recording.id, empty)
        if stored is None:
            gone = recording_pb2.Recording(state=RecordingState.RECORDING_STATE_DELETED)
            gone.MergeFrom(recording_pb2.Recording(app=recording.app, id=recording.id, spec=recording.spec))
            await self._media.remove_late(gone)
        elif has_ended(stored.record.recording):
            await self._media.remove_late(stored.record.recording)
        else:
            with suppress(BusError, JobError, RpcError):
                await self._jobs.ensure(stored)  # otherwise `Oversight` does

    async def _report_again(self, recording_id: str, epochs: Sequence[int]) -> None:
        """Reports a spool whose upload takes long, because the store does not answer."""
        while True:
            await asyncio.sleep(REPORT_S)
            with suppress(BusError, RpcError):
                await self._reported(recording_id, left=epochs)

    async def _reported(
        self, recording_id: str, *, left: Sequence[int] = (), empty: Sequence[int] = ()
    ) -> Stored | None:
        """Reports to the record and returns it; None if there is none. Raises BusError."""
        app = self._app_of(recording_id)
        stored = None if app is None else await self._directory.find(app, recording_id)
        if app is None or stored is None:
            return None
        given = inputs.SpoolsReported(self._replica, left, empty)
        return await self._directory.change(app, recording_id, given)

    def _app_of(self, recording_id: str) -> str | None:
        """The app of a recording: its id is unique among all apps."""
        if recording_id not in self._apps:
            found = [entry.app for entry in self._directory.catalog if entry.id == recording_id]
            if not found:
                return None
            self._apps[recording_id] = found[0]
        return self._apps[recording_id]

    async def _until_written(self, recording_id: str, empty: Sequence[int]) -> Stored | None:
        while True:
            try:
                return await self._reported(recording_id, empty=empty)
            except BusError as error:
                log.info("left_spool_not_reported", recording=recording_id, error=repr(error))
                await asyncio.sleep(LOOK_S)
