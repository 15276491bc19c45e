"""Recordings of a real room: named taps of the engine, and recorder processes that are killed and stopped."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from dev_system import Development, development
from grpc import aio
from nexus.recorder.v1 import recorder_pb2, recorder_pb2_grpc, recording_pb2
from nexus.sfu.v1 import sfu_pb2
from nexus_cli import development as settings
from nexus_frames.testing import decode
from nexus_recorder.media.live_media import LiveMedia
from nexus_recorder.run import Conclusion, MediaRun, RunEvent, RunRequest, SegmentStored
from nexus_rooms import RoomPlace, RoomSnapshotted, SfuClient
from nexus_rooms.testing import MemoryRoomChanges
from nexus_rtc import App, LocalTrack, NexusClient, mint_token
from nexus_rtc.synthetic import SyntheticCamera, SyntheticMicrophone
from nexus_runtime import MetricSet, SystemClock
from nexus_storage import StoreSet
from nexus_storage.testing import MemoryStore
from nexus_testkit import wait_until
from prometheus_client import CollectorRegistry

APP = App(settings.KEY_ID, settings.SECRET)
COLOUR = (220, 30, 30)
PATIENCE_SECONDS = 90.0

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Development]:
    with development(tmp_path_factory.mktemp("dev"), "--without", "recorder") as running:
        yield running


class _Lease:
    """The right of one owner, which no other process contests here."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def held(self) -> bool:
        return True

    def lost(self) -> bool:
        return False

    async def confirmed(self) -> None:
        return


async def test_a_recording_whose_first_owner_dies_with_its_disk_is_complete(
    dev: Development, tmp_path: Path
) -> None:
    camera = LocalTrack(SyntheticCamera(COLOUR, width=160, height=96, fps=10), width=160, height=96)
    microphone = LocalTrack(SyntheticMicrophone())
    token = mint_token(APP, room="kept", identity="alice", grants=("create", "publish"))
    room = await NexusClient(server_url=dev.url, token=token, connect_seconds=60).join(
        tracks=(camera, microphone)
    )
    store = MemoryStore()
    metrics = MetricSet("recorder", CollectorRegistry())
    sfu = SfuClient(metrics, timeout_ms=10_000, join_timeout_ms=10_000)
    there = await sfu.get_room(
        dev.sfu, sfu_pb2.GetRoomRequest(room=sfu_pb2.RoomKey(app=APP.key_id, room="kept"))
    )
    changes = MemoryRoomChanges()
    place = RoomPlace(there.room.id, "node", dev.sfu)
    changes.emit(APP.key_id, "kept", RoomSnapshotted(place, there.room, tuple(there.participants), 1))
    clock = SystemClock()
    recording = recording_pb2.Recording(
        id="RC_1",
        app=APP.key_id,
        room="kept",
        started_at_ms=clock.epoch_ms(),
        spec=recording_pb2.RecordingSpec(
            participants=True, durability=recording_pb2.DURABILITY_STORE, segment_ms=2_000
        ),
    )
    events: list[RunEvent] = []

    def stored() -> list[SegmentStored]:
        return [event for event in events if isinstance(event, SegmentStored)]

    def owner(epoch: int) -> tuple[LiveMedia, MediaRun]:
        media = LiveMedia(
            StoreSet({"memory": store}),
            changes,
            sfu,
            clock,
            random.Random(epoch),
            MetricSet("recorder", CollectorRegistry()),
            spool_folder=tmp_path / f"disk-{epoch}",
            spool_bytes=1 << 30,
            owner=f"process-{epoch}",
        )
        return media, media.make_run(RunRequest(recording, _Lease(epoch), events.append))

    _, first = owner(1)
    running = asyncio.create_task(first.run())
    await wait_until(lambda: len(stored()) >= 4, PATIENCE_SECONDS, "nothing was stored")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    media, second = owner(2)
    running = asyncio.create_task(second.run())
    before = len(stored())
    await wait_until(lambda: len(stored()) >= before + 6, PATIENCE_SECONDS, "nothing more was stored")
    second.stop(recording_pb2.END_REASON_STOPPED)
    end = await running
    assert end.conclusion is Conclusion.OVER
    [file] = (await media.files.finish(recording, _Lease(2))).files
    path = tmp_path / "alice.webm"
    path.write_bytes(await store.get(file.key))
    found = decode(path)
    assert found.errors == ""
    manifest = json.loads(await store.get("nexus-recordings/" + APP.key_id + "/RC_1/manifest.json"))
    assert [track["gaps"] for track in manifest["tracks"]] == [[], []]
    assert found.audio_samples / 48_000 == pytest.approx(file.duration_ms / 1_000, abs=0.1)
    steps = [after - at for at, after in pairwise(found.video_times)]
    assert max(steps) < 1.0
    media.close()
    await room.leave()
    await sfu.close()


