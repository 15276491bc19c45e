"""The behaviour of every store: the folder, S3 (versitygw) and the in-memory twin."""

import asyncio
import hashlib
from pathlib import Path

import pytest
from nexus_storage import (
    InvalidKey,
    InvalidRange,
    LinkRefused,
    ObjectExists,
    ObjectNotFound,
    Store,
    put_once,
)
from nexus_storage.store import CHUNK_BYTES, MAX_LINK_SECONDS

KEY = "app/room/segment-000001.m4s"
# Keys that are legal and easy to get wrong in URLs, signatures and paths.
UNUSUAL_KEYS = [
    "a b/c+d=e&f@g~h;i,j!k'l(m)n[o]p{q}r^s`t%20u#v$w",
    "会議室/ビデオ-Jürgen.webm",
    "..a/b../.c/...",
    "x" * 230 + "/" + "ü" * 115,
]


async def all_keys(store: Store, prefix: str = "", start_after: str = "") -> list[str]:
    return [found.key async for found in store.list(prefix, start_after=start_after)]


async def read_all(store: Store, key: str, offset: int = 0, length: int | None = None) -> bytes:
    async with await store.open(key, offset=offset, length=length) as reader:
        chunks = [chunk async for chunk in reader]
        data = b"".join(chunks)
        assert len(data) == reader.length
        assert all(len(chunk) <= CHUNK_BYTES for chunk in chunks)
        return data


async def test_an_object_comes_back_with_its_content_type_and_metadata(store: Store) -> None:
    metadata = {"sha256": "ab" * 32, "name": "Jürgen 100% 会議  two spaces", "empty": ""}
    await store.put(KEY, b"content", content_type="video/mp4", metadata=metadata)

    assert await store.get(KEY) == b"content"
    info = await store.head(KEY)
    assert (info.key, info.size, info.content_type) == (KEY, 7, "video/mp4")
    assert dict(info.metadata) == metadata
    assert info.modified_ms > 1_600_000_000_000
    async with await store.open(KEY, offset=3) as reader:
        assert reader.info == info


async def test_an_empty_object_is_an_object(store: Store) -> None:
    await store.put(KEY, b"")
    assert await store.get(KEY) == b""
    assert await read_all(store, KEY) == b""
    assert await read_all(store, KEY, 0, 10) == b""
    assert (await store.head(KEY)).size == 0
    assert await all_keys(store) == [KEY]


@pytest.mark.parametrize("key", UNUSUAL_KEYS)
async def test_unusual_keys_are_kept(store: Store, key: str) -> None:
    await store.put(key, key.encode(), if_absent=True)
    assert await store.get(key) == key.encode()
    assert await all_keys(store) == [key]
    await store.delete(key)
    assert await all_keys(store) == []


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "a/../b",
        "../a",
        "a\\b",
        "a\x00b",
        "a\nb",
        "a:b",
        ".nexus/tmp/x",
        "\ud800",
        "x" * 231,
        "/".join(["x" * 200] * 5),
    ],
)
async def test_keys_that_some_store_cannot_keep_are_refused_by_all(store: Store, key: str) -> None:
    with pytest.raises(InvalidKey):
        await store.put(key, b"")
    for call in (store.get, store.head, store.delete, store.open):
        with pytest.raises(InvalidKey):
            await call(key)
    with pytest.raises(InvalidKey):
        await store.presign(key, expires_s=60)


@pytest.mark.parametrize(
    ("content_type", "metadata"),
    [
        ("video", {}),
        ("a/b\nX: y", {}),
        ("a/b", {"Name": "x"}),
        ("a/b", {"n": "a\r\nb"}),
        ("a/b", {"n": "x" * 2048}),
    ],
)
async def test_metadata_that_some_store_cannot_keep_are_refused(
    store: Store, content_type: str, metadata: dict[str, str]
) -> None:
    with pytest.raises(InvalidKey):
        await store.put(KEY, b"", content_type=content_type, metadata=metadata)
    assert await all_keys(store) == []


