"""Whole recordings in a folder and in a real S3, from the tap to the files and their manifest."""

import asyncio
import hashlib
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from nexus.recorder.v1 import recording_pb2
from nexus_frames.formats import Codec
from nexus_frames.testing import decode
from nexus_recorder.core.object_names import ObjectNames
from nexus_recorder.run import Conclusion
from nexus_storage import FolderSettings, FolderStore, ObjectInfo, S3Settings, S3Store, Store
from nexus_storage.testing import MemoryStore
from nexus_testkit import S3Server

from services.recorder.tests.bridged import BridgedStore
from services.recorder.tests.rig import EPOCH_MS, SECOND, Lease, Stage
from services.recorder.tests.schema import validate

PREFIX = "calls/2026/"
NAMES = ObjectNames("demo", "RC_1")

_numbers = itertools.count(1)


@dataclass
class Place:
    """A store, and the folder in which its objects are files; everything is below `inside`."""

    store: BridgedStore
    folder: Path
    inside: Path
    outside: set[Path] = field(default_factory=set)

    def files(self) -> set[Path]:
        return {each for each in self.folder.rglob("*") if each.is_file()}


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    make: Callable[[], Store]
    if request.param == "folder":
        folder = tmp_path / "disk"
        inside = folder / PREFIX
        settings = FolderSettings.model_validate({"kind": "folder", "path": inside, "create": True})
        inside.parent.mkdir(parents=True)
        make = lambda: FolderStore("folder", settings)  # noqa: E731 - typed above
    else:
        server: S3Server = request.getfixturevalue("shared_s3_server")
        bucket = f"recorder-{next(_numbers)}"
        folder = server.make_bucket(bucket)
        inside = folder / PREFIX
        s3 = S3Settings.model_validate(
            {
                "kind": "s3",
                "endpoint": server.url,
                "region": server.region,
                "bucket": bucket,
                "prefix": PREFIX,
                "require_tls": False,
                "part_size_mib": 5,
                "tags": {"project": "calls"},
                "credentials": [
                    {"kind": "keys", "access_key": server.access_key, "secret_key": server.secret_key}
                ],
            }
        )
        make = lambda: S3Store("s3", s3)  # noqa: E731 - typed above
    (folder / "neighbour").write_bytes(b"of another")
    store = BridgedStore(make)
    yield Place(store, folder, inside, {folder / "neighbour"})
    store.end()


def stage_at(place: Place, tmp_path: Path) -> Stage:
    return Stage(tmp_path / "stage", store=cast(MemoryStore, place.store))


def keys_of(place: Place) -> set[str]:
    async def read() -> set[str]:
        return {each.key async for each in place.store.list()}

    return asyncio.run(read())


def head(place: Place, key: str) -> ObjectInfo:
    found: ObjectInfo = asyncio.run(place.store.head(key))
    return found


def get(place: Place, key: str) -> bytes:
    found: bytes = asyncio.run(place.store.get(key))
    return found


