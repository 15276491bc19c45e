"""A KV bucket in memory, with the semantics of JetStream: the revision counts every write to the bucket,
deletes included."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from nexus_bus.bus import MAX_PAYLOAD_BYTES, Entry, KeyExists, PayloadTooLarge, RevisionMismatch, Watch
from nexus_bus.mailbox import Changes
from nexus_bus.matching import check_key, check_pattern, check_ttl, matches

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class _Written:
    entry: Entry
    at_seconds: float
    ttl_seconds: float | None = None  # of this value; otherwise the bucket's TTL applies


class Bucket:
    """A bucket as the broker holds it, shared by all connections."""

    def __init__(self, ttl_seconds: float | None, clock: Clock | None) -> None:
        self.ttl_seconds = ttl_seconds
        self._clock = clock
        self._entries: dict[str, _Written] = {}
        self._revision = 0
        self._watchers: list[tuple[str, Changes]] = []

    def _now(self) -> float:
        return self._clock() if self._clock is not None else asyncio.get_running_loop().time()

    def expire(self) -> None:
        """Removes expired keys. Called before every operation, and by a timer if the clock is the real
        one."""
        ends = [(key, self._end_seconds(written)) for key, written in self._entries.items()]
        mortal = [(key, end) for key, end in ends if end is not None]
        if not mortal:
            return
        now = self._now()
        for key in [key for key, end in mortal if end <= now]:
            self.remove(key)

    def _end_seconds(self, written: _Written) -> float | None:
        ttl_seconds = self.ttl_seconds if written.ttl_seconds is None else written.ttl_seconds
        return None if ttl_seconds is None else written.at_seconds + ttl_seconds

    def get(self, key: str) -> Entry | None:
        self.expire()
        written = self._entries.get(key)
        return None if written is None else written.entry

    def keys(self, pattern: str) -> list[str]:
        self.expire()
        return sorted(key for key in self._entries if matches(pattern, key))

    def write(self, key: str, value: bytes, ttl_seconds: float | None = None) -> int:
        self._revision += 1
        self._entries[key] = _Written(Entry(key, value, self._revision), self._now(), ttl_seconds)
        self._notify(key, value)
        ttl_seconds = self.ttl_seconds if ttl_seconds is None else ttl_seconds
        if ttl_seconds is not None and self._clock is None:
            # One millisecond after the TTL, so that the entry has reached its age by then.
            asyncio.get_running_loop().call_later(ttl_seconds + 0.001, self.expire)
        return self._revision

    def remove(self, key: str) -> None:
        if self._entries.pop(key, None) is not None:
            self._revision += 1
            self._notify(key, None)

    def _notify(self, key: str, value: bytes | None) -> None:
        for pattern, changes in self._watchers:
            if matches(pattern, key):
                changes.observe(key, value, self._revision)

    def attach(self, pattern: str, changes: Changes) -> None:
        """Lists the keys that exist, then reports changes. Called again after an outage."""
        changes.begin_listing()
        self.expire()
        listed = [written.entry for key, written in self._entries.items() if matches(pattern, key)]
        for entry in sorted(listed, key=lambda entry: entry.revision):
            changes.observe(entry.key, entry.value, entry.revision)
        changes.synced()
        self._watchers.append((pattern, changes))

    def detach(self, changes: Changes) -> None:
        self._watchers = [pair for pair in self._watchers if pair[1] is not changes]


class MemoryKeyValue:
    """One connection's view of a bucket. `check_connected` raises NotConnected during a simulated outage."""

    def __init__(self, bucket: Bucket, check_connected: Callable[[], None]) -> None:
        self._bucket = bucket
        self._check_connected = check_connected
        self._watches: dict[Changes, str] = {}

    async def get(self, key: str) -> Entry | None:
        self._check_connected()
        return self._bucket.get(check_key(key))

    async def create(self, key: str, value: bytes) -> int:
        if await self.get(key) is not None:
            raise KeyExists(key)
        return self._write(key, value)

    async def update(self, key: str, value: bytes, revision: int, ttl_seconds: int | None = None) -> int:
        check_ttl(ttl_seconds)
        await self._check_revision(key, revision)
        return self._write(key, value, ttl_seconds)

    async def put(self, key: str, value: bytes) -> int:
        self._check_connected()
        return self._write(check_key(key), value)

    def _write(self, key: str, value: bytes, ttl_seconds: int | None = None) -> int:
        if len(value) > MAX_PAYLOAD_BYTES:
            raise PayloadTooLarge(key)
        return self._bucket.write(key, value, ttl_seconds)

    async def delete(self, key: str, revision: int | None = None) -> None:
        if revision is not None:
            await self._check_revision(key, revision)
        self._check_connected()
        self._bucket.remove(check_key(key))

    async def _check_revision(self, key: str, revision: int) -> None:
        if revision < 1:
            raise ValueError("revisions begin at 1")
        entry = await self.get(key)
        if entry is None or entry.revision != revision:
            raise RevisionMismatch(key)

    async def keys(self, pattern: str = ">") -> list[str]:
        self._check_connected()
        return self._bucket.keys(check_pattern(pattern))

    async def watch(self, pattern: str = ">") -> Watch:
        self._check_connected()
        check_pattern(pattern)

        async def detach() -> None:
            del self._watches[changes]
            self._bucket.detach(changes)

        changes = Changes(detach)
        self._watches[changes] = pattern
        self._bucket.attach(pattern, changes)
        return changes

    def on_connection(self, connected: bool) -> None:
        for changes, pattern in self._watches.items():
            if connected:
                self._bucket.attach(pattern, changes)
            else:
                self._bucket.detach(changes)

    def end(self) -> None:
        for changes in self._watches:
            self._bucket.detach(changes)
            changes.end()
        self._watches.clear()
