"""A bounded pool of threads, in which the blocking calls of one store run, with the metrics of these
calls."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Final, Literal, TypeVar

from nexus_runtime import MetricSet

from nexus_storage.errors import StorageError, StorageUnavailable

T = TypeVar("T")

Operation = Literal["put", "open", "read", "head", "list", "delete", "presign"]

# Maximum number of calls that wait for a thread. Their callers hold the bytes to upload, so more would
# only cost memory.
MAX_WAITING: Final = 1024


class StoreMetrics:
    """Metrics of all stores of a service. The label `store` has the names of the configuration."""

    def __init__(self, metrics: MetricSet) -> None:
        self.calls = metrics.counter(
            "store_calls",
            "Calls to a store by result: ok or the class of the error.",
            "store",
            "operation",
            "result",
        )
        self.seconds = metrics.histogram("store_seconds", "Time of a call to a store.", "store", "operation")
        self.waiting = metrics.gauge("store_waiting", "Calls that wait for a thread.", "store")


class Workers:
    """Runs at most `threads` calls at a time; up to `max_waiting` more wait for their turn."""

    def __init__(
        self, name: str, threads: int, metrics: StoreMetrics | None = None, max_waiting: int = MAX_WAITING
    ) -> None:
        self._name = name
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=f"store-{name}")
        self._free = asyncio.Semaphore(threads)
        self._metrics = metrics
        self._max_waiting = max_waiting
        self._waiting = 0
        if metrics is not None:
            metrics.waiting.labels(name).set_function(lambda: self._waiting)

    @property
    def waiting(self) -> int:
        """Calls that wait for a thread."""
        return self._waiting

    async def run(self, operation: Operation, function: Callable[[], T]) -> T:
        """Runs `function` in a thread. A cancelled call that has begun runs to its end there, and keeps its
        thread until then. Raises StorageUnavailable if too many calls wait or the pool is closed."""
        if self._metrics is None:
            return await self._run(function)
        began = time.monotonic()
        result = "cancelled"
        try:
            value = await self._run(function)
            result = "ok"
            return value
        except StorageError as error:
            result = type(error).__name__
            raise
        except Exception:
            result = "defect"
            raise
        finally:
            self._metrics.calls.labels(self._name, operation, result).inc()
            self._metrics.seconds.labels(self._name, operation).observe(time.monotonic() - began)

    async def _run(self, function: Callable[[], T]) -> T:
        if self._free.locked() and self._waiting >= self._max_waiting:
            raise StorageUnavailable("TooManyCalls", "too many calls wait for this store")
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        loop = asyncio.get_running_loop()

        def release(_: Future[T]) -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._free.release)

        try:
            future = self._pool.submit(function)
        except RuntimeError:
            self._free.release()
            raise StorageUnavailable("StoreClosed", "the store has been closed") from None
        future.add_done_callback(release)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Accepts no more calls. Those in a thread end by their own timeouts."""
        self._pool.shutdown(wait=False, cancel_futures=True)
