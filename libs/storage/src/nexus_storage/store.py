"""The interface of a store, with its values.

`FolderStore` implements it on a file system, `S3Store` on S3, and `testing.MemoryStore` in memory. One
contract suite runs against all of them. Every method may raise StorageRefused, StorageUnavailable and
InvalidKey; other errors are named where they can happen.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, Self

from nexus_storage.errors import ObjectExists

DEFAULT_CONTENT_TYPE: Final = "application/octet-stream"
# How many bytes a reader returns at a time.
CHUNK_BYTES: Final = 256 * 1024
# Maximum size of an object that `get` reads into memory, unless the caller says otherwise.
MAX_GET_BYTES: Final = 64 << 20
# Maximum life of a signed link (AWS Signature Version 4: seven days).
MAX_LINK_SECONDS: Final = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Listed:
    """An object as a listing shows it. `size` is in bytes; `modified_ms` is the store's wall clock, since the
    Unix epoch. `etag` changes whenever the content does."""

    key: str
    size: int
    etag: str
    modified_ms: int


@dataclass(frozen=True, slots=True)
class ObjectInfo(Listed):
    """Everything about an object except its content."""

    content_type: str = DEFAULT_CONTENT_TYPE
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LinkOptions:
    """Header fields in the answer to a signed link. `filename` makes browsers save it under that name;
    without it they show it. `content_type` replaces the stored one."""

    filename: str = ""
    content_type: str = ""


class ObjectReader(Protocol):
    """The content of one object, from an offset on. Close it, or use it as a context manager; if the
    object is replaced meanwhile, the reader still returns the content that it was opened with."""

    @property
    def info(self) -> ObjectInfo:
        """The whole object, also if only a range is read."""
        ...

    @property
    def length(self) -> int:
        """How many bytes this reader returns in total."""
        ...

    async def read(self) -> bytes:
        """The next bytes, at most `CHUNK_BYTES`; empty at the end. An object that ends early is an error,
        never a short read."""
        ...

    async def close(self) -> None: ...

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc_info: object) -> None: ...


class Store(Protocol):
    """Objects by key. A key becomes visible with its whole content and metadata, or not at all. What a
    call has confirmed survives a crash of the machine (as far as the store itself keeps its promises)."""

    @property
    def name(self) -> str:
        """The name in the configuration."""
        ...

    async def put(
        self,
        key: str,
        data: bytes,
        *,
        content_type: str = DEFAULT_CONTENT_TYPE,
        metadata: Mapping[str, str] | None = None,
        if_absent: bool = False,
    ) -> None:
        """Writes an object, or replaces it. With `if_absent` it replaces nothing. Raises ObjectExists,
        StorageFull. If the call is cancelled, the object may still be written."""
        ...

    async def put_file(
        self,
        key: str,
        path: Path,
        *,
        content_type: str = DEFAULT_CONTENT_TYPE,
        metadata: Mapping[str, str] | None = None,
        if_absent: bool = False,
    ) -> None:
        """As `put`, with the content of a file, of which only one part is in memory at a time. Raises OSError
        if the file cannot be read."""
        ...

    async def get(self, key: str, *, max_bytes: int = MAX_GET_BYTES) -> bytes:
        """The whole content. Raises ObjectNotFound, and InvalidRange if it has more than `max_bytes`."""
        ...

    async def open(self, key: str, *, offset: int = 0, length: int | None = None) -> ObjectReader:
        """Opens an object from `offset` (bytes) on. `length` is cut at the end of the object. Raises
        ObjectNotFound, and InvalidRange for an offset at or beyond the end; 0 is always allowed."""
        ...

    async def head(self, key: str) -> ObjectInfo:
        """Raises ObjectNotFound."""
        ...

    def list(self, prefix: str = "", *, start_after: str = "") -> AsyncIterator[Listed]:
        """Objects whose keys begin with `prefix`, in the order of the keys' UTF-8, read in pages of 1,000."""
        ...

    async def delete(self, key: str) -> None:
        """Removes an object. A missing one is no error."""
        ...

    async def delete_prefix(self, prefix: str) -> int:
        """Removes every object under a prefix, which must end with a slash. Returns how many. After an error,
        some are removed; call again."""
        ...

    async def sweep(self, older_than_s: int) -> int:
        """Removes what crashes have left and is older than `older_than_s`, which must be longer than an
        upload takes. Returns how many files. Call it now and then."""
        ...

    async def presign(self, key: str, *, expires_s: int, options: LinkOptions | None = None) -> str:
        """A URL that opens the object without credentials, for 1 s to 7 days. Whether the object exists
        is not checked."""
        ...

    async def probe(self) -> None:
        """Writes, reads and removes an object of its own, and checks that `if_absent` and encryption are
        honoured. Raises StorageRefused, StorageUnavailable or StorageFull if the store cannot be used."""
        ...

    async def close(self) -> None:
        """Ends the store. Calls under way may still finish."""
        ...


# The metadata in which `put_once` keeps the hash of the content.
HASH_METADATA: Final = "sha256"


async def put_once(
    store: Store,
    key: str,
    data: bytes,
    *,
    sha256: str,
    content_type: str = DEFAULT_CONTENT_TYPE,
    metadata: Mapping[str, str] | None = None,
) -> bool:
    """Writes an object that never changes, so that the call can be repeated: an upload whose answer was lost
    must not look like an object of another writer. `sha256` is the hash of `data`, in hexadecimal.

    Returns whether this call created it; False means that an object with the same size and hash was there.
    Raises ObjectExists if another object was there.
    """
    kept = {**(metadata or {}), HASH_METADATA: sha256}
    try:
        await store.put(key, data, content_type=content_type, metadata=kept, if_absent=True)
    except ObjectExists:
        present = await store.head(key)
        if present.size != len(data) or present.metadata.get(HASH_METADATA) != sha256:
            raise
        return False
    return True
