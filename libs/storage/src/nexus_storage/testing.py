"""The in-memory twin of a store, for tests of services. It can fail on demand."""

import itertools
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Self

from nexus_runtime import Clock, SystemClock

from nexus_storage.errors import InvalidRange, ObjectExists, ObjectNotFound, StorageError
from nexus_storage.keys import check_key, check_metadata, check_prefix
from nexus_storage.links import LinkSigner, check_expiry
from nexus_storage.probing import delete_each, probe
from nexus_storage.store import (
    CHUNK_BYTES,
    DEFAULT_CONTENT_TYPE,
    MAX_GET_BYTES,
    LinkOptions,
    Listed,
    ObjectInfo,
)


class MemoryStore:
    """Keeps objects in a dictionary. While `failing` is set, every call raises it; `calls` counts all of
    them."""

    def __init__(self, name: str = "memory", clock: Clock | None = None) -> None:
        self.name = name
        self.failing: StorageError | None = None
        self.calls = 0
        self._clock = clock or SystemClock()
        self._objects: dict[str, tuple[ObjectInfo, bytes]] = {}
        self._etags = itertools.count(1)
        self._signer = LinkSigner("http://memory.invalid", b"not a secret" * 3)

    def _begin(self) -> None:
        self.calls += 1
        if self.failing is not None:
            raise self.failing

    async def put(
        self,
        key: str,
        data: bytes,
        *,
        content_type: str = DEFAULT_CONTENT_TYPE,
        metadata: Mapping[str, str] | None = None,
        if_absent: bool = False,
    ) -> None:
        check_key(key)
        check_metadata(content_type, metadata or {})
        self._begin()
        if if_absent and key in self._objects:
            raise ObjectExists("PreconditionFailed", "an object has this key already", key=key)
        info = ObjectInfo(
            key,
            len(data),
            f"{next(self._etags):x}",
            self._clock.epoch_ms(),
            content_type,
            dict(metadata or {}),
        )
        self._objects[key] = (info, data)

    async def put_file(
        self,
        key: str,
        path: Path,
        *,
        content_type: str = DEFAULT_CONTENT_TYPE,
        metadata: Mapping[str, str] | None = None,
        if_absent: bool = False,
    ) -> None:
        data = path.read_bytes()  # noqa: ASYNC240 - files of tests are small
        await self.put(key, data, content_type=content_type, metadata=metadata, if_absent=if_absent)

    def _find(self, key: str) -> tuple[ObjectInfo, bytes]:
        check_key(key)
        self._begin()
        if key not in self._objects:
            raise ObjectNotFound("NoSuchKey", "no object has this key", key=key)
        return self._objects[key]

    async def get(self, key: str, *, max_bytes: int = MAX_GET_BYTES) -> bytes:
        info, data = self._find(key)
        if info.size > max_bytes:
            raise InvalidRange("ObjectTooLarge", f"the object has more than {max_bytes} bytes", key=key)
        return data

    async def open(self, key: str, *, offset: int = 0, length: int | None = None) -> "MemoryReader":
        info, data = self._find(key)
        if offset < 0 or (length is not None and length < 0) or (offset and offset >= info.size):
            raise InvalidRange("InvalidRange", "the range lies outside the object", key=key)
        return MemoryReader(info, data[offset:] if length is None else data[offset : offset + length])

    async def head(self, key: str) -> ObjectInfo:
        info, _ = self._find(key)
        return replace(info, metadata=dict(info.metadata))

    async def list(self, prefix: str = "", *, start_after: str = "") -> AsyncIterator[Listed]:
        check_prefix(prefix)
        self._begin()
        for key in sorted(self._objects, key=str.encode):
            if key.startswith(prefix) and key.encode() > start_after.encode() and key in self._objects:
                info = self._objects[key][0]
                yield Listed(key, info.size, info.etag, info.modified_ms)

    async def delete(self, key: str) -> None:
        check_key(key)
        self._begin()
        self._objects.pop(key, None)

    async def delete_prefix(self, prefix: str) -> int:
        return await delete_each(self, prefix)

    async def sweep(self, older_than_s: int) -> int:
        return 0

    async def presign(self, key: str, *, expires_s: int, options: LinkOptions | None = None) -> str:
        check_expiry(expires_s)
        return self._signer.sign(self.name, key, self._clock.epoch_ms() // 1000 + expires_s, options)

    async def probe(self) -> None:
        await probe(self)

    async def close(self) -> None:
        pass


class MemoryReader:
    def __init__(self, info: ObjectInfo, data: bytes) -> None:
        self.info = info
        self.length = len(data)
        self._data = data

    async def read(self) -> bytes:
        chunk, self._data = self._data[:CHUNK_BYTES], self._data[CHUNK_BYTES:]
        return chunk

    async def close(self) -> None:
        self._data = b""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while chunk := await self.read():
            yield chunk

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()
