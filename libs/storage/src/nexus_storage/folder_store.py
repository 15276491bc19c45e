"""A store in a folder, for one machine or a shared file system.

An object is a file at its key. It is written to `.nexus/tmp`, synchronised, and then linked or renamed to
its place, so that it is there as a whole or not at all. `.nexus/sidecars` keeps content type and
metadata (`folder_sidecars`). Extended attributes would be simpler, but NFS, SMB, tmpfs and most backup
programs lose them.
"""

import errno
import os
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from io import BytesIO
from itertools import islice
from pathlib import Path
from shutil import copyfileobj
from typing import BinaryIO, Final, TypeVar

from nexus_runtime import Clock, SystemClock

from nexus_storage.errors import (
    InvalidKey,
    InvalidRange,
    ObjectExists,
    ObjectNotFound,
    StorageError,
    StorageFull,
    StorageRefused,
    StorageUnavailable,
)
from nexus_storage.folder_reader import FolderReader
from nexus_storage.folder_sidecars import FOLDER as SIDECARS
from nexus_storage.folder_sidecars import Description, Sidecars
from nexus_storage.folder_tree import FILE_MODE, FolderTree
from nexus_storage.keys import RESERVED, check_key, check_metadata, check_prefix
from nexus_storage.links import LinkSigner, check_expiry
from nexus_storage.probing import delete_each, probe
from nexus_storage.settings import FolderSettings
from nexus_storage.store import (
    CHUNK_BYTES,
    DEFAULT_CONTENT_TYPE,
    MAX_GET_BYTES,
    LinkOptions,
    Listed,
    ObjectInfo,
)
from nexus_storage.workers import Operation, StoreMetrics, Workers

T = TypeVar("T")

# Number of objects that a listing reads at a time.
PAGE: Final = 1000
# Attempts to place an object whose folder another caller is removing because it is empty, and to open one
# that is being replaced.
ATTEMPTS: Final = 8

_TEMPORARY: Final = (RESERVED, "tmp")


