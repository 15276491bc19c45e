"""The work of a replica that owns a live recording: it drives a `MediaRun`, and writes what happens to the
record.

While the broker is unreachable the media continue; what happened waits here until the record can be written.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import structlog
from nexus.recorder.v1 import recording_pb2
from nexus.recorder.v1.recording_pb2 import EndReason
from nexus.types.v1 import error_pb2
from nexus.types.v1.error_pb2 import ErrorCode
from nexus_bus import BusError
from nexus_jobs import COMPLETED, RETURNED, Lease, LeaseLost, LeaseState, Outcome, Returned
from nexus_rpc import RpcError
from nexus_runtime import Clock, cancel_all, is_set_within
from nexus_storage import StorageError, StorageRefused, Store, StoreNotFound, StoreSet

from nexus_recorder import run as media
from nexus_recorder.core import inputs
from nexus_recorder.core.record import Fenced, Record, is_live
from nexus_recorder.directory import RecordingDirectory, Stored
from nexus_recorder.metrics import Metrics
from nexus_recorder.recording_jobs import RecordingJobs
from nexus_recorder.room_indicator import RoomIndicator
from nexus_recorder.run_reports import RunReports

log = structlog.get_logger()

RETRY_SECONDS: Final = 0.5
# How often deadlines are looked at, which are on the clock of the service.
TICK_SECONDS: Final = 1.0
# How often reports are written, so that many segments need one write.
REPORT_SECONDS: Final = 1.0
PROBE_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class RunParts:
    """The parts of the service that every owned run uses."""

    directory: RecordingDirectory
    jobs: RecordingJobs
    indicator: RoomIndicator
    stores: StoreSet
    make_run: media.MakeRun
    clock: Clock
    metrics: Metrics
    replica: str


class RunLease:
    """A `run.RunLease` around the lease of the job."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease

    @property
    def epoch(self) -> int:
        return self._lease.epoch

    def held(self) -> bool:
        return self._lease.check() is LeaseState.HELD

    def lost(self) -> bool:
        return self._lease.check() is LeaseState.LOST

    async def confirmed(self) -> None:
        await self._lease.confirmed()


