"""The media half with the parts that a service gives it: `nexus_rooms` in place of the rig's room."""

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import pytest
from nexus.recorder.v1 import recording_pb2
from nexus.sfu.v1 import sfu_pb2
from nexus.types.v1 import media_pb2
from nexus_bus import MemoryBus
from nexus_frames import Codec
from nexus_frames.testing import TrackWriter, decode, encode_sound
from nexus_recorder.core.records import Journal, SegmentRecord
from nexus_recorder.media.adapters import translate
from nexus_recorder.media.finishing import Finisher, FinishingParts
from nexus_recorder.media.live_media import LiveMedia
from nexus_recorder.media.ports import PublicationPut, PublisherGone, PublisherPut, RoomClosed
from nexus_recorder.media.spool import Spool, SpoolSpace
from nexus_recorder.media.workers import DiskWorkers
from nexus_recorder.run import Conclusion, RunEnd, RunEvent, RunRequest, Started
from nexus_rooms import (
    ParticipantJoined,
    ParticipantLeft,
    RoomMoved,
    RoomPlace,
    RoomSnapshotted,
    TrackPublished,
)
from nexus_rooms import RoomClosed as Closed
from nexus_rooms.testing import FakeSfu, FakeTaps, MemoryRoomChanges, MemorySfu
from nexus_runtime import MetricSet
from nexus_storage import StorageUnavailable, StoreSet
from nexus_storage.testing import MemoryStore
from nexus_testkit import VirtualTimeLoop, run_in_virtual_time
from prometheus_client import CollectorRegistry

from services.recorder.tests.rig import InlineWorkers, Lease

TRACK = media_pb2.Track(
    id="TR_1",
    participant_id="PA_1",
    kind=media_pb2.TRACK_KIND_AUDIO,
    source=media_pb2.TRACK_SOURCE_MICROPHONE,
)
ANNA = media_pb2.Participant(
    id="PA_1", identity="anna", name="Anna", attributes={"ok": "yes"}, tracks=[TRACK]
)


def recording() -> recording_pb2.Recording:
    return recording_pb2.Recording(id="RC_1", app="demo", room="lobby")


def media(clock: Any, folder: Path, store: MemoryStore, changes: Any, sfu: Any) -> LiveMedia:
    return LiveMedia(
        StoreSet({"memory": store}),
        changes,
        sfu,
        clock,
        random.Random(1),
        MetricSet("recorder", CollectorRegistry()),
        spool_folder=folder,
        spool_bytes=1 << 30,
        owner="process-1",
        workers=InlineWorkers(1),
    )


def test_a_run_reads_the_taps_of_the_room_and_acknowledges_what_is_safe(tmp_path: Path) -> None:
    store = MemoryStore()
    events: list[RunEvent] = []

    async def main(clock: VirtualTimeLoop) -> tuple[RunEnd, int]:
        fake = FakeSfu(MemoryBus())
        key = sfu_pb2.RoomKey(app="demo", room="lobby")
        sfu = MemorySfu({"here:1": fake})
        grants = media_pb2.Grants(create=True, publish=True)
        await sfu.join(
            "here:1", sfu_pb2.JoinRequest(room=key, room_id="RM_1", identity="anna", grants=grants)
        )
        taps = fake.taps["TR_1"] = FakeTaps()
        writer = TrackWriter(Codec.OPUS)
        writer.source()
        changes = MemoryRoomChanges()
        live = media(clock, tmp_path, store, changes, sfu)
        run = live.make_run(RunRequest(recording(), Lease(), events.append))
        task = asyncio.create_task(run.run())
        await asyncio.sleep(0.1)
        place = RoomPlace("RM_1", "node-1", "here:1")
        changes.emit(
            "demo", "lobby", RoomSnapshotted(place, media_pb2.Room(id="RM_1", name="lobby"), (ANNA,), 1)
        )
        packets = encode_sound(50)
        for number in range(1_000):
            writer.frame(packets[number % 50], clock.epoch_ms() * 1000)
            taps.add(*writer.take().records)
            await asyncio.sleep(0.02)
        acknowledged = taps.taps["recorder/RC_1"].acknowledged
        run.stop(recording_pb2.END_REASON_STOPPED)
        end = await task
        assert taps.taps == {}
        return end, acknowledged

    end, acknowledged = run_in_virtual_time(main)
    assert end.conclusion is Conclusion.OVER
    assert isinstance(events[0], Started)
    assert acknowledged > 850

    async def finish() -> list[recording_pb2.RecordedFile]:
        workers = DiskWorkers(2)
        parts = FinishingParts(StoreSet({"memory": store}), tmp_path / "work", workers, random.Random(1))
        finished = await Finisher(parts).finish(recording(), Lease())
        workers.close()
        return list(finished.files)

    [file] = asyncio.run(finish())
    path = tmp_path / "file.ogg"
    path.write_bytes(asyncio.run(store.get(file.key)))
    assert decode(path).audio_samples / 48_000 == pytest.approx(20, abs=0.5)


def keys_of(store: MemoryStore, prefix: str = "") -> list[str]:
    async def keys() -> list[str]:
        return [each.key async for each in store.list(prefix)]

    return asyncio.run(keys())


