"""A store in a folder, for one machine or a shared file system.

An object is a file at its key. It is written to `.nexus/tmp`, synchronised, and then linked or renamed to
its place, so that it is there as a whole or not at all. `.nexus/sidecars` keeps content type and
metadata: a JSON file whose name ends with the modification time of its object, in nanoseconds. It is
written before the object appears, and two writers never write the same one, so an object always has its
own metadata, without locks. Extended attributes would be simpler, but NFS, SMB, tmpfs and most backup
programs lose them.
"""

import errno
import json
import os
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from io import BytesIO
from itertools import islice
from pathlib import Path
from shutil import copyfileobj
from typing import BinaryIO, Final, Self, TypeVar

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
# Maximum size of a sidecar that is read; `check_metadata` allows a fraction of it.
MAX_SIDECAR_BYTES: Final = 64 * 1024
# Attempts to place an object whose folder another caller is removing because it is empty, or whose
# modification time another object had.
ATTEMPTS: Final = 8

_TEMPORARY: Final = (RESERVED, "tmp")
_SIDECARS: Final = (RESERVED, "sidecars")


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
            self._write(key, BytesIO(data), content_type, metadata or {}, if_absent)

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
            self._write(key, source, content_type, metadata or {}, if_absent)

        try:
            await self._run("put", key, write)
        finally:
            source.close()

    def _write(
        self, key: str, source: BinaryIO, content_type: str, metadata: Mapping[str, str], if_absent: bool
    ) -> None:
        if if_absent and self._exists(key):
            raise ObjectExists("PreconditionFailed", "an object has this key already")
        name = secrets.token_hex(16)
        with self._tree.folder(_TEMPORARY, create=True) as temporary:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            try:
                with open(os.open(name, flags, FILE_MODE, dir_fd=temporary), "wb") as file:
                    copyfileobj(source, file, CHUNK_BYTES)
                    file.flush()
                    sidecar = self._write_sidecar(key, file.fileno(), content_type, metadata)
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

    def _write_sidecar(
        self, key: str, descriptor: int, content_type: str, metadata: Mapping[str, str]
    ) -> tuple[str, ...]:
        """Gives the file a modification time that no other version of the key has, and writes the sidecar of
        that name. Returns its path."""
        size = os.fstat(descriptor).st_size
        document = {"content_type": content_type, "metadata": dict(metadata), "size": size}
        time_ns = self._clock.epoch_ms() * 1_000_000 + secrets.randbelow(1_000_000)
        for attempt in range(ATTEMPTS):
            # File systems keep times more or less exactly, so ever larger steps are tried.
            os.utime(descriptor, ns=(time_ns, time_ns + attempt * 10 ** (attempt + 2)))
            path = _sidecar_path(key, os.fstat(descriptor).st_mtime_ns)
            try:
                with self._tree.folder(path[:-1], create=True) as folder:
                    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
                    with open(os.open(path[-1], flags, FILE_MODE, dir_fd=folder), "w") as file:
                        json.dump(document, file)
                        file.flush()
                        os.fsync(file.fileno())
                    os.fsync(folder)
            except (FileExistsError, FileNotFoundError):
                continue
            return path
        raise StorageUnavailable("Busy", "too many others are writing this object")

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
                            replaced = _sidecar_path(key, status.st_mtime_ns)
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

    async def open(self, key: str, *, offset: int = 0, length: int | None = None) -> "FolderReader":
        check_key(key)
        if offset < 0 or (length is not None and length < 0):
            raise InvalidRange("InvalidRange", "offset and length must not be negative", key=key)

        def begin() -> FolderReader:
            file, info = self._open(key)
            if offset and offset >= info.size:
                file.close()
                raise InvalidRange("InvalidRange", "the offset is beyond the end of the object")
            file.seek(offset)
            rest = info.size - offset
            return FolderReader(self, file, info, rest if length is None else min(length, rest))

        return await self._run("open", key, begin)

    async def head(self, key: str) -> ObjectInfo:
        check_key(key)

        def ask() -> ObjectInfo:
            file, info = self._open(key)
            file.close()
            return info

        return await self._run("head", key, ask)

    def _open(self, key: str) -> tuple[BinaryIO, ObjectInfo]:
        """The file and its description. The file is opened again if its sidecar has been removed meanwhile,
        because it was replaced."""
        for _ in range(ATTEMPTS):
            file = open(self._tree.open_file(key.split("/")), "rb")  # noqa: SIM115 - the caller closes it
            status = os.fstat(file.fileno())
            sidecar = self._read_sidecar(key, status)
            if sidecar is not None:
                break
            sidecar = ("", {})
            with suppress(FileNotFoundError), open(self._tree.open_file(key.split("/")), "rb") as again:
                if os.path.samestat(os.fstat(again.fileno()), status):
                    break
            file.close()
        else:
            raise StorageUnavailable("Busy", "the object is replaced again and again")
        content_type, metadata = sidecar
        listed = _listed(key, status)
        return file, ObjectInfo(
            key, listed.size, listed.etag, listed.modified_ms, content_type or DEFAULT_CONTENT_TYPE, metadata
        )

    def _read_sidecar(self, key: str, status: os.stat_result) -> tuple[str, dict[str, str]] | None:
        """Content type and metadata. None if there is no sidecar, as for a file that was copied here."""
        path = _sidecar_path(key, status.st_mtime_ns)
        found = self._parse_sidecar(path, status.st_size)
        if found is not None:
            return found
        # A backup that does not keep nanoseconds was restored: a single sidecar of this size is the right
        # one.
        beginning = path[-1].rpartition(":")[0] + ":"
        others = self._tree.walk(path[:-1], beginning)
        fitting = [
            parsed
            for other in islice(others, ATTEMPTS)
            if (parsed := self._parse_sidecar((*path[:-1], other.path), status.st_size)) is not None
        ]
        return fitting[0] if len(fitting) == 1 else None

    def _parse_sidecar(self, path: Sequence[str], size: int) -> tuple[str, dict[str, str]] | None:
        try:
            with open(self._tree.open_file(path), "rb") as file:
                document = json.loads(file.read(MAX_SIDECAR_BYTES))
            if document["size"] != size:
                return None
            metadata = {str(name): str(value) for name, value in document["metadata"].items()}
            check_metadata(document["content_type"], metadata)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, InvalidKey):
            return None
        return document["content_type"], metadata

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
            self._tree.remove_file(_sidecar_path(key, status.st_mtime_ns))

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
            for part in (_TEMPORARY, _SIDECARS):
                for found in self._tree.walk(part):
                    old = found.status.st_ctime_ns < limit_ns
                    if old and (part is _TEMPORARY or self._is_orphan(found.path)):
                        self._tree.remove_file((*part, *found.path.split("/")))
                        removed += 1
            return removed

        return await self._run("delete", "", remove)

    def _is_orphan(self, sidecar: str) -> bool:
        """Whether a sidecar, by its path, is of an object that is not there, or that has another one."""
        key = sidecar.rpartition(":")[0]
        try:
            descriptor = self._tree.open_file(key.split("/"))
        except FileNotFoundError:
            return True
        status = os.fstat(descriptor)
        os.close(descriptor)
        own = _sidecar_path(key, status.st_mtime_ns)
        path = (*_SIDECARS, *sidecar.split("/"))
        return path != own and self._parse_sidecar(own, status.st_size) is not None

    async def close(self) -> None:
        self._workers.close()

    async def _run(self, operation: Operation, key: str, call: Callable[[], T]) -> T:
        return await self._workers.run(operation, lambda: _translated(key, call))


class FolderReader:
    """An open file; it keeps its content if the object is replaced or removed."""

    def __init__(self, store: FolderStore, file: BinaryIO, info: ObjectInfo, length: int) -> None:
        self.info = info
        self.length = length
        self._store = store
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

        chunk = await self._store._run("read", self.info.key, more)
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


def _sidecar_path(key: str, time_ns: int) -> tuple[str, ...]:
    """The path of a sidecar. A key contains no colon, so no sidecar has the path of another one's folder."""
    *above, last = key.split("/")
    return (*_SIDECARS, *above, f"{last}:{time_ns:016x}")


def _listed(key: str, status: os.stat_result) -> Listed:
    etag = f"{status.st_mtime_ns:x}-{status.st_size:x}"
    return Listed(key, status.st_size, etag, status.st_mtime_ns // 1_000_000)


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
