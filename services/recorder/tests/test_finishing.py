"""Files under the names of others, crashes while files are made, deletion, and forgetting an identity."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from nexus_frames.formats import Codec
from nexus_recorder.core.file_plan import Piece, Planner
from nexus_recorder.core.object_names import ObjectNames
from nexus_recorder.core.timeline import FileTime
from nexus_recorder.media.finishing import Finisher, FinishingParts
from nexus_recorder.media.inventory import read_inventory
from nexus_recorder.media.remuxing import remux
from nexus_recorder.media.workers import DiskWorkers
from nexus_storage import StorageUnavailable, StoreSet

from services.recorder.tests.rig import SECOND, Stage
from services.recorder.tests.schema import validate

T = TypeVar("T")
MANIFEST = "nexus-recordings/demo/RC_1/manifest.json"


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """A recording of two participants that has ended."""
    stage = Stage(tmp_path)
    for identity in ("anna", "ben"):
        stage.tape(Codec.OPUS, f"TR_{identity}", identity).sound(0, 7 * SECOND).end(7 * SECOND)
    stage.snapshot()
    stage.record(8 * SECOND)
    return stage


def with_finisher(stage: Stage, action: Callable[[Finisher], Awaitable[T]]) -> T:
    async def session() -> T:
        workers = DiskWorkers(2)
        parts = FinishingParts(
            StoreSet({"memory": stage.store}), stage.folder / "work", workers, random.Random(1)
        )
        try:
            return await action(Finisher(parts))
        finally:
            workers.close()

    return asyncio.run(session())


def keys(stage: Stage) -> set[str]:
    async def list_all() -> set[str]:
        return {each.key async for each in stage.store.list()}

    return asyncio.run(list_all())


def test_a_file_never_replaces_that_of_another_recording(stage: Stage) -> None:
    stage.recording.spec.key_template = "calls/{identity}"
    asyncio.run(stage.store.put("calls/anna.ogg", b"of another", metadata={"recording": "RC_0"}))
    assert {file.key for file in stage.finish().files} == {"calls/anna+1.ogg", "calls/ben.ogg"}
    assert asyncio.run(stage.store.get("calls/anna.ogg")) == b"of another"


@pytest.mark.parametrize("calls", [3, 9, 12, 15, 18, 22])
def test_finishing_continues_after_a_crash(stage: Stage, calls: int) -> None:
    """The process dies at some call to the store: the retry of what failed is that of the next process."""

    class Died(BaseException):
        pass

    original = stage.store._begin

    def dying() -> None:
        if stage.store.calls - begun >= calls:
            raise Died
        original()

    begun = stage.store.calls
    stage.store._begin = dying  # type: ignore[method-assign]
    with pytest.raises(Died):
        stage.finish()
    stage.store._begin = original  # type: ignore[method-assign]
    files = stage.finish().files
    assert {file.identity for file in files} == {"anna", "ben"}
    assert keys(stage) == {file.key for file in files} | {MANIFEST}
    validate(json.loads(asyncio.run(stage.store.get(MANIFEST))))


def test_delete_removes_everything_of_this_recording_and_nothing_else(stage: Stage) -> None:
    stage.recording.files.extend(stage.finish().files)
    asyncio.run(stage.store.put("demo/standup/another.ogg", b"", metadata={"recording": "RC_0"}))
    assert with_finisher(stage, lambda finisher: finisher.delete(stage.recording)) == 3
    assert keys(stage) == {"demo/standup/another.ogg"}


def test_a_manifest_that_was_edited_deletes_no_object_of_others(stage: Stage) -> None:
    stage.finish()
    asyncio.run(stage.store.put("precious.ogg", b"", metadata={"recording": "RC_0"}))
    values = json.loads(asyncio.run(stage.store.get(MANIFEST)))
    values["files"] += [{"key": "precious.ogg", "identity": "anna"}, {"key": "../x", "identity": "anna"}, 7]
    asyncio.run(stage.store.put(MANIFEST, json.dumps(values).encode()))
    with_finisher(stage, lambda finisher: finisher.forget(stage.recording, "anna"))
    with_finisher(stage, lambda finisher: finisher.delete(stage.recording))
    assert keys(stage) == {"precious.ogg"}


@pytest.mark.parametrize("keep", [False, True])
def test_a_forgotten_identity_is_nowhere(stage: Stage, keep: bool) -> None:
    stage.recording.spec.keep_segments = keep
    stage.finish()
    before = keys(stage)
    forgotten = with_finisher(stage, lambda finisher: finisher.forget(stage.recording, "anna"))
    assert set(forgotten.deleted_keys) == before - keys(stage)
    assert len(forgotten.deleted_keys) == (3 if keep else 1)
    for key in keys(stage):
        assert b"anna" not in asyncio.run(stage.store.get(key))
    values: Any = json.loads(asyncio.run(stage.store.get(MANIFEST)))
    validate(values)
    assert [file["identity"] for file in values["files"]] == ["ben"]


async def _middle(stage: Stage, identity: str) -> tuple[str, int, int]:
    """The second segment of an identity: its key, its start and its end."""
    segments = (await read_inventory(stage.store, ObjectNames("demo", "RC_1"))).segments
    own = sorted((s for s in segments if s.record.identity == identity), key=lambda s: s.record.start_us)
    return own[1].key, own[1].record.start_us, own[1].record.end_us


def test_files_without_a_spool_say_what_can_be_missing(tmp_path: Path) -> None:
    """A segment was on a disk that did not come back."""

    stage = Stage(tmp_path).spec(segment_ms=2_000)
    for identity in ("anna", "ben"):
        stage.tape(Codec.OPUS, f"TR_{identity}", identity).sound(0, 7 * SECOND).end(7 * SECOND)
    stage.snapshot()
    stage.record(8 * SECOND)
    stage.recording.left_spools.add(epoch=1, replica="rec-a", lost=True)
    key, from_us, to_us = asyncio.run(_middle(stage, "anna"))
    asyncio.run(stage.store.delete(key))
    stage.finish()
    values = json.loads(asyncio.run(stage.store.get(MANIFEST)))
    validate(values)
    anna, ben = values["tracks"]
    assert ben["gaps"] == []
    [gap] = anna["gaps"]
    assert gap["reason"] == "spool_lost"
    assert (gap["from_ms"], gap["to_ms"]) == (from_us // 1000, to_us // 1000)
    assert [(o["epoch"], o["event"]) for o in values["owners"]][-1] == (1, "spool_lost")


def test_an_attempt_that_was_given_up_stops_at_the_next_segment(stage: Stage) -> None:
    """The thread that writes a file cannot be cancelled. It must not fetch on beside the next attempt."""
    fetched = 0

    async def session() -> None:
        nonlocal fetched
        workers = DiskWorkers(1)
        fetching, going_on = asyncio.Event(), asyncio.Event()

        async def fetch(piece: Piece, path: Path) -> None:
            nonlocal fetched
            fetched += 1
            path.write_bytes(await stage.store.get(piece.segment.key))  # noqa: ASYNC240 - a small file
            fetching.set()
            await going_on.wait()

        inventory = await read_inventory(stage.store, ObjectNames("demo", "RC_1"))
        plan = Planner(inventory.segments, FileTime()).plan(tracks=True, participants=False)[0]
        assert len(plan.pieces) == 2
        task = asyncio.create_task(remux(plan, stage.folder / "file.ogg", stage.folder, fetch, workers))
        await fetching.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        going_on.set()
        await workers.run(lambda: None)  # behind the attempt, in the only thread
        workers.close()

    asyncio.run(session())
    assert fetched == 1


def test_a_store_that_is_away_is_waited_for(stage: Stage) -> None:
    stage.store.failing = StorageUnavailable("SlowDown", "busy", retry_after_ms=1)

    async def recover(finisher: Finisher) -> set[str]:
        task = asyncio.create_task(finisher.delete(stage.recording))
        await asyncio.sleep(0)
        stage.store.failing = None
        await task
        return set()

    with_finisher(stage, recover)
    assert keys(stage) == set()
