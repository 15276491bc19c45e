"""Segments that owners leave in spools: files wait for them within a bound, and later ones are removed."""

import asyncio
import random
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from nexus.recorder.v1 import recording_pb2
from nexus.types.v1 import error_pb2
from nexus_recorder.core import inputs
from nexus_recorder.core.inputs import Due
from nexus_recorder.core.left_spools import MAX_LEFT_SPOOLS
from nexus_recorder.core.object_names import ObjectNames
from nexus_recorder.core.record import Record
from nexus_recorder.core.recording import due_job, handle, new_record
from nexus_recorder.core.records import SegmentRecord
from nexus_recorder.media.inventory import read_inventory
from nexus_recorder.media.live_media import LiveMedia
from nexus_recorder.media.spool import Spool, SpoolSpace
from nexus_recorder.run import Conclusion, FinishedRecording, RunEnd, RunLease
from nexus_recorder.testing import MemoryFiles
from nexus_rooms.testing import MemoryRoomChanges
from nexus_runtime import MetricSet
from nexus_storage import StorageUnavailable, StoreSet
from nexus_storage.testing import MemoryStore
from nexus_testkit import wait_until
from prometheus_client import CollectorRegistry

from services.recorder.tests.harness import PATIENCE, Deployment, Replica, in_virtual_time
from services.recorder.tests.rig import InlineWorkers

FULL = error_pb2.Error(code=error_pb2.NO_CAPACITY, message="the disk is full")
WAIT_S = 600
HOUR_S = 3_600


# The record


def ended(*left: int, epoch: int = 3) -> Record:
    """A recording that is over at 1,000 ms, with spools that were reported at 500 ms."""
    record = new_record(recording_pb2.Recording(id="RC_1", app="app", room="lobby"), "", 1)
    over = inputs.Over(epoch, recording_pb2.END_REASON_STOPPED)
    for given, now_ms in (
        (inputs.Claimed(epoch), 2),
        (inputs.Started(epoch, "RM_1", 2), 2),
        (inputs.SpoolsReported("rec-a", left), 500),
        (over, 1_000),
    ):
        record = handle(record, given, now_ms).record
    return record


def test_files_wait_until_every_spool_is_empty() -> None:
    record = ended(1, 2)
    assert due_job(record) is None
    assert "rec-a" in record.recording.degraded.error.message
    record = handle(record, inputs.SpoolsReported("rec-a", empty=[1]), 1_100).record
    assert due_job(record) is None
    record = handle(record, inputs.SpoolsReported("rec-a", empty=[2]), 1_200).record
    assert due_job(record) is Due.FINISH
    assert not record.recording.HasField("degraded")
    kinds = [event.WhichOneof("event") for event in record.unpublished]
    assert kinds == ["queued", "started", "degraded", "degraded"]


def test_a_spool_of_a_silent_replica_is_lost_and_that_of_a_living_one_is_waited_for() -> None:
    record = ended(1, 2)
    record = handle(record, inputs.SpoolsReported("rec-a", [2]), 50_000).record
    over = inputs.SpoolWaitOver(10_000)
    assert handle(record, over, 10_999).record is record, "it counts from the end of the recording"
    record = handle(record, over, 51_000).record
    assert [spool.lost for spool in record.recording.left_spools] == [True, False]
    assert due_job(record) is None
    record = handle(record, over, 60_000).record
    assert due_job(record) is Due.FINISH
    assert not record.recording.HasField("degraded")
    late = handle(record, inputs.SpoolsReported("rec-a", [1, 2]), 61_000).record
    assert due_job(late) is Due.FINISH


def test_no_spool_is_noted_once_the_files_are_being_made() -> None:
    record = handle(ended(), inputs.JobCreated(Due.FINISH, "JB_1"), 1_001).record
    assert handle(record, inputs.SpoolsReported("rec-b", [1]), 1_002).record is record


