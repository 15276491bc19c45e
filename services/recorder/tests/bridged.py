"""A real store in emulated time: its calls run on a loop of their own, while emulated time stands still."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

from nexus_storage import Listed, Store
from nexus_storage.testing import MemoryReader

T = TypeVar("T")


class BridgedStore:
    """A `Store` for `Stage`. `make` is called on the loop on which the store then works."""

    def __init__(self, make: Callable[[], Store]) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

        async def made() -> Store:
            return make()

        self._store = self._wait(made())
        self.name = self._store.name

    def _wait(self, call: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(call, self._loop).result()

    def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        method = getattr(self._store, name)

        async def call(*arguments: Any, **options: Any) -> Any:
            return self._wait(method(*arguments, **options))

        return call

    async def open(self, key: str, **options: Any) -> MemoryReader:
        async def read() -> MemoryReader:
            async with await self._store.open(key, **options) as reader:
                return MemoryReader(reader.info, b"".join([chunk async for chunk in reader]))

        return self._wait(read())

    async def list(self, prefix: str = "", **options: Any) -> AsyncIterator[Listed]:
        async def read() -> list[Listed]:
            return [each async for each in self._store.list(prefix, **options)]

        for each in self._wait(read()):
            yield each

    def end(self) -> None:
        """Closes the store and its loop."""
        self._wait(self._store.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