def test_what_a_dead_process_has_left_is_uploaded_or_removed(tmp_path: Path) -> None:
    store = MemoryStore()
    record = SegmentRecord(
        identity="anna\u00e9",
        source=1,
        epoch=3,
        number=1,
        start_us=0,
        end_us=9,
        codec="opus",
        container="mp4",
    )
    spool = Spool(tmp_path / "segments", SpoolSpace(1 << 20))
    for recording_id in ("RC_1", "RC_2"):
        folder = spool.open(recording_id, 3)
        file = folder.create(record)
        file.append(b"fragment", record)
        file.abandon()
        folder.close(empty=False)

    async def main(clock: VirtualTimeLoop) -> None:
        live = media(clock, tmp_path, store, MemoryRoomChanges(), MemorySfu({}))
        assert await live.left_recordings() == ["RC_1", "RC_2"]
        assert await live.left_epochs("RC_1") == [3]
        assert await live.upload_left(recording()) == (3,)
        assert await live.discard_left("RC_2") == 1

    run_in_virtual_time(main)
    assert Spool(tmp_path / "segments", SpoolSpace(0)).recordings() == []
    # A record that is no ASCII is beside its segment.
    segment, beside = keys_of(store)
    assert segment.startswith("nexus-recordings/demo/RC_1/segments/")
    assert beside == segment + ".json"


def test_what_came_after_the_files_were_made_is_removed(tmp_path: Path) -> None:
    store = MemoryStore()
    prefix = "nexus-recordings/demo/RC_1/"

    async def main(clock: VirtualTimeLoop) -> None:
        live = media(clock, tmp_path, store, MemoryRoomChanges(), MemorySfu({}))
        for key in ("segments/s/x.mp4", "journal/y.json", "manifest.json"):
            await store.put(prefix + key, b"")
        ended = recording()
        ended.state = recording_pb2.RECORDING_STATE_COMPLETED
        ended.spec.keep_segments = True
        await live.remove_late(ended)
        assert len([each async for each in store.list()]) == 3
        ended.spec.keep_segments = False
        await live.remove_late(ended)
        assert [each.key async for each in store.list()] == [prefix + "manifest.json"]
        ended.state = recording_pb2.RECORDING_STATE_DELETED
        await live.remove_late(ended)

    run_in_virtual_time(main)
    assert keys_of(store) == []


def test_a_run_that_leaves_something_is_reported_and_what_it_left_is_uploaded_before_files_are_made(
    tmp_path: Path,
) -> None:
    store = MemoryStore()

    async def main(clock: VirtualTimeLoop) -> None:
        live = media(clock, tmp_path, store, MemoryRoomChanges(), MemorySfu({}))
        assert live.has_room(1 << 20)
        assert not live.has_room(1 << 50)
        store.failing = StorageUnavailable("NotConnected", "the store is away")
        run = live.make_run(RunRequest(recording(), Lease(), lambda event: None))
        running = asyncio.create_task(run.run())
        await asyncio.sleep(5)
        run.drain()
        end = await running
        assert (end.conclusion, end.left, end.empty) == (Conclusion.DRAINED, (1,), ())
        await live.until_left_behind()
        store.failing = None
        await live.files.finish(recording(), Lease())
        journals = [each.key async for each in store.list("nexus-recordings/demo/RC_1/journal/")]
        manifest = json.loads(await store.get("nexus-recordings/demo/RC_1/manifest.json"))
        assert journals == []  # it was there, and is removed with the segments
        assert [owner["event"] for owner in manifest["owners"]] == ["began", "ended"]

    run_in_virtual_time(main)


def test_changes_are_translated_or_left_out() -> None:
    place = RoomPlace("RM_1", "node-1", "here:1")
    joined = translate(ParticipantJoined(ANNA))
    assert [type(each) for each in joined] == [PublisherPut, PublicationPut]
    assert isinstance(joined[0], PublisherPut)
    assert joined[0].publisher.attributes == {"ok": "yes"}
    [published] = translate(TrackPublished(TRACK))
    assert isinstance(published, PublicationPut)
    assert published.publication.track_id == "TR_1"
    left = ParticipantLeft("PA_1", "anna", media_pb2.DISCONNECT_REASON_CLIENT_LEFT)
    assert translate(left) == [PublisherGone("PA_1")]
    assert translate(Closed(media_pb2.DISCONNECT_REASON_ROOM_CLOSED)) == [RoomClosed()]
    assert translate(RoomMoved(place, place)) == []


def test_the_next_owner_takes_the_spool_of_the_one_before(tmp_path: Path) -> None:
    store = MemoryStore()
    folder = Spool(tmp_path / "segments", SpoolSpace(1 << 20)).open("RC_1", 1)
    folder.write_journal(Journal(epoch=1, number=1))
    folder.close(empty=False)

    async def main(clock: VirtualTimeLoop) -> None:
        live = media(clock, tmp_path, store, MemoryRoomChanges(), MemorySfu({}))
        assert await live.left_epochs("RC_1") == [1]
        run = live.make_run(RunRequest(recording(), Lease(2), lambda event: None))
        running = asyncio.create_task(run.run())
        await asyncio.sleep(1)
        assert await live.left_epochs("RC_1") == []
        assert await live.upload_left(recording()) == ()
        run.stop(recording_pb2.END_REASON_STOPPED)
        end = await running
        assert (end.conclusion, end.left, sorted(end.empty)) == (Conclusion.OVER, (), [1, 2])

    run_in_virtual_time(main)
    journals = keys_of(store, "nexus-recordings/demo/RC_1/journal/")
    assert journals[0].endswith("journal/00000001-00000001.json")
