"""The work of a replica on a recording that has ended: it makes files, or deletes what shall be deleted."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import structlog
from nexus.recorder.v1 import recording_pb2
from nexus_bus import BusError
from nexus_jobs import COMPLETED, RETURNED, JobFailed, Lease, LeaseLost, Outcome, Returned
from nexus_runtime import Clock, cancel_all
from nexus_storage import RetryPolicy, StorageError

from nexus_recorder.core import inputs
from nexus_recorder.core.inputs import Due
from nexus_recorder.core.record import is_live
from nexus_recorder.core.recording import due_job
from nexus_recorder.directory import RecordingDirectory, Stored
from nexus_recorder.owned_run import RETRY_SECONDS, RunLease, storage_error
from nexus_recorder.run import FileMaker

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class AfterParts:
    directory: RecordingDirectory
    files: FileMaker
    clock: Clock
    retries: RetryPolicy
    rng: Random


class AfterEnd:
    """One job of the class `after`: does what is due until nothing is."""

    def __init__(self, parts: AfterParts, lease: Lease) -> None:
        self._parts = parts
        self._lease = lease
        self._app = lease.job.app
        self._id = lease.job.payload.decode()

    async def work(self) -> Outcome | Returned:
        """Raises LeaseLost."""
        working = asyncio.create_task(self._until_done(), name=f"after-{self._id}")
        returning = asyncio.create_task(self._until_return_requested(), name=f"return-{self._id}")
        waited: set[asyncio.Task[Any]] = {working, returning}
        try:
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            return working.result() if working.done() else RETURNED
        finally:
            await cancel_all(waited)

    async def _until_return_requested(self) -> None:
        while not self._lease.return_requested:
            await self._lease.changed()

    async def _until_done(self) -> Outcome:
        failures = 0
        stored = await self._read()
        while stored is not None and (due := due_job(stored.record)) is not None and due is not Due.RUN:
            try:
                given = await self._do(due, stored)
                stored = await self._parts.directory.change(self._app, self._id, *given)
                failures = 0
            except StorageError as error:
                failures += 1
                log.warning("work_after_the_end_failed", recording=self._id, due=due.value, error=str(error))
                if not self._parts.retries.retries(error):
                    return await self._give_up(due, error)
                stored = await self._degraded(stored, error)
                wait_ms = self._parts.retries.wait_ms(failures, error, self._parts.rng)
                await asyncio.sleep(wait_ms / 1000)
            except BusError:
                await self._pace()
                stored = await self._read()
        return Outcome(COMPLETED)

    async def _do(self, due: Due, stored: Stored) -> list[inputs.Input]:
        recording = stored.record.recording
        if due is Due.FINISH:
            if recording.delete_requested:
                return [inputs.FilesMade((), "", recording.stored_bytes)]
            made = await self._parts.files.finish(recording, RunLease(self._lease))
            given: list[inputs.Input] = [inputs.DegradedChanged(recording.epoch, None)]
            return [*given, inputs.FilesMade(made.files, made.manifest_key, made.stored_bytes)]
        if recording.delete_requested:
            await self._parts.files.delete(recording)
            return [inputs.ObjectsDeleted()]
        return [
            await forget(self._parts.files, recording, identity)
            for identity in stored.record.forgotten_identities
        ]

    async def _degraded(self, stored: Stored, error: StorageError) -> Stored | None:
        recording = stored.record.recording
        if not recording.HasField("degraded") and not is_live(recording):
            degraded = recording_pb2.Degraded(
                since_ms=self._parts.clock.epoch_ms(), error=storage_error(error)
            )
            given = inputs.DegradedChanged(recording.epoch, degraded)
            try:
                return await self._parts.directory.change(self._app, self._id, given)
            except BusError:
                pass
        return await self._read()

    async def _give_up(self, due: Due, error: StorageError) -> Outcome:
        """Ends after an error that a repetition does not change. What could not be deleted is tried again by
        another job."""
        if due is not Due.FINISH:
            raise JobFailed("STORAGE", error.message)
        while True:
            try:
                failed = inputs.FilesFailed(storage_error(error))
                await self._parts.directory.change(self._app, self._id, failed)
            except BusError:
                await self._pace()
            else:
                return Outcome(COMPLETED)

    async def _read(self) -> Stored | None:
        while True:
            try:
                return await self._parts.directory.find(self._app, self._id)
            except BusError:
                await self._pace()

    async def _pace(self) -> None:
        if RunLease(self._lease).lost():
            raise LeaseLost(self._lease.job.id)
        await asyncio.sleep(RETRY_SECONDS)


async def forget(
    files: FileMaker, recording: recording_pb2.Recording, identity: str
) -> inputs.IdentityDeleted:
    """Deletes what was recorded of an identity. Raises StorageError."""
    forgotten = await files.forget(recording, identity)
    return inputs.IdentityDeleted(identity, forgotten.deleted_keys)


def after_handler(parts: AfterParts) -> Callable[[Lease], Awaitable[Outcome | Returned]]:
    """The handler of jobs of the class `after`."""

    async def handle(lease: Lease) -> Outcome | Returned:
        return await AfterEnd(parts, lease).work()

    return handle
