"""A bucket that is opened at its first use, so that a service can start while the broker is unreachable."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from nexus_bus.bus import Bus, BusError, Entry, KeyExists, KeyValue, RevisionMismatch, Watch

T = TypeVar("T")


class LazyKeyValue:
    """A `KeyValue`. Every method raises NotConnected while the broker is unreachable.

    After a failure the next use opens the bucket again, because a broker that lost its storage needs the
    bucket created again.
    """

    def __init__(
        self, bus: Bus, bucket: str, ttl_seconds: float | None = None, replicas: int | None = None
    ) -> None:
        self._bus = bus
        self._bucket = bucket
        self._ttl_seconds = ttl_seconds
        self._replicas = replicas
        self._opened: KeyValue | None = None
        self._opening = asyncio.Lock()

    async def get(self, key: str) -> Entry | None:
        return await self._do(lambda bucket: bucket.get(key))

    async def create(self, key: str, value: bytes) -> int:
        return await self._do(lambda bucket: bucket.create(key, value))

    async def update(self, key: str, value: bytes, revision: int, ttl_seconds: int | None = None) -> int:
        return await self._do(lambda bucket: bucket.update(key, value, revision, ttl_seconds))

    async def put(self, key: str, value: bytes) -> int:
        return await self._do(lambda bucket: bucket.put(key, value))

    async def delete(self, key: str, revision: int | None = None) -> None:
        return await self._do(lambda bucket: bucket.delete(key, revision))

    async def keys(self, pattern: str = ">") -> list[str]:
        return await self._do(lambda bucket: bucket.keys(pattern))

    async def watch(self, pattern: str = ">") -> Watch:
        return await self._do(lambda bucket: bucket.watch(pattern))

    async def _do(self, operation: Callable[[KeyValue], Awaitable[T]]) -> T:
        bucket = await self._open()
        try:
            return await operation(bucket)
        except (KeyExists, RevisionMismatch):
            raise  # the broker answered, so the bucket is still open
        except BusError:
            self._opened = None
            raise

    async def _open(self) -> KeyValue:
        async with self._opening:
            if self._opened is None:
                self._opened = await self._bus.kv(self._bucket, self._ttl_seconds, self._replicas)
            return self._opened