class OwnedRun:
    """One epoch of one recording. `work` is the handler of the job."""

    def __init__(self, parts: RunParts, lease: Lease) -> None:
        self._parts = parts
        self._lease = RunLease(lease)
        self._job_lease = lease
        self._app = lease.job.app
        self._id = lease.job.payload.decode()
        self._reports = RunReports(lease.epoch, parts.metrics)
        self._wake = asyncio.Event()
        self._newest: Stored | None = None
        self._deadline_ms: int | None = None
        self._deadline_of: tuple[int, int] = (0, 0)

    @property
    def _record(self) -> Record:
        assert self._newest is not None
        return self._newest.record

    async def work(self) -> Outcome | Returned:
        """Records until the end, or until another owner must continue. Raises LeaseLost."""
        async with self._parts.directory.followed(self._id, self._seen):
            self._seen(await self._persist(inputs.Claimed(self._lease.epoch)))
            if not is_live(self._record.recording):
                return Outcome(COMPLETED)
            error = await self._probe_error()
            if error is not None:
                return await self._over(inputs.Over(self._lease.epoch, EndReason.END_REASON_FAILED, error))
            try:
                end = await self._run()
            except BaseException:
                self._leave_indicator()
                raise
            return await self._ended(end)

    # Before the run

    async def _probe_error(self) -> error_pb2.Error | None:
        """Tries the store before anything is recorded. A store that does not answer is no reason to lose a
        call: the segments wait in the spool."""
        recording = self._record.recording
        if recording.started_at_ms:
            return None
        try:
            store = self._parts.stores.get(recording.spec.store)
            async with asyncio.timeout(PROBE_SECONDS):
                await _probe(store)
        except (StoreNotFound, StorageRefused) as error:
            log.warning("store_refused", recording=self._id, code=error.code)
            return storage_error(error)
        except StorageError as error:
            self._degrade(storage_error(error))
        except TimeoutError:
            message = "the store did not answer the probe in time"
            self._degrade(error_pb2.Error(code=ErrorCode.SERVICE_UNAVAILABLE, message=message))
        return None

    def _degrade(self, error: error_pb2.Error) -> None:
        since_ms = self._parts.clock.epoch_ms()
        degraded = recording_pb2.Degraded(since_ms=since_ms, error=error)
        self._reports.add(inputs.DegradedChanged(self._lease.epoch, degraded))

    # The run

    async def _run(self) -> media.RunEnd:
        paused = self._record.recording.pause_requested
        request = media.RunRequest(
            recording=self._record.recording,
            lease=self._lease,
            on_event=self._on_event,
            paused=paused,
            checkpoint=self._record.checkpoint,
        )
        run = self._parts.make_run(request)
        if paused:
            self._reports.add(inputs.Paused(self._lease.epoch))
        self._indicate(not paused)
        running = asyncio.create_task(run.run(), name=f"run-{self._id}")
        others = [
            asyncio.create_task(self._steer(run, paused), name=f"steer-{self._id}"),
            asyncio.create_task(self._listen(), name=f"listen-{self._id}"),
            asyncio.create_task(self._report_forever(), name=f"report-{self._id}"),
        ]
        waited: set[asyncio.Task[Any]] = {running, *others}
        try:
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            for task in others:
                if task.done():
                    task.result()  # raises what ended it
            return await running
        finally:
            await cancel_all(waited)

    async def _listen(self) -> None:
        while True:
            await self._job_lease.changed()
            self._wake.set()

    async def _steer(self, run: media.MediaRun, paused: bool) -> None:
        """Makes the run do what the record requests."""
        spec = self._record.recording.spec
        selection, limits = spec.selection, spec.limits
        while True:
            recording = self._record.recording
            if self._job_lease.return_requested:
                run.drain()
            elif (reason := self._end_reason()) is not None:
                run.stop(reason)
                self._indicate(False)  # although the run may still upload for a long time
                await self._until_return_requested()
                continue
            elif recording.pause_requested != paused:
                paused = recording.pause_requested
                await self._pause(run) if paused else await self._resume(run)
                continue
            elif (recording.spec.selection, recording.spec.limits) != (selection, limits):
                selection, limits = recording.spec.selection, recording.spec.limits
                run.update(selection, limits)
            await is_set_within(self._wake, TICK_SECONDS)
            self._wake.clear()

    async def _until_return_requested(self) -> None:
        while not self._job_lease.return_requested:
            await self._wake.wait()
            self._wake.clear()

    def _end_reason(self) -> EndReason.ValueType | None:
        recording = self._record.recording
        if recording.stop_requested:
            deleted = recording.delete_requested
            return EndReason.END_REASON_DELETED if deleted else EndReason.END_REASON_STOPPED
        self._note_deadline(recording)
        over = self._deadline_ms is not None and self._parts.clock.monotonic_ms() >= self._deadline_ms
        return EndReason.END_REASON_MAX_DURATION if over else None

    def _note_deadline(self, recording: recording_pb2.Recording) -> None:
        """The longest duration as a deadline on the monotonic clock, which no step of the wall clock
        moves."""
        terms = (recording.started_at_ms, recording.spec.limits.max_duration_seconds)
        if terms[0] and terms[1] and terms != self._deadline_of:
            self._deadline_of = terms
            now = self._parts.clock.now()
            self._deadline_ms = now.monotonic_ms + terms[0] + terms[1] * 1000 - now.epoch_ms

    async def _pause(self, run: media.MediaRun) -> None:
        await run.pause()
        self._reports.add(inputs.Paused(self._lease.epoch))
        self._indicate(False)

    async def _resume(self, run: media.MediaRun) -> None:
        self._indicate(True)
        await run.resume()
        self._reports.add(inputs.Resumed(self._lease.epoch))

    def _indicate(self, receives: bool) -> None:
        self._parts.indicator.set(self._app, self._record.recording.room, self._id, receives)

    def _leave_indicator(self) -> None:
        self._parts.indicator.leave(self._app, self._record.recording.room, self._id)

    def _on_event(self, event: media.RunEvent) -> None:
        if isinstance(event, media.RoomMoved):
            self._parts.indicator.repeat(self._app, self._record.recording.room)
            return
        self._reports.note(event)

    # The record

    def _seen(self, stored: Stored | None) -> None:
        if stored is not None and (self._newest is None or stored.revision >= self._newest.revision):
            self._newest = stored
            self._wake.set()

    async def _report_forever(self) -> None:
        while True:
            await self._reports.wait()
            await self._report()
            await asyncio.sleep(REPORT_SECONDS)

    async def _report(self) -> None:
        """Writes what has happened. While the broker is unreachable, it waits here."""
        while given := self._reports.take():
            try:
                self._seen(await self._parts.directory.change(self._app, self._id, *given))
            except BusError as error:
                log.info("recording_not_written", recording=self._id, error=repr(error))
                self._reports.give_back(given)
                await self._pace()

    async def _persist(self, *given: inputs.Input) -> Stored:
        """Changes the record, again until the broker answers. Raises LeaseLost."""
        while True:
            try:
                return await self._parts.directory.change(self._app, self._id, *given)
            except BusError as error:
                log.info("recording_not_written", recording=self._id, error=repr(error))
                await self._pace()
            except Fenced:
                raise LeaseLost(self._job_lease.job.id) from None

    async def _pace(self) -> None:
        if self._lease.lost():
            raise LeaseLost(self._job_lease.job.id)
        await asyncio.sleep(RETRY_SECONDS)

    # The end

    async def _ended(self, end: media.RunEnd) -> Outcome | Returned:
        self._parts.metrics.runs_ended.labels(end.conclusion.name.lower()).inc()
        log.info(
            "run_ended",
            recording=self._id,
            epoch=self._lease.epoch,
            conclusion=end.conclusion.name,
            left=end.left,
        )
        if end.conclusion in (media.Conclusion.OVER, media.Conclusion.FAILED):
            self._indicate(False)
        else:
            self._leave_indicator()
        spools = inputs.SpoolsReported(self._parts.replica, end.left, end.empty)
        try:
            if end.conclusion is media.Conclusion.FENCED:
                raise LeaseLost(self._job_lease.job.id)
            return await self._written(end, spools)
        except (LeaseLost, Fenced):
            # The record takes from a former owner only what is on its disk. `LeftSpools` repeats it.
            with suppress(BusError, RpcError):
                await self._parts.directory.change(self._app, self._id, spools)
            raise LeaseLost(self._job_lease.job.id) from None

    async def _written(self, end: media.RunEnd, spools: inputs.SpoolsReported) -> Outcome | Returned:
        """Writes how the run ended, and in the same write what it has left in the spool, so that no replica
        makes files before it knows."""
        epoch = self._lease.epoch
        await self._report()
        match end.conclusion:
            case media.Conclusion.OVER:
                over = inputs.Over(epoch, end.reason, ended_at_ms=end.ended_at_ms)
                return await self._over(spools, over)
            case media.Conclusion.FAILED:
                error = end.error or error_pb2.Error(code=ErrorCode.INTERNAL)
                return await self._over(spools, inputs.Over(epoch, EndReason.END_REASON_FAILED, error))
            case media.Conclusion.DRAINED | media.Conclusion.UNABLE:
                await self._persist(spools, inputs.Returned(epoch, end.checkpoint, end.error))
        return RETURNED

    async def _over(self, *given: inputs.Input) -> Outcome:
        stored = await self._persist(*given)
        try:
            await self._parts.jobs.ensure(stored)
        except Exception as error:
            # `Oversight` creates the job within seconds.
            log.info("job_after_the_end_not_created", recording=self._id, error=repr(error))
        return Outcome(COMPLETED)


async def _probe(store: Store) -> None:
    await store.probe()


def storage_error(error: StorageError) -> error_pb2.Error:
    """The error of a recording or a request that failed at its store, with the code of the store."""
    code = ErrorCode.Value(error.error_code)
    return error_pb2.Error(code=code, message=error.message, details=dict(error.details))


Handler = Callable[[Lease], Awaitable[Outcome | Returned]]


def run_handler(parts: RunParts) -> Handler:
    """The handler of jobs of the class `run`."""

    async def handle(lease: Lease) -> Outcome | Returned:
        return await OwnedRun(parts, lease).work()

    return handle