async def test_a_second_put_replaces_content_and_metadata(store: Store) -> None:
    await store.put(KEY, b"first", content_type="a/b", metadata={"n": "1"})
    before = await store.head(KEY)
    await store.put(KEY, b"other", content_type="c/d", metadata={"m": "2"})
    after = await store.head(KEY)
    assert await store.get(KEY) == b"other"
    assert (after.content_type, dict(after.metadata)) == ("c/d", {"m": "2"})
    assert after.etag != before.etag


async def test_create_if_absent_changes_nothing_that_is_there(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"from a file")
    await store.put(KEY, b"first", metadata={"n": "1"}, if_absent=True)
    before = await store.head(KEY)
    with pytest.raises(ObjectExists):
        await store.put(KEY, b"second", metadata={"n": "2"}, if_absent=True)
    with pytest.raises(ObjectExists):
        await store.put_file(KEY, file, if_absent=True)
    assert await store.get(KEY) == b"first"
    assert await store.head(KEY) == before


async def test_of_many_that_create_one_object_exactly_one_succeeds(store: Store) -> None:
    async def create(number: int) -> int | None:
        try:
            await store.put(KEY, b"%d" % number, metadata={"writer": str(number)}, if_absent=True)
        except ObjectExists:
            return None
        return number

    winners = [number for number in await asyncio.gather(*map(create, range(12))) if number is not None]
    assert len(winners) == 1
    assert await store.get(KEY) == b"%d" % winners[0]
    assert dict((await store.head(KEY)).metadata) == {"writer": str(winners[0])}


async def test_of_many_that_replace_one_object_one_remains_whole(store: Store) -> None:
    await asyncio.gather(
        *(store.put(KEY, b"%d" % number * 1000, metadata={"writer": str(number)}) for number in range(1, 9))
    )
    data = await store.get(KEY)
    assert data == data[:1] * 1000
    assert dict((await store.head(KEY)).metadata) == {"writer": data[:1].decode()}
    assert await all_keys(store) == [KEY]


