"""The folder itself: crashes, links out of the folder, full disks, and files that were copied there."""

import asyncio
import errno
import io
import itertools
import json
import multiprocessing
import os
import secrets
from collections.abc import AsyncIterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from nexus_storage import (
    FolderSettings,
    FolderStore,
    ObjectExists,
    ObjectNotFound,
    StorageFull,
    StorageRefused,
    StorageUnavailable,
)
from nexus_storage.folder_sidecars import Description
from nexus_testkit import ManualClock

KEY = "room/call/segment.m4s"
EPOCH_S = 1_700_000_000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    return root


@pytest.fixture
async def store(root: Path) -> AsyncIterator[FolderStore]:
    store = FolderStore("folder", FolderSettings(kind="folder", path=root))
    yield store
    await store.close()


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


async def keys(store: FolderStore) -> list[str]:
    return [found.key async for found in store.list()]


async def test_an_object_is_a_file_that_others_can_read(store: FolderStore, root: Path) -> None:
    await store.put(KEY, b"content", content_type="video/mp4")
    assert (root / KEY).read_bytes() == b"content"
    assert (root / KEY).stat().st_mode & 0o777 == 0o640 & ~current_umask()
    assert not list((root / ".nexus/tmp").iterdir())


def current_umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


async def test_a_removed_object_leaves_nothing(store: FolderStore, root: Path) -> None:
    await store.put(KEY, b"1", metadata={"n": "1"})
    await store.put(KEY, b"2", metadata={"n": "2"})
    await store.delete(KEY)
    assert files(root) == []
    assert not (root / "room").exists()
    assert not (root / ".nexus/sidecars").exists()


async def test_a_replaced_object_has_one_sidecar(store: FolderStore, root: Path) -> None:
    for number in range(5):
        await store.put(KEY, b"x", metadata={"n": str(number)})
    assert len(files(root / ".nexus")) == 1


async def test_a_missing_folder_is_refused_and_not_created(tmp_path: Path) -> None:
    path = tmp_path / "not mounted"
    store = FolderStore("folder", FolderSettings(kind="folder", path=path))
    with pytest.raises(StorageRefused, match="NoSuchFolder"):
        await store.probe()
    assert not path.exists()
    await store.close()


@pytest.mark.parametrize("key", ["link/secret", "link/new", "file-link", "a/link/b"])
async def test_symbolic_links_lead_nowhere(store: FolderStore, root: Path, tmp_path: Path, key: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (root / "link").symlink_to(outside)
    (root / "file-link").symlink_to(outside / "secret")
    (root / "a").mkdir()
    (root / "a/link").symlink_to(outside)

    with pytest.raises(ObjectNotFound):
        await store.get(key)
    await store.delete(key)
    if "/" in key:
        with pytest.raises(StorageRefused):
            await store.put(key, b"overwritten")
    else:
        await store.put(key, b"replaces the link itself")
        assert not (root / key).is_symlink()
    assert files(outside) == ["secret"]
    assert (outside / "secret").read_text() == "secret"
    assert await keys(store) == ([] if "/" in key else [key])


async def test_the_folder_itself_may_be_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    store = FolderStore("folder", FolderSettings(kind="folder", path=tmp_path / "link"))
    await store.put(KEY, b"x")
    assert (root / KEY).exists()
    await store.close()


async def test_what_is_no_file_is_no_object(store: FolderStore, root: Path) -> None:
    os.mkfifo(root / "fifo")
    (root / "folder").mkdir()
    (root / os.fsdecode(b"bad-\xff")).write_text("not UTF-8")
    (root / "with:colon").write_text("not a key")
    for key in ("fifo", "folder"):
        with pytest.raises(ObjectNotFound):
            await store.get(key)
    assert await keys(store) == []


async def test_a_key_inside_an_object_and_a_key_that_is_a_folder_are_refused(store: FolderStore) -> None:
    await store.put("a/b", b"x")
    with pytest.raises(StorageRefused):
        await store.put("a/b/c", b"y")
    with pytest.raises(StorageRefused):
        await store.put("a", b"y")
    with pytest.raises((ObjectExists, StorageRefused)):
        await store.put("a", b"y", if_absent=True)
    assert await keys(store) == ["a/b"]


async def test_a_file_that_was_copied_here_is_an_object(store: FolderStore, root: Path) -> None:
    (root / "copied.mp4").write_bytes(b"copied")
    info = await store.head("copied.mp4")
    assert (info.size, info.content_type, dict(info.metadata)) == (6, "application/octet-stream", {})
    assert await keys(store) == ["copied.mp4"]


async def test_a_backup_that_loses_nanoseconds_keeps_the_metadata(store: FolderStore, root: Path) -> None:
    await store.put(KEY, b"content", metadata={"n": "1"})
    seconds = int((root / KEY).stat().st_mtime)
    os.utime(root / KEY, (seconds, seconds))
    assert dict((await store.head(KEY)).metadata) == {"n": "1"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"size": 7}',
        "\xff",
        '{"size": 7, "content_type": "a/b", "metadata": {"N\\n": 1}}',
        '{"size": 7, "content_type": "a/b\\r\\nX: y", "metadata": {}}',
    ],
)
async def test_a_hand_edited_sidecar_is_ignored(store: FolderStore, root: Path, text: str) -> None:
    await store.put(KEY, b"content", metadata={"n": "1"})
    (sidecar,) = (root / ".nexus/sidecars").rglob("*:*")
    sidecar.write_text(text, encoding="latin-1")
    info = await store.head(KEY)
    assert (info.content_type, dict(info.metadata)) == ("application/octet-stream", {})


