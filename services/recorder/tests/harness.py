"""Replicas of the control half in one process, around twins of the media half, of the rooms and of the
store."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from nexus.recorder.v1 import recorder_pb2, recording_pb2
from nexus.recorder.v1.recording_pb2 import RecordingState
from nexus.sfu.v1 import sfu_pb2
from nexus_bus import Bus, MemoryBroker, MemoryBus, subjects
from nexus_jobs import JobsConfig
from nexus_recorder.config import RecorderConfig
from nexus_recorder.control import Control, MediaHalf
from nexus_recorder.left_spools import LeftMedia, LeftSpools
from nexus_recorder.metrics import Metrics
from nexus_recorder.testing import MemoryFiles, MemoryRun, MemoryRuns
from nexus_rooms import RoomPlace
from nexus_rooms.testing import MemoryRooms, MemorySfu
from nexus_rpc import RpcError
from nexus_runtime import Clock, Runtime
from nexus_storage import StoreSet
from nexus_storage.testing import MemoryStore
from nexus_testkit import VirtualTimeLoop, make_runtime, run_in_virtual_time, wait_until

PATIENCE = 30.0


class RoomStates(MemorySfu):
    """An SFU that keeps what `UpdateRoom` has set, and answers `GetRoom` with one track."""

    def __init__(self) -> None:
        super().__init__({})
        self.recording: dict[str, bool] = {}
        self.answer = sfu_pb2.GetRoomResponse()

    async def update_room(
        self, address: str, request: sfu_pb2.UpdateRoomRequest
    ) -> sfu_pb2.UpdateRoomResponse:
        self.recording[request.room.room] = request.recording
        return sfu_pb2.UpdateRoomResponse()

    async def get_room(self, address: str, request: sfu_pb2.GetRoomRequest) -> sfu_pb2.GetRoomResponse:
        return self.answer


@dataclass
class Replica:
    control: Control
    runtime: Runtime
    runs: MemoryRuns
    files: MemoryFiles
    tasks: list[asyncio.Task[None]]

    @property
    def run(self) -> MemoryRun:
        """The newest run of this replica."""
        return self.runs.runs[-1]

    async def has_run(self, count: int = 1) -> MemoryRun:
        await wait_until(lambda: len(self.runs.runs) >= count, PATIENCE, "no run has begun")
        return self.run

    def value(self, name: str, **labels: str) -> float:
        registry = self.runtime.metrics.registry
        return registry.get_sample_value(f"nexus_recorder_{name}", labels) or 0.0

    async def die(self) -> None:
        """Ends everything at once, as kill -9 does: nothing is written any more."""
        self.control.worker.abandon()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def events_of(bus: Bus, app: str, *, check: bool = True) -> list[str]:
    """The kinds of the app's events in the stream. With `check` they are of one recording, without gap."""
    consumer = await bus.pull(subjects.RECORDINGS_STREAM, f"test-{app}")
    found: list[recording_pb2.RecordingEvent] = []
    while messages := await consumer.fetch(64, 0.3):
        for message in messages:
            found.append(recording_pb2.RecordingEvent.FromString(message.payload))
            await message.ack()
    assert not check or [event.number for event in found] == list(range(1, len(found) + 1))
    return [str(event.WhichOneof("event")) for event in found]


@dataclass
class Deployment:
    """Replicas around one broker. `connect` makes a connection to it."""

    connect: Callable[[], Any]
    app: str
    clock: Clock
    rooms: MemoryRooms = field(default_factory=MemoryRooms)
    sfu: RoomStates = field(default_factory=RoomStates)
    store: MemoryStore = field(default_factory=MemoryStore)
    replicas: list[Replica] = field(default_factory=list)

    def place(self, room: str = "lobby") -> None:
        self.rooms.places[(self.app, room)] = RoomPlace("RM_1", "sfu-1", "sfu-1:1")

    async def replica(
        self,
        configure: Callable[[MemoryRun], None] = lambda run: None,
        *,
        takes: bool = True,
        files: MemoryFiles | None = None,
        left: LeftMedia | None = None,
        **settings: Any,
    ) -> Replica:
        bus: Bus = await self.connect()
        runtime = make_runtime("recorder", bus, self.clock)
        runs, files = MemoryRuns(configure), files or MemoryFiles()
        config = RecorderConfig.from_env(
            **{"replica_id": f"rec-{len(self.replicas)}", "cpu_millicores": 1_000, "command_wait_ms": 20_000}
            | settings
        )
        control = Control(
            config,
            JobsConfig(),
            runtime,
            Metrics(runtime.metrics),
            self.rooms,
            self.sfu,
            StoreSet({"memory": self.store}),
            MediaHalf(runs, files),
        )
        work = dict(control.work())
        if left is not None:
            spools = LeftSpools(left, control.directory, control.jobs, config.replica_id)
            work["left-spools"] = spools.run()
        if not takes:
            control.worker.set_accepting(False)
        tasks = [asyncio.create_task(one, name=name) for name, one in work.items()]
        replica = Replica(control, runtime, runs, files, tasks)
        self.replicas.append(replica)
        await wait_until(lambda: control.directory.synced and control.job_records.synced, PATIENCE)
        return replica

    def request(self, **changes: Any) -> recorder_pb2.StartRecordingRequest:
        return recorder_pb2.StartRecordingRequest(**{"app": self.app, "room": "lobby"} | changes)

    async def state(self, recording: recording_pb2.Recording, state: str) -> recording_pb2.Recording:
        """Waits until the recording is in this state."""
        value = RecordingState.Value(f"RECORDING_STATE_{state}")
        recordings = self.replicas[-1].control.recordings

        async def reached() -> recording_pb2.Recording | None:
            newest = await recordings.get(self.app, recording.id)
            return newest if newest.state == value else None

        async def message() -> str:
            return str(await recordings.get(self.app, recording.id))

        try:
            found = await wait_until(reached, PATIENCE)
        except Exception as error:
            raise AssertionError(f"not {state}: {await message()}") from error
        assert found is not None
        return found

    async def close(self) -> None:
        for replica in self.replicas:
            await replica.die()


def in_virtual_time(test: Callable[[Deployment], Awaitable[None]]) -> Callable[[str], None]:
    """Makes a test of a deployment in memory, whose waits take no real time."""

    def run(app: str) -> None:
        run_in_virtual_time(lambda clock: _deployed(test, app, clock))

    run.__name__ = test.__name__
    return run


async def _deployed(test: Callable[[Deployment], Awaitable[None]], app: str, clock: VirtualTimeLoop) -> None:
    broker = MemoryBroker()

    async def connect() -> Bus:
        return MemoryBus(broker)

    deployment = Deployment(connect, app, clock)
    deployment.place()
    try:
        await test(deployment)
    finally:
        await deployment.close()


async def refusal(work: Awaitable[object]) -> tuple[str, dict[str, str]]:
    """The code and the details of the error that a request raises."""
    with pytest.raises(RpcError) as refused:
        await work
    return refused.value.name, refused.value.details
