"""The control half of the recorder, put together around a media half."""

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from random import SystemRandom
from typing import Any

from nexus_bus import LazyKeyValue, subjects
from nexus_jobs import Capacity, JobMetrics, JobQueue, JobRecords, JobsConfig, JobWorker, Work
from nexus_rooms import Rooms, Sfu
from nexus_runtime import Runtime
from nexus_storage import RetryPolicy, StoreSet

from nexus_recorder.after_end import AfterParts, after_handler
from nexus_recorder.config import RecorderConfig
from nexus_recorder.core.record import is_live
from nexus_recorder.directory import RecordingDirectory, Stored
from nexus_recorder.metrics import Metrics
from nexus_recorder.oversight import Oversight
from nexus_recorder.owned_run import RunParts, run_handler
from nexus_recorder.recording_jobs import AFTER, KIND, RUN, Costs, RecordingJobs
from nexus_recorder.recordings import Recordings, RecordingsParts
from nexus_recorder.room_indicator import RoomIndicator
from nexus_recorder.rules import Rules
from nexus_recorder.run import FileMaker, MakeRun
from nexus_recorder.usage import ProcessUsage

MEASURE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class MediaHalf:
    """The parts of the media half. `spool_bytes` returns the bytes of the spool that are in use, and
    `has_room` says whether it can take another recording."""

    make_run: MakeRun
    files: FileMaker
    spool_bytes: Callable[[], int] = lambda: 0
    has_room: Callable[[], bool] = lambda: True


class Control:
    def __init__(
        self,
        config: RecorderConfig,
        jobs_config: JobsConfig,
        runtime: Runtime,
        metrics: Metrics,
        rooms: Rooms,
        sfu: Sfu,
        stores: StoreSet,
        media: MediaHalf,
    ) -> None:
        self._config = config
        self._runtime = runtime
        self._usage = ProcessUsage(runtime.clock, media.spool_bytes)
        bus, clock = runtime.bus, runtime.clock
        self.directory = RecordingDirectory(bus, clock, metrics, config.max_recordings)
        self.job_records = JobRecords(
            bus,
            clock,
            jobs_config,
            [KIND],
            JobMetrics(runtime.metrics),
            on_waiting=lambda job: self.oversight.report_waiting(job),
        )
        self.job_queue = JobQueue(self.job_records)
        self.jobs = RecordingJobs(self.job_queue, self.directory, _costs(config))
        self.indicator = RoomIndicator(rooms, sfu, runtime.background, metrics, self._others_record)
        self.oversight = Oversight(
            self.directory,
            self.jobs,
            self.job_records,
            clock,
            self._unclaimed,
            config.keep_deleted_ms,
            config.spool_wait_ms,
        )
        parts = RunParts(
            self.directory,
            self.jobs,
            self.indicator,
            stores,
            media.make_run,
            clock,
            metrics,
            config.replica_id,
        )
        after = AfterParts(self.directory, media.files, clock, RetryPolicy(), SystemRandom())
        costs = _costs(config)
        self.worker = JobWorker(
            self.job_records,
            config.replica_id,
            secrets.token_hex(4),
            config.capacity(),
            [
                Work(KIND, RUN, costs.run, run_handler(parts), media.has_room),
                Work(KIND, AFTER, costs.after, after_handler(after)),
            ],
        )
        self.recordings = Recordings(
            RecordingsParts(
                directory=self.directory,
                jobs=self.jobs,
                rooms=rooms,
                sfu=sfu,
                stores=stores,
                files=media.files,
                clock=clock,
                random_token=lambda: secrets.token_urlsafe(15),
                wait_ms=config.command_wait_ms,
            )
        )
        self.rules = Rules(
            LazyKeyValue(bus, subjects.RECORDING_RULES),
            LazyKeyValue(bus, subjects.ROOMS),
            self.recordings,
            stores,
            clock,
            metrics,
        )
        runtime.life.on_drain(lambda draining: self.worker.set_accepting(not draining))

    def work(self) -> Mapping[str, Coroutine[Any, Any, None]]:
        return {
            "recordings": self.directory.follow(),
            "jobs": self.job_records.run(),
            "worker": self.worker.run(),
            "oversight": self.oversight.run(),
            "rules": self.rules.run(),
            "usage": self._measure_forever(),
        }

    async def drain(self) -> None:
        """Returns the jobs of this replica to the others, after their segments have ended."""
        await self.worker.drain(self._config.drain_ms)
        await self._runtime.background.finish(2_000)

    async def close(self) -> None:
        await self.worker.close()

    async def _measure_forever(self) -> None:
        while True:
            await asyncio.sleep(MEASURE_SECONDS)
            self.worker.measure_process(self._usage.measure())

    async def _others_record(self, app: str, room: str, besides: frozenset[str]) -> bool:
        """Whether another recording of the room receives media. Read from the records themselves, so that of
        two that end at the same time the second sees the end of the first."""
        for entry in self.directory.catalog.of_room(app, room):
            if entry.ended or entry.id in besides:
                continue
            stored = await self.directory.find(app, entry.id)
            if stored is not None and _receives(stored):
                return True
        return False

    def _unclaimed(self, stored: Stored) -> None:
        recording = stored.record.recording
        self.indicator.set(recording.app, recording.room, recording.id, False)


def _receives(stored: Stored) -> bool:
    recording = stored.record.recording
    return is_live(recording) and stored.record.owned and not recording.pause_requested


def _costs(config: RecorderConfig) -> Costs:
    return Costs(
        run=Capacity(config.run_cpu_millicores, config.run_memory_mb << 20, config.run_spool_mb << 20),
        after=Capacity(config.after_cpu_millicores, config.run_memory_mb << 20, 0),
    )