def test_a_takeover_on_another_disk_leaves_true_files_and_nothing_else(place: Place, tmp_path: Path) -> None:
    stage = stage_at(place, tmp_path)
    stage.spec(participants=True, durability=recording_pb2.DURABILITY_STORE)
    audio = stage.tape(Codec.OPUS, "TR_A").sound(0, 20 * SECOND).end(20 * SECOND)
    video = stage.tape(Codec.VP8, "TR_V").pictures(0, 20 * SECOND).end(20 * SECOND)
    stage.snapshot()

    async def dies() -> None:
        task = asyncio.create_task(stage.run().run())
        await stage.at(9 * SECOND)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    stage.play(dies())
    stage.recording.started_at_ms = EPOCH_MS
    stage.spool_name = "another-disk"
    stage.play(stage.at(15 * SECOND))
    assert stage.record(22 * SECOND, lease=Lease(2)).conclusion is Conclusion.OVER

    segments = [key for key in keys_of(place) if NAMES.parse_segment(key) is not None]
    assert {name.epoch for key in segments if (name := NAMES.parse_segment(key))} == {1, 2}
    for key in segments:
        record = json.loads(head(place, key).metadata["record"])
        assert record["sha256"] == hashlib.sha256(get(place, key)).hexdigest()

    [file] = stage.finish().files
    values: dict[str, Any] = json.loads(get(place, NAMES.manifest))
    validate(values)
    assert keys_of(place) == {file.key, NAMES.manifest}
    content = get(place, file.key)
    [listed] = values["files"]
    assert (listed["key"], listed["bytes"]) == (file.key, len(content))
    assert listed["sha256"] == file.sha256 == hashlib.sha256(content).hexdigest()
    info = head(place, file.key)
    assert (info.content_type, info.metadata["sha256"]) == ("video/webm", file.sha256)
    assert {track["media"]: (track["frames"], track["gaps"]) for track in values["tracks"]}.keys() == {
        "audio",
        "video",
    }
    assert [track["gaps"] for track in values["tracks"]] == [[], []]
    found = decode(stage.fetch(file.key))
    assert found.errors == ""
    assert len(found.video_times) == len(video.sent)
    assert found.audio_samples / 48_000 == pytest.approx(len(audio.sent) / 50, abs=0.6)
    assert all(each.is_relative_to(place.inside) for each in place.files() - place.outside)


HOSTILE = ["../../etc/passwd", "..", "/", "a/b", "-", "\u202egnp.exe", "é" * 256, "CON", "a\nb", "%2e%2e%2f"]


@pytest.mark.parametrize("template", ["{identity}-{source}", "{room}/{identity}/{source}"])
def test_no_name_of_a_user_leads_out_of_the_prefix(place: Place, tmp_path: Path, template: str) -> None:
    """Names come from users and may have any characters. A name of 4 KiB is refused by the SFU; here it
    costs nothing but its own size."""
    stage = stage_at(place, tmp_path)
    stage.spec(key_template=template)
    stage.recording.room = "../../room"
    for number, identity in enumerate([*HOSTILE, "x" * 4_096]):
        tape = stage.tape(Codec.OPUS, f"TR_{number}", identity, name="/../" * 800)
        tape.sound(0, 3 * SECOND).end(3 * SECOND)
    stage.snapshot()
    stage.record(4 * SECOND)
    files = stage.finish().files
    assert {file.identity for file in files} == {*HOSTILE, "x" * 4_096}
    assert len({file.key for file in files}) == len(files)
    assert keys_of(place) == {file.key for file in files} | {NAMES.manifest}
    assert all(each.is_relative_to(place.inside) for each in place.files() - place.outside)
    assert (place.folder / "neighbour").read_bytes() == b"of another"
    values: dict[str, Any] = json.loads(get(place, NAMES.manifest))
    validate(values)
    assert {track["identity"] for track in values["tracks"]} == {*HOSTILE, "x" * 4_096}
    found = decode(stage.fetch(files[-1].key))
    assert found.audio_samples / 48_000 == pytest.approx(3.5, abs=0.6)


def test_a_recording_is_deleted_and_forgotten_in_the_store(place: Place, tmp_path: Path) -> None:
    from services.recorder.tests.test_finishing import with_finisher

    stage = stage_at(place, tmp_path)
    for identity in ("anna", "ben"):
        stage.tape(Codec.OPUS, f"TR_{identity}", identity).sound(0, 7 * SECOND).end(7 * SECOND)
    stage.snapshot()
    stage.record(8 * SECOND)
    files = {file.identity: file.key for file in stage.finish().files}
    with_finisher(stage, lambda finisher: finisher.forget(stage.recording, "anna"))
    assert keys_of(place) == {files["ben"], NAMES.manifest}
    assert b"anna" not in get(place, NAMES.manifest)
    with_finisher(stage, lambda finisher: finisher.delete(stage.recording))
    assert keys_of(place) == set()
    assert (place.folder / "neighbour").read_bytes() == b"of another"
