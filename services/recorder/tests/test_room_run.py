"""Owners that die, are stopped, drain or run out of room, and what the next one makes of it."""

import asyncio
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from nexus.recorder.v1 import recording_pb2
from nexus.types.v1 import error_pb2
from nexus_frames.events import Frame
from nexus_frames.formats import AudioFormat, Codec, VideoFormat
from nexus_frames.testing import decode
from nexus_recorder.core.object_names import ObjectNames
from nexus_recorder.media.containers import FramesMuxer
from nexus_recorder.media.inventory import read_inventory
from nexus_recorder.media.ports import Written
from nexus_recorder.run import Conclusion, DegradedChanged, RunEnd, Started
from nexus_storage import StorageRefused, StorageUnavailable

from services.recorder.tests.rig import EPOCH_MS, SECOND, Lease, Stage
from services.recorder.tests.schema import validate

STORE = recording_pb2.DURABILITY_STORE
SPOOL = recording_pb2.DURABILITY_SPOOL


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def call(stage: Stage, seconds: int = 20) -> list[int]:
    """One participant with audio and video; returns how many frames each sent."""
    stage.spec(tracks=True)
    audio = stage.tape(Codec.OPUS, "TR_A").sound(0, seconds * SECOND).end(seconds * SECOND)
    video = stage.tape(Codec.VP8, "TR_V").pictures(0, seconds * SECOND).end(seconds * SECOND)
    stage.snapshot()
    return [len(audio.sent), len(video.sent)]


def frames_in_files(stage: Stage) -> list[int]:
    """The frames of the audio and of the video file; every one of them decodes."""
    stage.recording.started_at_ms = EPOCH_MS
    counts = {}
    for file in stage.finish().files:
        found = decode(stage.fetch(file.key))
        assert found.errors == ""
        counts[file.content_type] = len(found.video_times)
    values = manifest(stage)
    filled = sum(each["to_ms"] - each["from_ms"] for track in values["tracks"] for each in track["silent"])
    audio = next(file for file in values["files"] if file["content_type"] == "audio/ogg")
    return [round((audio["duration_ms"] - filled) / 20), counts["video/webm"]]


def manifest(stage: Stage) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(stage.fetch("nexus-recordings/demo/RC_1/manifest.json").read_bytes())
    validate(found)
    return found


async def killed(stage: Stage, at_s: float, **request: Any) -> None:
    """An owner that dies at that time without doing anything more."""
    run = stage.run(**request)
    task = asyncio.create_task(run.run())
    await stage.at(round(at_s * SECOND))
    # A process that dies closes its files and locks, and nothing else happens.
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("durability", [SPOOL, STORE])
@pytest.mark.parametrize("at_s", [3.3, 9.1, 13.0])
def test_an_owner_that_dies_costs_nothing_on_the_same_disk(
    stage: Stage, durability: int, at_s: float
) -> None:
    stage.spec(durability=durability)
    sent = call(stage)
    stage.play(killed(stage, at_s))
    stage.recording.started_at_ms = EPOCH_MS
    stage.play(stage.at(round((at_s + 6) * SECOND)))
    assert stage.record(22 * SECOND, lease=Lease(2)).conclusion is Conclusion.OVER
    assert frames_in_files(stage) == sent
    assert manifest(stage)["tracks"][0]["gaps"] == []
    assert [owner["epoch"] for owner in manifest(stage)["owners"] if owner["event"] == "began"] == [1, 2]


@pytest.mark.parametrize("at_s", [3.3, 9.1])
def test_a_lost_node_with_its_disk_costs_nothing_with_durability_store(stage: Stage, at_s: float) -> None:
    stage.spec(durability=STORE)
    sent = call(stage)
    stage.play(killed(stage, at_s))
    stage.recording.started_at_ms = EPOCH_MS
    stage.spool_name = "another-disk"
    stage.play(stage.at(round((at_s + 6) * SECOND)))
    assert stage.record(22 * SECOND, lease=Lease(2)).conclusion is Conclusion.OVER
    assert frames_in_files(stage) == sent