class FolderStore:
    """All objects under `settings.path`. The constructor reads the secret of the links, and nothing else.
    Raises OSError, ValueError."""

    def __init__(
        self,
        name: str,
        settings: FolderSettings,
        *,
        clock: Clock | None = None,
        metrics: StoreMetrics | None = None,
    ) -> None:
        self.name = name
        self._clock = clock or SystemClock()
        self._tree = FolderTree(settings.path, create=settings.create)
        self._sidecars = Sidecars(self._tree)
        secret = settings.read_link_secret()
        self._signer = None if secret is None else LinkSigner(settings.link_url, secret)
        self._workers = Workers(name, settings.connections, metrics)

    def __repr__(self) -> str:
        return f"FolderStore({self.name!r})"

    @property
    def signer(self) -> LinkSigner | None:
        """Signs and verifies the links of this store; None without a secret."""
        return self._signer

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

        def write() -> None:
            self._write(key, BytesIO(data), Description(content_type, metadata or {}), if_absent)

        await self._run("put", key, write)

    async def put_file(
        self,
        key: str,
        path: Path,
        *,
        content_type: str = DEFAULT_CONTENT_TYPE,
        metadata: Mapping[str, str] | None = None,
        if_absent: bool = False,
    ) -> None:
        check_key(key)
        check_metadata(content_type, metadata or {})
        source = path.open("rb")

        def write() -> None:
            self._write(key, source, Description(content_type, metadata or {}), if_absent)

        try:
            await self._run("put", key, write)
        finally:
            source.close()

    def _write(self, key: str, source: BinaryIO, description: Description, if_absent: bool) -> None:
        if if_absent and self._exists(key):
            raise ObjectExists("PreconditionFailed", "an object has this key already")
        name = secrets.token_hex(16)
        with self._tree.folder(_TEMPORARY, create=True) as temporary:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            try:
                with open(os.open(name, flags, FILE_MODE, dir_fd=temporary), "wb") as file:
                    copyfileobj(source, file, CHUNK_BYTES)
                    file.flush()
                    sidecar = self._sidecars.write(key, file.fileno(), description, self._clock.epoch_ms())
                    os.fsync(file.fileno())
                try:
                    replaced = self._place(key, temporary, name, if_absent)
                except BaseException:
                    self._tree.remove_file(sidecar)
                    raise
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=temporary)
        if replaced is not None and replaced != sidecar:
            self._tree.remove_file(replaced)

    def _place(self, key: str, temporary: int, name: str, if_absent: bool) -> tuple[str, ...] | None:
        """Makes the written file the object, durably. Returns the path of the sidecar of the replaced
        object."""
        *above, last = key.split("/")
        for _ in range(ATTEMPTS):
            try:
                with self._tree.folder(above, create=True) as folder:
                    replaced = None
                    if if_absent:
                        os.link(name, last, src_dir_fd=temporary, dst_dir_fd=folder, follow_symlinks=False)
                    else:
                        with suppress(FileNotFoundError):
                            status = os.stat(last, dir_fd=folder, follow_symlinks=False)
                            replaced = self._sidecars.path(key, status)
                        os.rename(name, last, src_dir_fd=temporary, dst_dir_fd=folder)
                    os.fsync(folder)
                    return replaced
            except FileExistsError:
                raise ObjectExists("PreconditionFailed", "an object has this key already") from None
            except FileNotFoundError:
                continue  # another caller has removed the folder because it was empty
        raise StorageUnavailable("Busy", "the folder of the object is removed again and again")

    def _exists(self, key: str) -> bool:
        try:
            os.close(self._tree.open_file(key.split("/")))
        except FileNotFoundError:
            return False
        return True

    async def get(self, key: str, *, max_bytes: int = MAX_GET_BYTES) -> bytes:
        check_key(key)

        def read() -> bytes:
            file, info = self._open(key)
            with file:
                if info.size > max_bytes:
                    raise InvalidRange("ObjectTooLarge", f"the object has more than {max_bytes} bytes")
                return file.read()

        return await self._run("open", key, read)

    async def open(self, key: str, *, offset: int = 0, length: int | None = None) -> FolderReader:
        check_key(key)
        if offset < 0 or (length is not None and length < 0):
            raise InvalidRange("InvalidRange", "offset and length must not be negative", key=key)

        async def run(read: Callable[[], bytes]) -> bytes:
            return await self._run("read", key, read)

        def begin() -> FolderReader:
            file, info = self._open(key)
            if offset and offset >= info.size:
                file.close()
                raise InvalidRange("InvalidRange", "the offset is beyond the end of the object")
            file.seek(offset)
            rest = info.size - offset
            return FolderReader(run, file, info, rest if length is None else min(length, rest))

        return await self._run("open", key, begin)

    async def head(self, key: str) -> ObjectInfo:
        check_key(key)

        def ask() -> ObjectInfo:
            file, info = self._open(key)
            file.close()
            return info

        return await self._run("head", key, ask)

    def _open(self, key: str) -> tuple[BinaryIO, ObjectInfo]:
        """The file and its description. If the file has no sidecar because it was replaced meanwhile, the new
        one is opened."""
        for _ in range(ATTEMPTS):
            file = open(self._tree.open_file(key.split("/")), "rb")  # noqa: SIM115 - the caller closes it
            status = os.fstat(file.fileno())
            description = self._sidecars.read(key, status)
            if description is None and self._is_current(key, status):
                description = self._sidecars.guess(key, status) or Description()
            if description is not None:
                return file, _info(key, status, description)
            file.close()
        raise StorageUnavailable("Busy", "the object is replaced again and again")

    def _is_current(self, key: str, status: os.stat_result) -> bool:
        """Whether the key still names this file."""
        try:
            descriptor = self._tree.open_file(key.split("/"))
        except FileNotFoundError:
            return False
        try:
            return os.path.samestat(os.fstat(descriptor), status)
        finally:
            os.close(descriptor)

    async def list(self, prefix: str = "", *, start_after: str = "") -> AsyncIterator[Listed]:
        check_prefix(prefix)
        if start_after:
            check_key(start_after)
        found = self._tree.walk((), prefix, start_after, skip=RESERVED)
        while page := await self._run("list", prefix, lambda: list(islice(found, PAGE))):
            for one in page:
                with suppress(InvalidKey):  # a file that was copied here
                    yield _listed(check_key(one.path), one.status)

    async def delete(self, key: str) -> None:
        check_key(key)

        def remove() -> None:
            try:
                descriptor = self._tree.open_file(key.split("/"))
            except FileNotFoundError:
                return
            status = os.fstat(descriptor)
            os.close(descriptor)
            self._tree.remove_file(key.split("/"))
            self._tree.remove_file(self._sidecars.path(key, status))

        await self._run("delete", key, remove)

    async def delete_prefix(self, prefix: str) -> int:
        return await delete_each(self, prefix)

    async def presign(self, key: str, *, expires_s: int, options: LinkOptions | None = None) -> str:
        check_key(key)
        check_expiry(expires_s)
        if self._signer is None:
            raise StorageRefused(
                "LinksNotConfigured", "this store has no address and secret for links", key=key
            )
        return self._signer.sign(self.name, key, self._clock.epoch_ms() // 1000 + expires_s, options)

    async def probe(self) -> None:
        await probe(self)

    async def sweep(self, older_than_s: int) -> int:
        """Removes temporary files, and sidecars without an object; see `Store.sweep`."""
        limit_ns = (self._clock.epoch_ms() - older_than_s * 1000) * 1_000_000

        def remove() -> int:
            removed = 0
            for part in (_TEMPORARY, SIDECARS):
                for found in self._tree.walk(part):
                    old = found.status.st_ctime_ns < limit_ns
                    if old and (part is _TEMPORARY or self._sidecars.is_orphan(found.path)):
                        self._tree.remove_file((*part, *found.path.split("/")))
                        removed += 1
            return removed

        return await self._run("delete", "", remove)

    async def close(self) -> None:
        self._workers.close()

    async def _run(self, operation: Operation, key: str, call: Callable[[], T]) -> T:
        return await self._workers.run(operation, lambda: _translated(key, call))


def _listed(key: str, status: os.stat_result) -> Listed:
    etag = f"{status.st_mtime_ns:x}-{status.st_size:x}"
    return Listed(key, status.st_size, etag, status.st_mtime_ns // 1_000_000)


def _info(key: str, status: os.stat_result, description: Description) -> ObjectInfo:
    listed = _listed(key, status)
    return ObjectInfo(
        key,
        listed.size,
        listed.etag,
        listed.modified_ms,
        description.content_type,
        description.metadata,
    )


def _translated(key: str, call: Callable[[], T]) -> T:
    try:
        return call()
    except StorageError as error:
        error.key = key
        raise
    except OSError as error:
        raise _error_of(error, key) from None


def _error_of(error: OSError, key: str) -> StorageError:
    code = errno.errorcode.get(error.errno or 0, "EIO")
    text = os.strerror(error.errno or errno.EIO)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull(code, text, key=key)
    if error.errno == errno.ENOENT:
        return ObjectNotFound("NoSuchKey", "no object has this key", key=key)
    if error.errno in (errno.ENOTDIR, errno.ELOOP, errno.EISDIR):
        # A part of the key is an object, or the key is a folder. A symbolic link is neither.
        return StorageRefused(
            code, "the key lies inside an object, is a folder, or passes a symbolic link", key=key
        )
    if error.errno in (
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ENAMETOOLONG,
        errno.EOPNOTSUPP,
        errno.EFBIG,
    ):
        return StorageRefused(code, text, key=key)
    return StorageUnavailable(code, text, key=key)