@dataclass
class RecorderProcess:
    """A recorder of its own, with a port for gRPC."""

    process: subprocess.Popen[str]
    log: Path

    @classmethod
    def start(cls, dev: Development, folder: Path, name: str, disk: str) -> "RecorderProcess":
        log = folder / f"{name}.log"
        store = {"local": {"kind": "folder", "path": str(folder / "store"), "create": True}}
        environment = {
            "NEXUS_NATS_URL": dev.nats_url,
            "NEXUS_LOG_FORMAT": "json",
            "NEXUS_STORES": json.dumps(store),
            "NEXUS_RECORDER_REPLICA_ID": name,
            "NEXUS_RECORDER_GRPC_PORT": "0",
            "NEXUS_RECORDER_LINKS_PORT": "0",
            "NEXUS_RECORDER_CPU_MILLICORES": "4000",
            "NEXUS_RECORDER_SPOOL_DIR": str(folder / disk),
        }
        with log.open("w") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "nexus_recorder"],
                stdout=out,
                stderr=subprocess.STDOUT,
                text=True,
                env={**os.environ, **environment},
            )
        return cls(process, log)

    async def stub(self) -> recorder_pb2_grpc.RecorderServiceStub:
        await wait_until(
            lambda: '"grpc_port"' in self.log.read_text(), PATIENCE_SECONDS, self.log.read_text()
        )
        line = next(line for line in self.log.read_text().splitlines() if '"grpc_port"' in line)
        channel = aio.insecure_channel(f"127.0.0.1:{json.loads(line)['grpc_port']}")
        return recorder_pb2_grpc.RecorderServiceStub(channel)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)


def segments_in(folder: Path) -> set[str]:
    """The segments in the store that have an epoch, by their names."""
    return {path.name for path in (folder / "store").glob("**/segments/**/*.mp4")}


def later(folder: Path) -> set[str]:
    """Those of the second owner."""
    return {name for name in segments_in(folder) if name.startswith("00000002-")}


async def start(
    stub: recorder_pb2_grpc.RecorderServiceStub, request: recorder_pb2.StartRecordingRequest
) -> recording_pb2.Recording:
    """Starts a recording as soon as the recorder knows the SFU."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                response: recorder_pb2.StartRecordingResponse = await stub.StartRecording(request)
            except aio.AioRpcError as error:
                if "SFU_UNREACHABLE" not in (error.details() or ""):
                    raise
                await asyncio.sleep(0.3)
            else:
                return response.recording


async def state_of(stub: recorder_pb2_grpc.RecorderServiceStub, recording_id: str) -> recording_pb2.Recording:
    request = recorder_pb2.GetRecordingRequest(app=APP.key_id, recording_id=recording_id)
    response: recorder_pb2.GetRecordingResponse = await stub.GetRecording(request)
    return response.recording


async def until(
    stub: recorder_pb2_grpc.RecorderServiceStub, recording_id: str, state: int
) -> recording_pb2.Recording:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            recording = await state_of(stub, recording_id)
            if recording.state == state:
                return recording
            assert recording.state != recording_pb2.RECORDING_STATE_FAILED, recording
            await asyncio.sleep(0.3)


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_recorder_that_is_killed_or_stopped_is_followed_by_another_without_loss(
    dev: Development, tmp_path: Path, blow: signal.Signals
) -> None:
    name = f"struck-{blow.name}"
    token = mint_token(APP, room=name, identity="alice", grants=("create", "publish"))
    room = await NexusClient(server_url=dev.url, token=token, connect_seconds=60).join(
        tracks=(LocalTrack(SyntheticMicrophone()),)
    )
    first = RecorderProcess.start(dev, tmp_path, "first", "disk-1")
    second = None
    try:
        stub = await first.stub()
        spec = recording_pb2.RecordingSpec(
            durability=recording_pb2.DURABILITY_STORE, segment_ms=2_000, keep_segments=True
        )
        request = recorder_pb2.StartRecordingRequest(app=APP.key_id, room=name, spec=spec)
        started = await start(stub, request)
        await wait_until(lambda: len(segments_in(tmp_path)) >= 3, PATIENCE_SECONDS, first.log.read_text())
        first.kill(blow)
        second = RecorderProcess.start(dev, tmp_path, "second", "disk-2")
        stub = await second.stub()
        await wait_until(lambda: len(later(tmp_path)) >= 3, PATIENCE_SECONDS, second.log.read_text())
        if blow is signal.SIGSTOP:
            old = segments_in(tmp_path) - later(tmp_path)
            first.kill(signal.SIGCONT)
            await wait_until(lambda: len(later(tmp_path)) >= 6, PATIENCE_SECONDS, second.log.read_text())
            assert segments_in(tmp_path) - later(tmp_path) == old
        stop = recorder_pb2.StopRecordingRequest(app=APP.key_id, recording_id=started.id)
        await stub.StopRecording(stop)
        done = await until(stub, started.id, recording_pb2.RECORDING_STATE_COMPLETED)
    finally:
        for each in (first, second):
            if each is not None:
                each.kill()
                each.process.wait(30)
    [file] = done.files
    found = decode(tmp_path / "store" / file.key)
    assert found.errors == ""
    manifest = json.loads((tmp_path / "store" / done.manifest_key).read_bytes())
    [track] = manifest["tracks"]
    assert track["gaps"] == []
    # The segments have every record of the tap: each begins behind one that an earlier segment has.
    last = 1  # the source
    for segment in sorted(manifest["segments"], key=lambda each: int(each["first_record"])):
        assert segment["first_record"] <= last + 1
        last = max(last, segment["last_record"])
    assert found.audio_samples / 48_000 == pytest.approx(file.duration_ms / 1_000, abs=0.1)
    assert {owner["epoch"] for owner in manifest["owners"]} == {1, 2}
    await room.leave()
