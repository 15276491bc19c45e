"""Contract of every bus: key-value buckets."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from nexus_bus import (
    Bus,
    BusError,
    Change,
    Entry,
    KeyExists,
    KeyValue,
    PayloadTooLarge,
    RevisionMismatch,
    Synced,
    Watch,
    WatchStep,
)
from nexus_bus.bus import MAX_PAYLOAD_BYTES
from nexus_testkit import wait_until

Connect = Callable[[], Awaitable[Bus]]
Unique = Callable[[str], str]


@pytest.fixture
async def kv(bus: Bus, unique: Unique) -> KeyValue:
    return await bus.kv(unique("bucket"))


async def step(watch: Watch) -> WatchStep:
    return await asyncio.wait_for(anext(watch), 10)


async def test_a_written_value_can_be_read(kv: KeyValue) -> None:
    assert await kv.get("a.b") is None
    revision = await kv.put("a.b", b"1")
    assert await kv.get("a.b") == Entry("a.b", b"1", revision)
    later = await kv.put("a.b", b"2")
    assert later > revision
    assert await kv.get("a.b") == Entry("a.b", b"2", later)


async def test_an_empty_value_is_a_value(kv: KeyValue) -> None:
    revision = await kv.create("empty", b"")
    assert await kv.get("empty") == Entry("empty", b"", revision)


async def test_create_fails_for_an_existing_key(kv: KeyValue) -> None:
    await kv.create("room", b"first")
    with pytest.raises(KeyExists):
        await kv.create("room", b"second")
    entry = await kv.get("room")
    assert entry is not None
    assert entry.value == b"first"


async def test_of_many_creators_one_wins(connect: Connect, unique: Unique) -> None:
    bucket = unique("race")
    views = [await (await connect()).kv(bucket) for _ in range(4)]
    outcomes = await asyncio.gather(*(view.create("k", b"x") for view in views), return_exceptions=True)
    assert sum(isinstance(outcome, int) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, KeyExists) for outcome in outcomes) == 3


async def test_update_needs_the_last_revision(kv: KeyValue) -> None:
    first = await kv.create("k", b"1")
    second = await kv.update("k", b"2", first)
    with pytest.raises(RevisionMismatch):
        await kv.update("k", b"3", first)
    with pytest.raises(RevisionMismatch):
        await kv.update("other", b"3", second)
    assert await kv.get("k") == Entry("k", b"2", second)


async def test_revisions_begin_at_one(kv: KeyValue) -> None:
    with pytest.raises(ValueError):
        await kv.update("k", b"", 0)
    with pytest.raises(ValueError):
        await kv.delete("k", 0)


async def test_a_deleted_key_can_be_created_again(kv: KeyValue) -> None:
    first = await kv.create("k", b"1")
    await kv.delete("k")
    await kv.delete("k")
    assert await kv.get("k") is None
    assert await kv.keys() == []
    with pytest.raises(RevisionMismatch):
        await kv.update("k", b"2", first)
    again = await kv.create("k", b"2")
    assert again > first
    assert await kv.get("k") == Entry("k", b"2", again)
    with pytest.raises(KeyExists):
        await kv.create("k", b"3")


async def test_delete_checks_the_given_revision(kv: KeyValue) -> None:
    first = await kv.create("k", b"1")
    second = await kv.put("k", b"2")
    with pytest.raises(RevisionMismatch):
        await kv.delete("k", first)
    await kv.delete("k", second)
    with pytest.raises(RevisionMismatch):
        await kv.delete("k", second)
    assert await kv.get("k") is None


async def test_keys_match_patterns(kv: KeyValue) -> None:
    assert await kv.keys() == []
    for key in ("b.y", "a.x", "a.y", "a.y.z"):
        await kv.put(key, b"")
    assert await kv.keys() == ["a.x", "a.y", "a.y.z", "b.y"]
    assert await kv.keys("a.*") == ["a.x", "a.y"]
    assert await kv.keys("a.>") == ["a.x", "a.y", "a.y.z"]
    assert await kv.keys("c.*") == []


@pytest.mark.parametrize("key", ["", ".", "a.", ".a", "a..b", "a b", "a*", "ä", "a.>"])
async def test_a_bad_key_is_refused(kv: KeyValue, key: str) -> None:
    with pytest.raises(ValueError):
        await kv.put(key, b"")
    with pytest.raises(ValueError):
        await kv.get(key)


async def test_an_oversized_value_is_refused(kv: KeyValue) -> None:
    with pytest.raises(PayloadTooLarge):
        await kv.put("k", bytes(MAX_PAYLOAD_BYTES + 1))


async def test_a_watch_of_an_empty_bucket_is_synced_at_once(kv: KeyValue) -> None:
    async with await kv.watch() as watch:
        assert await step(watch) == Synced()
        revision = await kv.put("k", b"1")
        assert await step(watch) == Change("k", b"1", revision)


async def test_a_watch_lists_then_follows(connect: Connect, unique: Unique) -> None:
    bucket = unique("watched")
    writer = await (await connect()).kv(bucket)
    reader = await (await connect()).kv(bucket)
    await writer.put("a.1", b"old")
    await writer.put("gone.1", b"x")
    await writer.delete("gone.1")
    first = await writer.put("a.1", b"1")
    second = await writer.put("a.2", b"2")
    await writer.put("b.1", b"not watched")
    async with await reader.watch("a.*") as watch:
        assert [await step(watch) for _ in range(3)] == [
            Change("a.1", b"1", first),
            Change("a.2", b"2", second),
            Synced(),
        ]
        await writer.delete("a.1")
        deleted = await step(watch)
        assert isinstance(deleted, Change)
        assert (deleted.key, deleted.value) == ("a.1", None)
        assert deleted.revision > second
        await writer.put("b.1", b"still not watched")
        back = await writer.create("a.1", b"3")
        assert await step(watch) == Change("a.1", b"3", back)


async def test_a_slow_watcher_receives_every_last_value(kv: KeyValue) -> None:
    async with await kv.watch() as watch:
        assert await step(watch) == Synced()
        for number in range(50):
            await kv.put("busy", b"%d" % number)
        last = await kv.put("other", b"x")
        seen: list[WatchStep] = []
        while not seen or seen[-1] != Change("other", b"x", last):
            seen.append(await step(watch))
        busy = [s.value for s in seen if isinstance(s, Change) and s.key == "busy"]
        assert busy[-1] == b"49"
        assert busy == sorted(busy, key=lambda value: int(value or b"-1"))


async def test_a_closed_watch_ends(bus: Bus, kv: KeyValue) -> None:
    watch = await kv.watch()
    await step(watch)
    await watch.close()
    await kv.put("k", b"")
    assert [s async for s in watch] == []
    other = await kv.watch()
    await bus.close()
    await asyncio.wait_for(_exhaust(other), 10)


async def _exhaust(watch: Watch) -> None:
    async for _ in watch:
        pass


async def test_a_key_expires_unless_it_is_written_again(bus: Bus, unique: Unique) -> None:
    kv = await bus.kv(unique("beats"), ttl_seconds=1.0)
    async with await kv.watch() as watch:
        assert await step(watch) == Synced()
        first = await kv.create("node", b"1")
        assert await step(watch) == Change("node", b"1", first)
        expired = await step(watch)
        assert isinstance(expired, Change)
        assert (expired.key, expired.value) == ("node", None)
        assert await kv.get("node") is None
        assert await kv.keys() == []
        with pytest.raises(RevisionMismatch):
            await kv.update("node", b"2", first)
        again = await kv.create("node", b"2")
        assert await step(watch) == Change("node", b"2", again)


async def test_a_bucket_opened_without_a_ttl_takes_a_later_one(connect: Connect, unique: Unique) -> None:
    bucket = unique("late")
    reader = await (await connect()).kv(bucket)
    writer = await (await connect()).kv(bucket, ttl_seconds=1.0)
    await (await connect()).kv(bucket)
    await writer.put("k", b"")

    async def gone() -> bool:
        return await reader.get("k") is None

    assert not await gone()
    await wait_until(gone)


async def test_a_last_value_can_expire_in_a_bucket_without_ttl(kv: KeyValue) -> None:
    for key in ("ended", "written-again", "open"):
        await kv.create(key, b"1")
    async with await kv.watch() as watch:
        assert isinstance([await step(watch) for _ in range(4)][-1], Synced)
        for key in ("ended", "written-again"):
            entry = await kv.get(key)
            assert entry is not None
            last = await kv.update(key, b"2", entry.revision, ttl_seconds=1)
        await kv.update("written-again", b"3", last)
        seen = [await step(watch) for _ in range(2)]
        while not any(isinstance(s, Change) and s.value is None for s in seen):
            seen.append(await step(watch))
        assert isinstance(seen[-1], Change)
        assert seen[-1].key == "ended"
    assert await kv.keys() == ["open", "written-again"]
    await kv.create("ended", b"again")


@pytest.mark.parametrize("ttl_seconds", [0, -1])
async def test_a_lifetime_below_a_second_is_refused(kv: KeyValue, ttl_seconds: int) -> None:
    revision = await kv.create("k", b"1")
    with pytest.raises(ValueError):
        await kv.update("k", b"2", revision, ttl_seconds=ttl_seconds)


async def test_one_server_keeps_one_replica_of_a_bucket(bus: Bus, unique: Unique) -> None:
    bucket = unique("replicas")
    await bus.kv(bucket, replicas=1)
    with pytest.raises(BusError):
        await bus.kv(bucket, replicas=3)
    with pytest.raises(BusError):
        await bus.kv(unique("replicas"), replicas=3)
    await (await bus.kv(bucket)).put("k", b"1")
