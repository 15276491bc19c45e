"""The process of an SFU under test on its own core: the part that all adapters share."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

from _load import process_cpu_seconds, process_memory_bytes


class ServerProcess:
    # Prefix of the names of the threads that carry only media; None if they cannot be distinguished.
    media_threads: str | None = None

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None

    async def _spawn(
        self,
        core: int,
        *command: str,
        environment: Mapping[str, str] | None = None,
        log: Path = Path(os.devnull),
    ) -> asyncio.subprocess.Process:
        with log.open("ab") as out:
            self._process = await asyncio.create_subprocess_exec(
                *("taskset", "-c", str(core), *command),
                env=environment,
                stdout=out,
                stderr=asyncio.subprocess.STDOUT,
            )
        return self._process

    async def _end(self, *, kill: bool) -> None:
        if self._process is None or self._process.returncode is not None:
            return
        if kill:
            self._process.kill()
        else:
            self._process.terminate()
        await self._process.wait()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def counters(self) -> dict[str, int] | None:
        return None

    def cpu_seconds(self) -> float:
        return process_cpu_seconds(self.pid)

    def media_cpu_seconds(self) -> float | None:
        return None if self.media_threads is None else process_cpu_seconds(self.pid, self.media_threads)

    def memory_bytes(self) -> int:
        return process_memory_bytes(self.pid)