def test_a_drained_owner_is_continued_by_the_next_without_loss(stage: Stage) -> None:
    sent = call(stage)

    async def drained() -> RunEnd:
        run = stage.run()
        task = asyncio.create_task(run.run())
        await stage.at(8 * SECOND)
        run.drain()
        return await task

    end = stage.play(drained())
    assert end.conclusion is Conclusion.DRAINED
    assert end.checkpoint
    stage.recording.started_at_ms = EPOCH_MS
    stage.spool_name = "another-disk"
    stage.play(stage.at(12 * SECOND))
    stage.record(22 * SECOND, lease=Lease(2), checkpoint=end.checkpoint)
    assert frames_in_files(stage) == sent
    starts = [event.timeline_start_ms for event in stage.events if isinstance(event, Started)]
    assert starts == [EPOCH_MS, EPOCH_MS]


def test_a_track_that_ended_while_nobody_read_is_read_by_the_next_owner(stage: Stage) -> None:
    sent = call(stage, seconds=10)
    stage.play(killed(stage, 8))
    stage.recording.started_at_ms = EPOCH_MS
    stage.script.clear()
    stage.snapshot(11 * SECOND, tapes=[])
    stage.play(stage.at(12 * SECOND))
    stage.record(16 * SECOND, lease=Lease(2))
    assert frames_in_files(stage) == sent


def test_an_owner_whose_lease_is_lost_writes_nothing_more(stage: Stage) -> None:
    call(stage)
    lease = Lease()

    async def session() -> tuple[RunEnd, set[str], set[str]]:
        run = stage.run(lease)
        task = asyncio.create_task(run.run())
        await stage.at(9 * SECOND)
        before = {each.key async for each in stage.store.list()}
        lease.is_lost = True
        end = await task
        return end, before, {each.key async for each in stage.store.list()}

    end, before, after = stage.play(session())
    assert end.conclusion is Conclusion.FENCED
    assert before
    assert before == after


def test_an_owner_that_wakes_finds_the_claim_of_its_successor(stage: Stage) -> None:
    """While the broker does not confirm the lease, the store decides."""
    call(stage)
    lease = Lease()
    names = ObjectNames("demo", "RC_1")

    async def session() -> RunEnd:
        run = stage.run(lease)
        task = asyncio.create_task(run.run())
        await stage.at(3 * SECOND)
        lease.is_held = False
        await stage.store.put(names.claim(2), b"another")
        return await task

    assert stage.play(session()).conclusion is Conclusion.FENCED


def test_without_the_broker_a_recording_continues(stage: Stage) -> None:
    sent = call(stage)
    assert stage.record(21 * SECOND, lease=Lease(is_held=False)).conclusion is Conclusion.OVER
    assert frames_in_files(stage) == sent


@pytest.mark.parametrize(
    "error", [StorageUnavailable("SlowDown", "busy"), StorageRefused("NoSuchBucket", "gone")]
)
def test_a_store_that_fails_is_retried_and_reported(stage: Stage, error: Exception) -> None:
    sent = call(stage)

    async def session() -> RunEnd:
        run = stage.run()
        task = asyncio.create_task(run.run())
        await stage.at(4 * SECOND)
        stage.store.failing = error  # type: ignore[assignment]
        await stage.at(60 * SECOND)
        run.stop(recording_pb2.END_REASON_STOPPED)
        await stage.at(600 * SECOND)
        assert not task.done()
        stage.store.failing = None
        return await task

    assert stage.play(session()).conclusion is Conclusion.OVER
    degraded = [event.degraded for event in stage.events if isinstance(event, DegradedChanged)]
    assert [each is not None for each in degraded] == [True, False]
    assert degraded[0] is not None
    assert degraded[0].since_ms > EPOCH_MS
    assert frames_in_files(stage) == sent


