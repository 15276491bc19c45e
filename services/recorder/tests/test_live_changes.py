"""Changes of a live recording: what it selects, its limits, and what its store confirms."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from nexus.recorder.v1 import recording_pb2
from nexus_frames.formats import Codec
from nexus_recorder.core.selection import Publisher
from nexus_recorder.media.ports import PublisherPut, RoomClosed, RoomMissing
from nexus_recorder.media.room_run import RoomRun
from nexus_recorder.run import Conclusion, RunEnd
from nexus_storage import StorageUnavailable

from services.recorder.tests.rig import SECOND, Stage
from services.recorder.tests.schema import validate

MANIFEST = "nexus-recordings/demo/RC_1/manifest.json"


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def frames(stage: Stage) -> dict[str, int]:
    """The frames of each identity that were recorded."""
    stage.finish()
    values: dict[str, Any] = json.loads(stage.fetch(MANIFEST).read_bytes())
    validate(values)
    return {track["identity"]: track["frames"] for track in values["tracks"]}


def steered(stage: Stage, until_s: int, steer: Callable[[RoomRun], Awaitable[None]]) -> RunEnd:
    """Records until then, and does meanwhile what `steer` does."""

    async def session() -> RunEnd:
        run = stage.run()
        task = asyncio.create_task(run.run())
        await steer(run)
        await stage.at(until_s * SECOND)
        run.stop(recording_pb2.END_REASON_STOPPED)
        return await task

    return stage.play(session())


def two(stage: Stage, seconds: int = 20) -> None:
    until = seconds * SECOND
    for identity in ("anna", "ben"):
        stage.tape(Codec.OPUS, f"TR_{identity}", identity).sound(0, until).end(until)
    stage.snapshot()


def test_who_is_excluded_is_not_received_from_then_on(stage: Stage) -> None:
    two(stage)

    async def exclude(run: RoomRun) -> None:
        await stage.at(6 * SECOND)
        selection = recording_pb2.TrackSelection(exclude=[recording_pb2.TrackPattern(identity="b*")])
        run.update(selection, recording_pb2.RecordingLimits())
        await asyncio.sleep(0.01)
        assert stage.node.taps["TR_ben"].removed
        await stage.at(12 * SECOND)
        run.update(recording_pb2.TrackSelection(), recording_pb2.RecordingLimits())

    steered(stage, 21, exclude)
    found = frames(stage)
    assert found["anna"] == 1_000
    # Six seconds, less the batch that was on its way, and the last eight.
    assert 13 * 50 <= found["ben"] <= 14 * 50


def test_hidden_participants_are_never_recorded(stage: Stage) -> None:
    """The SFU lets no hidden participant publish, and reports none to services. If one came nevertheless, or
    became hidden, nothing of it would be kept."""
    two(stage)
    stage.script.append((5 * SECOND, PublisherPut(Publisher("PA_ben", "ben", "Ben", hidden=True))))
    spy = stage.tape(Codec.OPUS, "TR_spy", "spy").sound(0, 20 * SECOND).end(20 * SECOND)
    stage.script.append((1 * SECOND, PublisherPut(Publisher("PA_spy", "spy", hidden=True))))
    stage.script.sort(key=lambda each: each[0])
    steered(stage, 21, lambda _: stage.at(2 * SECOND))
    found = frames(stage)
    assert found["anna"] == 1_000
    assert found["ben"] <= 5 * 50
    assert spy.track_id not in stage.node.taps
    assert "spy" not in found


def test_limits_can_be_changed_while_recording(stage: Stage) -> None:
    stage.recording.spec.limits.empty_timeout_seconds = 3_600
    tape = stage.tape(Codec.OPUS, "TR_A").sound(0, 5 * SECOND).end(5 * SECOND)
    stage.snapshot(0, tapes=[tape])
    stage.snapshot(5 * SECOND, tapes=[])

    async def session() -> RunEnd:
        run = stage.run()
        task = asyncio.create_task(run.run())
        await stage.at(60 * SECOND)
        assert not task.done()
        limits = recording_pb2.RecordingLimits(empty_timeout_seconds=90)
        run.update(recording_pb2.TrackSelection(), limits)
        return await task

    end = stage.play(session())
    assert (end.conclusion, end.reason) == (Conclusion.OVER, recording_pb2.END_REASON_ROOM_EMPTY)
    assert stage.loop.time() - 1_000 == pytest.approx(95, abs=3)


@pytest.mark.parametrize("announced", [True, False])
def test_the_recording_ends_with_its_room(stage: Stage, announced: bool) -> None:
    """The room is closed, or its record is gone for as long as the limit."""
    stage.recording.spec.limits.empty_timeout_seconds = 10
    two(stage)
    stage.script.append((20 * SECOND, RoomClosed() if announced else RoomMissing()))

    async def session() -> RunEnd:
        return await stage.run().run()

    end = stage.play(session())
    assert (end.conclusion, end.reason) == (Conclusion.OVER, recording_pb2.END_REASON_ROOM_CLOSED)
    assert stage.loop.time() - 1_000 == pytest.approx(21 if announced else 31, abs=2)
    assert frames(stage)["anna"] == pytest.approx(1_000, abs=50)


@pytest.mark.parametrize("durability", [recording_pb2.DURABILITY_SPOOL, recording_pb2.DURABILITY_STORE])
def test_the_tap_may_forget_what_is_safe_and_nothing_else(
    stage: Stage, durability: recording_pb2.Durability.ValueType
) -> None:
    """Safe is what the spool has, or with `DURABILITY_STORE` what the store has confirmed."""
    stage.spec(durability=durability)
    two(stage, 50)
    acknowledged = []

    async def fail(_: RoomRun) -> None:
        await stage.at(1 * SECOND)
        stage.store.failing = StorageUnavailable("SlowDown", "later")
        await stage.at(18 * SECOND)
        acknowledged.append(stage.node.taps["TR_anna"].acknowledged)
        stage.store.failing = None
        await stage.at(45 * SECOND)
        acknowledged.append(stage.node.taps["TR_anna"].acknowledged)

    assert steered(stage, 51, fail).conclusion is Conclusion.OVER
    before, after = acknowledged
    if durability == recording_pb2.DURABILITY_STORE:
        assert before <= 1  # the source, which is before all media
    else:
        assert before > 500
    assert after > 1_700
    assert frames(stage) == {"anna": 2_500, "ben": 2_500}