async def test_a_file_that_was_edited_in_place_has_no_metadata_of_another(
    store: FolderStore, root: Path
) -> None:
    await store.put(KEY, b"content", metadata={"sha256": "of the content"})
    time_ns = (root / KEY).stat().st_mtime_ns
    (root / KEY).write_bytes(b"longer content")
    os.utime(root / KEY, ns=(time_ns, time_ns))
    assert dict((await store.head(KEY)).metadata) == {}


async def test_two_writers_at_one_moment_have_different_sidecars(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "randbelow", lambda bound: 0)
    settings = FolderSettings(kind="folder", path=root)
    store = FolderStore("folder", settings, clock=ManualClock(EPOCH_S))
    await store.put(KEY, b"content", metadata={"n": "1"}, if_absent=True)
    # The second writer has not seen the object of the first.
    monkeypatch.setattr(store, "_exists", lambda key: False)
    with pytest.raises(ObjectExists):
        await store.put(KEY, b"content", metadata={"n": "2"}, if_absent=True)
    assert dict((await store.head(KEY)).metadata) == {"n": "1"}
    await store.close()


async def test_an_object_that_is_replaced_while_it_is_opened_is_not_mixed(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.put(KEY, b"old", metadata={"version": "old"})
    read, calls = store._sidecars.read, itertools.count()

    def replace_first(key: str, status: os.stat_result) -> Description | None:
        if next(calls) == 0:
            store._write(key, io.BytesIO(b"new"), Description("a/b", {"version": "new"}), False)
        return read(key, status)

    monkeypatch.setattr(store._sidecars, "read", replace_first)
    async with await store.open(KEY) as reader:
        assert (await reader.read()).decode() == reader.info.metadata["version"]


async def test_an_open_reader_survives_replacement_and_removal(store: FolderStore) -> None:
    await store.put(KEY, b"old" * 100_000)
    async with await store.open(KEY) as reader:
        await store.put(KEY, b"new")
        await store.delete(KEY)
        assert b"".join([chunk async for chunk in reader]) == b"old" * 100_000


async def test_a_reader_never_mixes_two_versions(store: FolderStore) -> None:
    async def write() -> None:
        for number in range(20):
            await store.put(KEY, b"%02d" % number, metadata={"version": f"{number:02}"})

    await store.put(KEY, b"xx", metadata={"version": "xx"})
    writing = asyncio.create_task(write())
    while not writing.done():
        async with await store.open(KEY) as reader:
            assert (await reader.read()).decode() == reader.info.metadata["version"]
        await asyncio.sleep(0)
    await writing


async def test_a_file_that_is_cut_short_while_it_is_read_is_an_error(store: FolderStore, root: Path) -> None:
    await store.put(KEY, b"x" * 1_000_000)
    reader = await store.open(KEY)
    await reader.read()
    os.truncate(root / KEY, 1000)
    with pytest.raises(StorageUnavailable, match="Truncated"):
        [chunk async for chunk in reader]
    await reader.close()


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.ENOSPC, StorageFull),
        (errno.EDQUOT, StorageFull),
        (errno.EROFS, StorageRefused),
        (errno.EACCES, StorageRefused),
        (errno.EIO, StorageUnavailable),
        (errno.ESTALE, StorageUnavailable),
    ],
)
@pytest.mark.parametrize("call", ["fsync", "link", "mkdir"])
async def test_a_failed_write_is_one_error_and_leaves_nothing(
    store: FolderStore,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    error: type[Exception],
    call: str,
) -> None:
    def fail(*args: Any, **options: Any) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(error, match=errno.errorcode[number]):
            await store.put(KEY, b"content", metadata={"n": "1"}, if_absent=True)
    assert files(root) == []
    await store.put(KEY, b"content", if_absent=True)
    assert await store.get(KEY) == b"content"