def test_a_full_spool_ends_the_segments_well_and_the_run_as_unable(stage: Stage) -> None:
    call(stage)
    stage.spool_bytes = 60_000
    stage.store.failing = StorageUnavailable("NotConnected", "away")

    async def session() -> RunEnd:
        return await stage.run().run()

    end = stage.play(session())
    assert end.conclusion is Conclusion.UNABLE
    assert end.error is not None
    assert end.error.code == error_pb2.NO_CAPACITY
    # Another replica continues, and the same disk is completed by a later owner.
    stage.store.failing = None
    stage.spool_bytes = 1 << 30
    stage.recording.started_at_ms = EPOCH_MS
    stage.record(30 * SECOND, lease=Lease(2), checkpoint=end.checkpoint)
    audio, video = frames_in_files(stage)
    assert audio > 900
    assert video > 550


def test_the_run_ends_when_the_room_is_empty_for_the_limit(stage: Stage) -> None:
    stage.recording.spec.limits.empty_timeout_seconds = 30
    tape = stage.tape(Codec.OPUS, "TR_A").sound(0, 5 * SECOND).end(5 * SECOND)
    stage.snapshot(0, tapes=[tape])
    stage.snapshot(5 * SECOND, tapes=[])

    async def session() -> RunEnd:
        return await stage.run().run()

    end = stage.play(session())
    assert (end.conclusion, end.reason) == (Conclusion.OVER, recording_pb2.END_REASON_ROOM_EMPTY)
    assert 35 <= stage.loop.time() - 1_000 <= 38


def test_everything_safe_is_acknowledged_and_keyframes_are_requested_before_they_are_due(
    stage: Stage,
) -> None:
    call(stage)
    stage.record(19 * SECOND)
    audio, video = (stage.node.taps[track] for track in ("TR_A", "TR_V"))
    assert audio.acknowledged > 850
    assert video.acknowledged > 500
    assert 2 <= video.keyframes <= 4


def test_the_manifest_can_be_made_again_from_a_listing(stage: Stage) -> None:
    stage.spec(keep_segments=True)
    call(stage)
    stage.record(21 * SECOND)
    stage.finish()
    first = manifest(stage)
    assert len(first["segments"]) >= 8
    asyncio.run(stage.store.delete("nexus-recordings/demo/RC_1/manifest.json"))
    stage.finish()
    assert manifest(stage) == first
    inventory = asyncio.run(read_inventory(stage.store, ObjectNames("demo", "RC_1")))
    assert {s.key for s in inventory.segments} == {s["key"] for s in first["segments"]}


def test_finishing_twice_gives_the_same_and_removes_the_segments(stage: Stage) -> None:
    call(stage)
    stage.record(21 * SECOND)
    first = stage.finish()
    again = stage.finish()
    assert list(again.files) == list(first.files)

    async def keys() -> set[str]:
        return {each.key async for each in stage.store.list()}

    assert asyncio.run(keys()) == {file.key for file in first.files} | {first.manifest_key}


@pytest.mark.parametrize("durability", [SPOOL, STORE])
def test_a_defect_in_the_middle_of_a_track_costs_nothing(
    stage: Stage, durability: recording_pb2.Durability.ValueType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container that raises once: the tap is read again, and every frame keeps its time."""
    sent = call(stage)
    stage.recording.spec.durability = durability
    write = FramesMuxer.write
    failures = {AudioFormat: 9_100_000, VideoFormat: 9_100_000}

    def failing(muxer: FramesMuxer, frame: Frame, position_us: int) -> Written:
        if position_us >= failures.get(type(frame.format), position_us + 1):
            del failures[type(frame.format)]
            raise RuntimeError("a defect")
        return write(muxer, frame, position_us)

    monkeypatch.setattr(FramesMuxer, "write", failing)
    assert stage.record(21 * SECOND).conclusion is Conclusion.OVER
    assert failures == {}
    assert frames_in_files(stage) == sent
    video = next(file for file in stage.finish().files if file.content_type == "video/webm")
    times = decode(stage.fetch(video.key)).video_times
    assert all(0.02 < after - at < 0.05 for at, after in pairwise(times))
