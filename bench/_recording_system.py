"""The system that `record.py` measures: NATS, an S3 server, the SFU, recorders and the load generator, each a
process of its own. There is no signaling; the bench writes the record of the room itself.

The first recorder has a core to itself. Everything else, the bench included, is on the other core.
"""

import asyncio
import json
import os
import re
import sys
import urllib.request
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Final

import grpc
from _load import Generator, Participant, free_port
from _load_nexus import ROOM, ROOM_ID, NexusAdapter
from _server import ServerProcess
from nexus.recorder.v1 import recorder_pb2, recorder_pb2_grpc, recording_pb2
from nexus.sfu.v1 import sfu_pb2
from nexus.types.v1 import state_pb2
from nexus_bus import NatsBus
from nexus_bus.subjects import ROOMS, room_key
from nexus_testkit import NatsServer, S3Server, wait_until

RECORDER_CORE, OTHER_CORE = 0, 1
SFU_NODE: Final = "sfu-bench"
BUCKET: Final = "recordings"
PATIENCE_SECONDS: Final = 60.0
# How long one turn of the load generator is. Its other requests wait for the end of the turn.
TURN_MS: Final = 100
POLL_SECONDS: Final = 0.05


class MeasurementFailed(RuntimeError):
    """The system did not do what was to be measured."""


class RecorderProcess(ServerProcess):
    """`python -m nexus_recorder` with a spool of its own."""

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__()
        self.name = name
        self.spool = folder / f"spool-{name}"
        self.log = folder / f"{name}.log"
        self._channel: grpc.aio.Channel | None = None
        self._health_port = 0

    async def start(self, *, core: int, nats_url: str, stores: str) -> None:
        port, self._health_port = free_port(), free_port()
        environment = {
            **os.environ,
            "NEXUS_NATS_URL": nats_url,
            "NEXUS_LOG_FORMAT": "json",
            "NEXUS_STORES": stores,
            "NEXUS_RECORDER_REPLICA_ID": self.name,
            "NEXUS_RECORDER_GRPC_PORT": str(port),
            "NEXUS_RECORDER_HEALTH_PORT": str(self._health_port),
            "NEXUS_RECORDER_LINKS_PORT": "0",
            "NEXUS_RECORDER_CPU_MILLICORES": "4000",
            "NEXUS_RECORDER_SPOOL_DIR": str(self.spool),
        }
        command = (sys.executable, "-m", "nexus_recorder")
        await self._spawn(core, *command, environment=environment, log=self.log)
        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._channel.channel_ready()

    @property
    def stub(self) -> recorder_pb2_grpc.RecorderServiceStub:
        assert self._channel is not None
        return recorder_pb2_grpc.RecorderServiceStub(self._channel)

    async def metric(self, name: str) -> float:
        return await read_metric(self._health_port, f"nexus_recorder_{name}")

    async def stop(self, *, kill: bool = False) -> None:
        if self._channel is not None:
            await self._channel.close()
        await self._end(kill=kill)