async def run(*command: str) -> int:
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    return await process.wait()


async def test_a_really_full_disk_is_an_error_and_passes(store: FolderStore, root: Path) -> None:
    """A file system of 1 MiB, if this process may mount one."""
    if await run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(root)) != 0:
        pytest.skip("this process may not mount a file system")
    try:
        with pytest.raises(StorageFull, match="ENOSPC"):
            await store.put(KEY, bytes(2 << 20), metadata={"n": "1"})
        assert files(root) == []
        await store.put(KEY, bytes(1000))
    finally:
        assert await run("umount", str(root)) == 0


def write_without_end(root: Path, confirmed: Connection) -> None:
    async def write() -> None:
        store = FolderStore("folder", FolderSettings(kind="folder", path=root))
        for number in itertools.count():
            metadata = {"n": str(number)}
            await store.put(f"new/{number}", b"%d" % number * 5000, metadata=metadata, if_absent=True)
            await store.put("replaced", b"%d," % number * 5000, metadata=metadata)
            confirmed.send(number)

    asyncio.run(write())


@pytest.mark.parametrize("survived", [1, 2, 5])
def test_a_writer_that_is_killed_leaves_only_whole_objects(root: Path, survived: int) -> None:
    processes = multiprocessing.get_context("fork")
    receiver, sender = processes.Pipe(duplex=False)
    writer = processes.Process(target=write_without_end, args=(root, sender))
    writer.start()
    for _ in range(survived):
        confirmed = receiver.recv()
    writer.kill()
    writer.join()
    while receiver.poll():
        confirmed = receiver.recv()

    async def examine() -> None:
        clock = ManualClock(EPOCH_S * 2)
        store = FolderStore("folder", FolderSettings(kind="folder", path=root), clock=clock)
        number = (await store.head("replaced")).metadata["n"]
        assert await store.get("replaced") == f"{number},".encode() * 5000
        assert int(number) >= confirmed
        for key in await keys(store):
            if key.startswith("new/"):
                expected = key.removeprefix("new/")
                assert await store.get(key) == expected.encode() * 5000
                assert dict((await store.head(key)).metadata) == {"n": expected}
        await store.sweep(older_than_s=60)
        assert files(root / ".nexus/tmp") == []
        assert len(files(root / ".nexus/sidecars")) == len(await keys(store))
        assert await store.delete_prefix("new/") > 0
        await store.delete("replaced")
        assert files(root) == []
        await store.close()

    asyncio.run(examine())


async def test_the_sweep_leaves_what_is_young_or_in_use(root: Path) -> None:
    clock = ManualClock(EPOCH_S)
    store = FolderStore("folder", FolderSettings(kind="folder", path=root), clock=clock)
    await store.put(KEY, b"content", metadata={"n": "1"})
    temporary = root / ".nexus/tmp/abandoned"
    temporary.write_text("half an object")
    orphan = root / ".nexus/sidecars/gone:0000000000000001"
    orphan.write_text(json.dumps({"size": 1, "content_type": "a/b", "metadata": {}}))
    other = root / f".nexus/sidecars/{KEY}:0000000000000001"
    other.write_text(orphan.read_text())

    assert await store.sweep(older_than_s=3600) == 0
    # The files are of the real present, which is after EPOCH_S.
    clock.step(10 * 365 * 86400)
    assert await store.sweep(older_than_s=3600) == 3
    assert not any(path.exists() for path in (temporary, orphan, other))
    assert dict((await store.head(KEY)).metadata) == {"n": "1"}
    await store.close()