def test_a_deletion_does_not_wait() -> None:
    record = handle(ended(1), inputs.Delete(), 1_001).record
    assert due_job(record) is Due.DELETE
    record = handle(record, inputs.ObjectsDeleted(), 1_002).record
    assert not record.recording.left_spools


def test_spools_of_epochs_that_never_were_and_too_many_are_refused() -> None:
    assert [spool.epoch for spool in ended(0, 3, 4).recording.left_spools] == [3]
    many = ended(*range(1, 2 * MAX_LEFT_SPOOLS), epoch=1_000).recording
    assert len(many.left_spools) == MAX_LEFT_SPOOLS
    named = handle(ended(), inputs.SpoolsReported("x" * 500, [1]), 1_001).record.recording
    assert len(named.left_spools[0].replica) == 64


# Replicas


@dataclass
class ListedFiles(MemoryFiles):
    """A `FileMaker` that notes which segments were in the store."""

    store: MemoryStore = field(default_factory=MemoryStore)
    segments: list[tuple[int, int]] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)

    async def finish(self, recording: recording_pb2.Recording, lease: RunLease) -> FinishedRecording:
        inventory = await read_inventory(self.store, ObjectNames(recording.app, recording.id))
        self.segments = [(each.record.epoch, each.record.number) for each in inventory.segments]
        self.lost = [spool.epoch for spool in recording.left_spools if spool.lost]
        return await super().finish(recording, lease)


@dataclass
class Disks:
    """Two replicas with a disk each, around one store."""

    memory: Deployment
    folder: Path

    async def replica(self, name: str, *, takes: bool = True) -> Replica:
        """A replica with the disk of this name. It makes files only if it takes jobs."""
        live = LiveMedia(
            StoreSet({"memory": self.memory.store}),
            MemoryRoomChanges(),
            self.memory.sfu,
            self.memory.clock,
            random.Random(1),
            MetricSet("recorder", CollectorRegistry()),
            spool_folder=self.folder / name,
            spool_bytes=1 << 20,
            owner=name,
            workers=InlineWorkers(1),
        )
        files = ListedFiles(store=self.memory.store)
        return await self.memory.replica(takes=takes, files=files, left=live)

    def write(self, name: str, recording_id: str, epoch: int = 1) -> None:
        """Leaves two segments on a disk; the second is not complete, because the disk is full."""
        folder = Spool(self.folder / name / "segments", SpoolSpace(1 << 20)).open(recording_id, epoch)
        for number in (1, 2):
            record = SegmentRecord(
                identity="ada",
                source=1,
                epoch=epoch,
                number=number,
                start_us=number * 6_000_000,
                end_us=(number + 1) * 6_000_000,
                codec="opus",
                container="mp4",
            )
            file = folder.create(record)
            file.append(b"fragment", record)
            file.complete(record) if number == 1 else file.abandon()
        folder.close(empty=False)

    def is_empty(self, name: str) -> bool:
        return Spool(self.folder / name / "segments", SpoolSpace(1)).recordings() == []

    async def keys(self) -> list[str]:
        return [each.key async for each in self.memory.store.list()]

    async def full(self) -> tuple[Replica, Replica, recording_pb2.Recording]:
        """The disk `a` of the first replica is full while the store is away. The second continues, and the
        recording ends."""
        first = await self.replica("a")
        recording = await first.control.recordings.start(self.memory.request())
        run = await first.has_run()
        await self.memory.state(recording, "RUNNING")
        self.memory.store.failing = StorageUnavailable("SlowDown", "later")
        first.control.worker.set_accepting(False)
        second = await self.replica("b")
        self.write("a", recording.id)
        run.end(RunEnd(Conclusion.UNABLE, error=FULL, left=(1,)))
        await second.has_run()
        await second.control.recordings.stop(self.memory.app, recording.id)
        finishing = await self.memory.state(recording, "FINISHING")
        assert "rec-0" in finishing.degraded.error.message
        return first, second, recording


