"""The folders under the root of a folder store.

Every path is walked part by part relative to the folder before it, and a symbolic link is never followed,
so nothing outside the root can be reached, whatever the folder contains. Only the root itself
may be a link.
"""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nexus_storage.errors import StorageRefused

# Recordings are private: others than owner and group get no rights.
FOLDER_MODE: Final = 0o750
FILE_MODE: Final = 0o640

# Errors of opening a symbolic link, a path through a file and a socket.
_NO_FILE: Final = (errno.ELOOP, errno.ENOTDIR, errno.ENXIO)
_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Found:
    """A file below a folder: its path from there, and what the file system says of it."""

    path: str
    status: os.stat_result


class FolderTree:
    """All methods block, and raise OSError besides what they name."""

    def __init__(self, root: Path, *, create: bool) -> None:
        self._root = root
        self._create = create

    @contextmanager
    def folder(self, parts: Sequence[str], *, create: bool = False) -> Iterator[int]:
        """The descriptor of a folder below the root. With `create`, missing folders are made durably. Raises
        StorageRefused if the root is missing."""
        descriptor = self._open_root()
        try:
            for part in parts:
                inner = self._enter(descriptor, part, create)
                os.close(descriptor)
                descriptor = inner
            yield descriptor
        finally:
            os.close(descriptor)

    def _open_root(self) -> int:
        try:
            return os.open(self._root, _FOLDER_FLAGS)
        except FileNotFoundError:
            if not self._create:
                raise StorageRefused("NoSuchFolder", "the folder of the store does not exist") from None
        self._root.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
        return os.open(self._root, _FOLDER_FLAGS)

    def _enter(self, parent: int, part: str, create: bool) -> int:
        flags = _FOLDER_FLAGS | os.O_NOFOLLOW
        try:
            return os.open(part, flags, dir_fd=parent)
        except FileNotFoundError:
            if not create:
                raise
        with suppress(FileExistsError):  # another writer was faster
            os.mkdir(part, FOLDER_MODE, dir_fd=parent)
            os.fsync(parent)
        return os.open(part, flags, dir_fd=parent)

    def open_file(self, parts: Sequence[str]) -> int:
        """The descriptor of a regular file for reading. Raises FileNotFoundError for everything else."""
        # Without O_NONBLOCK, opening a FIFO would wait for a writer.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            with self.folder(parts[:-1]) as folder:
                descriptor = os.open(parts[-1], flags, dir_fd=folder)
        except OSError as error:
            if error.errno in _NO_FILE:
                raise FileNotFoundError(errno.ENOENT, "not a file") from None
            raise
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise FileNotFoundError(errno.ENOENT, "not a file")
        return descriptor

    def remove_file(self, parts: Sequence[str]) -> None:
        """Removes a file durably, and the folders that are empty then. A missing file is no error."""
        with suppress(FileNotFoundError, NotADirectoryError), self.folder(parts[:-1]) as folder:
            os.unlink(parts[-1], dir_fd=folder)
            os.fsync(folder)
        self._prune(parts[:-1])

    def _prune(self, parts: Sequence[str]) -> None:
        for depth in range(len(parts), 0, -1):
            try:
                with self.folder(parts[: depth - 1]) as folder:
                    os.rmdir(parts[depth - 1], dir_fd=folder)
            except OSError:  # not empty, or gone already
                return

    def walk(
        self, parts: Sequence[str], prefix: str = "", start_after: str = "", skip: str = ""
    ) -> Iterator[Found]:
        """Files below a folder whose paths begin with `prefix` and lie behind `start_after`, in the order
        of the paths' bytes. Links and special files are left out, and so is the entry `skip` of the
        folder itself. No descriptor stays open between two steps."""
        yield from self._walk(tuple(parts), "", prefix, start_after.encode(), skip)

    def _walk(
        self, parts: tuple[str, ...], above: str, prefix: str, start_after: bytes, skip: str
    ) -> Iterator[Found]:
        for name, status in self._entries(parts):
            if name.removesuffix("/") == skip:
                continue
            path = above + name
            if name.endswith("/"):
                relevant = path.startswith(prefix) or prefix.startswith(path)
                behind = path.encode() > start_after or start_after.startswith(path.encode())
                if relevant and behind:
                    yield from self._walk((*parts, name[:-1]), path, prefix, start_after, "")
            elif path.startswith(prefix) and path.encode() > start_after:
                yield Found(path, status)

    def _entries(self, parts: Sequence[str]) -> list[tuple[str, os.stat_result]]:
        """Files and folders (which end with a slash) in the order of their paths' bytes."""
        found: list[tuple[str, os.stat_result]] = []
        with (
            suppress(FileNotFoundError, NotADirectoryError),
            self.folder(parts) as folder,
            os.scandir(folder) as entries,
        ):
            for entry in entries:
                if not _is_text(entry.name):
                    continue
                with suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(status.st_mode):
                        found.append((entry.name + "/", status))
                    elif stat.S_ISREG(status.st_mode):
                        found.append((entry.name, status))
        return sorted(found, key=lambda one: one[0].encode())


def _is_text(name: str) -> bool:
    """Whether the bytes of a name are UTF-8; Python marks others with surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in name)
