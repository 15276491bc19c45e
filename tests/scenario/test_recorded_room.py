"""Recordings of a real room: the media half of the recorder reads named taps of the engine."""

import asyncio
import json
import random
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from dev_system import Development, development
from nexus.recorder.v1 import recording_pb2
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
    with development(tmp_path_factory.mktemp("dev")) as running:
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
