"""Threads for what blocks: disks and containers."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")

# Number of threads that wait for disks. `fdatasync` takes milliseconds and no CPU.
DISK_THREADS: Final = 8


class DiskWorkers:
    """A bounded pool of threads."""

    def __init__(self, threads: int = DISK_THREADS) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="recorder-disk")

    async def run(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, function)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