async def test_a_file_is_stored(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "file"
    data = bytes(range(256)) * 4096  # 1 MiB
    file.write_bytes(data)
    await store.put_file(KEY, file, content_type="video/webm", metadata={"n": "1"}, if_absent=True)
    assert await read_all(store, KEY) == data
    info = await store.head(KEY)
    assert (info.size, info.content_type, dict(info.metadata)) == (len(data), "video/webm", {"n": "1"})


async def test_a_file_that_cannot_be_read_is_an_os_error(store: Store, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await store.put_file(KEY, tmp_path / "missing")
    assert await all_keys(store) == []


async def test_ranges(store: Store) -> None:
    data = bytes(range(200))
    await store.put(KEY, data)
    assert await read_all(store, KEY, 0, 10) == data[:10]
    assert await read_all(store, KEY, 5, 10) == data[5:15]
    assert await read_all(store, KEY, 190, 100) == data[190:]
    assert await read_all(store, KEY, 199) == data[199:]
    assert await read_all(store, KEY, 7, 0) == b""
    for offset in (200, 201):
        with pytest.raises(InvalidRange):
            await store.open(KEY, offset=offset)
    with pytest.raises(InvalidRange):
        await store.open(KEY, offset=-1)
    with pytest.raises(InvalidRange):
        await store.open(KEY, length=-1)


async def test_a_reader_can_be_left_early_and_closed_twice(store: Store) -> None:
    await store.put(KEY, bytes(CHUNK_BYTES * 3))
    reader = await store.open(KEY)
    assert len(await reader.read()) > 0
    await reader.close()
    await reader.close()


async def test_get_reads_no_more_than_it_may(store: Store) -> None:
    await store.put(KEY, b"12345")
    assert await store.get(KEY, max_bytes=5) == b"12345"
    with pytest.raises(InvalidRange):
        await store.get(KEY, max_bytes=4)


async def test_what_is_missing_is_not_found(store: Store) -> None:
    await store.put("a/b", b"")
    for key in ("a", "b", "a/b/c", "a/bb"):
        with pytest.raises(ObjectNotFound) as caught:
            await store.head(key)
        assert caught.value.key == key
        with pytest.raises(ObjectNotFound):
            await store.get(key)
        with pytest.raises(ObjectNotFound):
            await store.open(key, offset=1)
        await store.delete(key)
    assert await all_keys(store) == ["a/b"]


async def test_a_listing_is_in_the_order_of_the_bytes_of_the_keys(store: Store) -> None:
    keys = ["b", "a/b", "a-b/c", "a0", "a/b0", "a/c/d", "a/ü", "Z/y", "a/c-d", "a/c0"]
    for key in keys:
        await store.put(key, key.encode())
    ordered = sorted(keys, key=str.encode)
    assert await all_keys(store) == ordered
    assert await all_keys(store, "a") == [key for key in ordered if key.startswith("a")]
    assert await all_keys(store, "a/") == [key for key in ordered if key.startswith("a/")]
    assert await all_keys(store, "a/c") == ["a/c-d", "a/c/d", "a/c0"]
    assert await all_keys(store, "missing/") == []
    for key in ordered:
        assert await all_keys(store, start_after=key) == ordered[ordered.index(key) + 1 :]
    assert await all_keys(store, "a/", start_after="a/b0") == ["a/c-d", "a/c/d", "a/c0", "a/ü"]


async def test_a_listing_has_size_etag_and_time_of_the_object(store: Store) -> None:
    await store.put(KEY, b"12345")
    (listed,) = [found async for found in store.list()]
    info = await store.head(KEY)
    assert (listed.key, listed.size, listed.etag) == (KEY, 5, info.etag)
    # HTTP dates are in whole seconds, listings of S3 in milliseconds.
    assert abs(listed.modified_ms - info.modified_ms) < 1000


@pytest.mark.parametrize("prefix", ["/", "../", "a//", "a\\"])
async def test_prefixes_that_no_key_has_are_refused(store: Store, prefix: str) -> None:
    with pytest.raises(InvalidKey):
        await all_keys(store, prefix)


async def test_a_prefix_is_removed_and_its_neighbours_stay(store: Store) -> None:
    for key in ("r/1/a", "r/1/b/c", "r/10/a", "r/2"):
        await store.put(key, b"x")
    assert await store.delete_prefix("r/1/") == 2
    assert await all_keys(store) == ["r/10/a", "r/2"]
    assert await store.delete_prefix("r/1/") == 0
    for prefix in ("r/1", "", "/"):
        with pytest.raises(InvalidKey):
            await store.delete_prefix(prefix)


async def test_an_upload_whose_answer_was_lost_can_be_repeated(store: Store) -> None:
    digest = hashlib.sha256(b"data").hexdigest()
    assert await put_once(store, KEY, b"data", sha256=digest, metadata={"n": "1"})
    assert not await put_once(store, KEY, b"data", sha256=digest, metadata={"n": "1"})
    with pytest.raises(ObjectExists):
        await put_once(store, KEY, b"atad", sha256=hashlib.sha256(b"atad").hexdigest())
    assert dict((await store.head(KEY)).metadata) == {"n": "1", "sha256": digest}


@pytest.mark.parametrize("expires_s", [0, -1, MAX_LINK_SECONDS + 1])
async def test_a_link_lives_for_one_second_to_seven_days(store: Store, expires_s: int) -> None:
    with pytest.raises(LinkRefused):
        await store.presign(KEY, expires_s=expires_s)


async def test_the_probe_leaves_nothing(store: Store) -> None:
    await store.probe()
    assert await all_keys(store) == []