class RecordingSystem:
    """`async with RecordingSystem(folder) as system`. All state is below `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.nats = NatsServer()
        self.s3 = S3Server()
        self.recorders: dict[str, RecorderProcess] = {}
        self._sfu_health_port = free_port()
        self._turns: asyncio.Task[None] | None = None
        self._stack = AsyncExitStack()
        self.participants: list[Participant] = []
        # Set by `__aenter__`.
        self.sfu: NexusAdapter
        self.generator: Generator
        self.objects: Path

    async def __aenter__(self) -> "RecordingSystem":
        try:
            self._stack.enter_context(self.nats)
            self._stack.enter_context(self.s3)
            self.objects = self.s3.make_bucket(BUCKET)
            self.sfu = NexusAdapter(
                settings={
                    "NEXUS_NATS_URL": self.nats.url,
                    "NEXUS_SFU_NODE_ID": SFU_NODE,
                    "NEXUS_SFU_HEALTH_PORT": str(self._sfu_health_port),
                },
                log=self.folder / "sfu.log",
            )
            self._stack.push_async_callback(self.sfu.stop)
            await self.sfu.start(core=OTHER_CORE)
            self.generator = Generator(core=OTHER_CORE, gro=False)
            self._stack.callback(self.generator.close)
            await self._write_room()
            self._turns = asyncio.create_task(self._take_turns())
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._turns is not None:
            self._turns.cancel()
            with suppress(asyncio.CancelledError):
                await self._turns
        for recorder in self.recorders.values():
            await recorder.stop(kill=True)
        await self._stack.aclose()

    async def _write_room(self) -> None:
        record = state_pb2.RoomRecord(app=ROOM.app, node_id=SFU_NODE)
        record.room.id, record.room.name = ROOM_ID, ROOM.room
        bus = await NatsBus.connect(self.nats.url, "bench")
        await (await bus.kv(ROOMS)).put(room_key(ROOM.app, ROOM.room), record.SerializeToString())
        await bus.close()

    async def _take_turns(self) -> None:
        """Keeps the load running, whatever else is awaited."""
        while True:
            await asyncio.to_thread(self.generator.pump, TURN_MS)

    # The load

    async def join(self, count: int) -> None:
        """Adds participants who publish a video of 1.5 Mbit/s and Opus, until there are `count`."""
        first = len(self.participants)
        joining = [Participant(i, audio=True, video=True, simulcast=False) for i in range(first, count)]
        await self.sfu.join(self.generator, joining)
        self.participants += joining
        await wait_until(self._is_connected, PATIENCE_SECONDS, "not all participants are connected")

    async def _is_connected(self) -> bool:
        return int((await self.ask("run seconds=0 ms=1"))["connected"]) >= len(self.participants)

    async def ask(self, line: str) -> dict[str, str]:
        return await asyncio.to_thread(self.generator.ask, line)

    async def report(self) -> dict[str, float]:
        """The generator's counts since its last `begin`."""
        found: dict[str, float] = json.loads(await asyncio.to_thread(self.generator.raw, "report"))
        return found

    # The SFU

    async def sfu_stats(self) -> sfu_pb2.WatchStatsResponse:
        watch = self.sfu.stub().WatchStats(sfu_pb2.WatchStatsRequest())
        async for report in watch:
            watch.cancel()
            return report
        raise MeasurementFailed("the SFU reports no statistics")

    async def sfu_metric(self, name: str) -> float:
        return await read_metric(self._sfu_health_port, f"nexus_sfu_{name}")

    # Recorders

    async def add_recorder(self, name: str, *, core: int = RECORDER_CORE) -> RecorderProcess:
        """Starts a recorder, or starts one that was killed again, with the spool that it left."""
        recorder = self.recorders.setdefault(name, RecorderProcess(name, self.folder))
        await recorder.start(core=core, nats_url=self.nats.url, stores=self._stores())
        return recorder

    def _stores(self) -> str:
        keys = {"kind": "keys", "access_key": self.s3.access_key, "secret_key": self.s3.secret_key}
        store = {
            "kind": "s3",
            "endpoint": self.s3.url,
            "region": self.s3.region,
            "bucket": BUCKET,
            "require_tls": False,
            "style": "path",
            "credentials": [keys],
        }
        return json.dumps({"s3": store})

    async def begin(self, recorder: RecorderProcess, spec: recording_pb2.RecordingSpec) -> str:
        """Starts a recording of the room, and returns its id when it runs."""
        request = recorder_pb2.StartRecordingRequest(app=ROOM.app, room=ROOM.room, spec=spec)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                try:
                    started = (await recorder.stub.StartRecording(request)).recording
                    break
                except grpc.aio.AioRpcError as error:
                    # A recorder that has just started may not know the SFU yet.
                    if "SFU_UNREACHABLE" not in (error.details() or ""):
                        raise
                    await asyncio.sleep(POLL_SECONDS)
        await self.until(recorder, started.id, recording_pb2.RECORDING_STATE_RUNNING)
        return str(started.id)

    async def stop_recording(self, recorder: RecorderProcess, recording_id: str) -> None:
        request = recorder_pb2.StopRecordingRequest(app=ROOM.app, recording_id=recording_id)
        await recorder.stub.StopRecording(request)

    async def recording(self, recorder: RecorderProcess, recording_id: str) -> recording_pb2.Recording:
        request = recorder_pb2.GetRecordingRequest(app=ROOM.app, recording_id=recording_id)
        found: recording_pb2.Recording = (await recorder.stub.GetRecording(request)).recording
        return found

    async def until(
        self,
        recorder: RecorderProcess,
        recording_id: str,
        state: recording_pb2.RecordingState.ValueType,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> recording_pb2.Recording:
        async with asyncio.timeout(patience_seconds):
            while True:
                found = await self.recording(recorder, recording_id)
                if found.state == state:
                    return found
                if found.state == recording_pb2.RECORDING_STATE_FAILED:
                    raise MeasurementFailed(f"the recording failed: {found.error}")
                await asyncio.sleep(POLL_SECONDS)

    def files_of(self, recording: recording_pb2.Recording) -> Sequence[tuple[str, Path]]:
        """The finished files by identity, where the S3 server keeps them."""
        return [(file.identity, self.objects / file.key) for file in recording.files]


async def read_metric(port: int, name: str) -> float:
    """The sum of a metric of a process, by its Prometheus endpoint; 0 if it has no value yet."""

    def fetch() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
            text: str = response.read().decode()
            return text

    text = await asyncio.to_thread(fetch)
    lines = re.findall(rf"^{name}(?:_total)?(?:\{{[^}}]*\}})? (\S+)$", text, re.MULTILINE)
    return sum(float(value) for value in lines)
