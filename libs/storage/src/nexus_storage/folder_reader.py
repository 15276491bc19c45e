"""The content of an object in a folder."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import BinaryIO, Self

from nexus_storage.errors import StorageUnavailable
from nexus_storage.store import CHUNK_BYTES, ObjectInfo

# Runs a blocking read in a thread of the store.
Run = Callable[[Callable[[], bytes]], Awaitable[bytes]]


class FolderReader:
    """An open file, positioned at the first byte; it keeps its content if the object is replaced or
    removed."""

    def __init__(self, run: Run, file: BinaryIO, info: ObjectInfo, length: int) -> None:
        self.info = info
        self.length = length
        self._run = run
        self._file = file
        self._rest = length

    async def read(self) -> bytes:
        if self._rest == 0:
            await self.close()
            return b""

        def more() -> bytes:
            chunk = self._file.read(min(CHUNK_BYTES, self._rest))
            if not chunk:
                raise StorageUnavailable("Truncated", "the file ends before its size")
            return chunk

        chunk = await self._run(more)
        self._rest -= len(chunk)
        return chunk

    async def close(self) -> None:
        self._file.close()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while chunk := await self.read():
            yield chunk

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()