def made_by(replica: Replica) -> ListedFiles:
    assert isinstance(replica.files, ListedFiles)
    return replica.files


@in_virtual_time
async def test_files_have_what_a_full_replica_uploads_long_after_the_end(memory: Deployment) -> None:
    with TemporaryDirectory() as folder:
        disks = Disks(memory, Path(folder))
        _, second, recording = await disks.full()
        await asyncio.sleep(HOUR_S)
        waiting = await memory.state(recording, "FINISHING")
        assert [spool.lost for spool in waiting.left_spools] == [False]
        assert made_by(second).finished == []
        memory.store.failing = None
        await asyncio.sleep(WAIT_S)  # the longest pause between two attempts
        done = await memory.state(recording, "COMPLETED")
        assert made_by(second).segments == [(1, 1), (1, 2)]
        assert not done.left_spools
        assert disks.is_empty("a")


@in_virtual_time
async def test_a_spool_that_comes_back_after_the_files_is_removed(memory: Deployment) -> None:
    with TemporaryDirectory() as folder:
        disks = Disks(memory, Path(folder))
        first, second, recording = await disks.full()
        await first.die()
        memory.store.failing = None
        await asyncio.sleep(WAIT_S / 2)
        await memory.state(recording, "FINISHING")
        await asyncio.sleep(WAIT_S / 2 + 40)
        done = await memory.state(recording, "COMPLETED")
        assert [spool.epoch for spool in done.left_spools if spool.lost] == [1]
        assert (made_by(second).segments, made_by(second).lost) == ([], [1])
        before = await disks.keys()
        await disks.replica("a", takes=False)
        await wait_until(lambda: disks.is_empty("a"), PATIENCE)
        assert await disks.keys() == before


@in_virtual_time
async def test_a_replica_that_restarts_in_time_brings_its_spool(memory: Deployment) -> None:
    with TemporaryDirectory() as folder:
        disks = Disks(memory, Path(folder))
        first, second, recording = await disks.full()
        await first.die()
        memory.store.failing = None
        await asyncio.sleep(WAIT_S / 2)
        await disks.replica("a", takes=False)
        await memory.state(recording, "COMPLETED")
        assert made_by(second).segments == [(1, 1), (1, 2)]


@in_virtual_time
async def test_a_killed_replica_notes_its_spool_when_it_is_back(memory: Deployment) -> None:
    with TemporaryDirectory() as folder:
        disks = Disks(memory, Path(folder))
        first = await disks.replica("a")
        recording = await first.control.recordings.start(memory.request())
        await first.has_run()
        await memory.state(recording, "RUNNING")
        await first.die()
        disks.write("a", recording.id)
        second = await disks.replica("b")
        await second.has_run()
        memory.store.failing = StorageUnavailable("SlowDown", "later")
        await disks.replica("a", takes=False)

        async def noted() -> bool:
            newest = await second.control.recordings.get(memory.app, recording.id)
            return [spool.epoch for spool in newest.left_spools] == [1]

        await wait_until(noted, PATIENCE)
        await second.control.recordings.stop(memory.app, recording.id)
        await memory.state(recording, "FINISHING")
        await asyncio.sleep(20)
        memory.store.failing = None
        await asyncio.sleep(WAIT_S)
        await memory.state(recording, "COMPLETED")
        assert made_by(second).segments == [(1, 1), (1, 2)]


@in_virtual_time
async def test_a_deleted_recording_leaves_nothing_however_late_its_spool_is(memory: Deployment) -> None:
    with TemporaryDirectory() as folder:
        disks = Disks(memory, Path(folder))
        _, second, recording = await disks.full()
        await asyncio.sleep(60)  # the first replica is trying to upload
        await second.control.recordings.delete(memory.app, recording.id)
        await memory.state(recording, "DELETED")
        memory.store.failing = None
        await asyncio.sleep(WAIT_S)
        assert disks.is_empty("a")
        assert await disks.keys() == []
