"""The sidecars of a folder store: files that keep the content type and metadata of its objects.

A sidecar's name ends with the modification time of its object, in nanoseconds. The writer sets that time
itself and creates the sidecar exclusively, before the object appears, so two writers of one key never
share a sidecar, and an object always has its own metadata, without locks.
"""

import json
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from nexus_storage.errors import InvalidKey, StorageUnavailable
from nexus_storage.folder_tree import FILE_MODE, FolderTree
from nexus_storage.keys import RESERVED, check_metadata
from nexus_storage.store import DEFAULT_CONTENT_TYPE

# Maximum size of a sidecar that is read; `check_metadata` allows a fraction of it.
MAX_SIDECAR_BYTES: Final = 64 * 1024
# Attempts to find a modification time that no other version of the key has.
ATTEMPTS: Final = 8

FOLDER: Final = (RESERVED, "sidecars")


@dataclass(frozen=True, slots=True)
class Description:
    """The content of a sidecar."""

    content_type: str = DEFAULT_CONTENT_TYPE
    metadata: Mapping[str, str] = field(default_factory=dict)


class Sidecars:
    """All methods block, and raise OSError besides what they name."""

    def __init__(self, tree: FolderTree) -> None:
        self._tree = tree

    def path(self, key: str, status: os.stat_result) -> tuple[str, ...]:
        """The path of an object's sidecar. A key contains no colon, so no sidecar has the path of another
        one's folder."""
        *above, last = key.split("/")
        return (*FOLDER, *above, f"{last}:{status.st_mtime_ns:016x}")

    def write(self, key: str, descriptor: int, description: Description, now_ms: int) -> tuple[str, ...]:
        """Gives the written file a modification time of its own, and writes the sidecar of that name durably.
        Returns its path. Raises StorageUnavailable."""
        document = {
            "content_type": description.content_type,
            "metadata": dict(description.metadata),
            "size": os.fstat(descriptor).st_size,
        }
        time_ns = now_ms * 1_000_000 + secrets.randbelow(1_000_000)
        for attempt in range(ATTEMPTS):
            # File systems keep times more or less exactly, so ever larger steps are tried.
            os.utime(descriptor, ns=(time_ns, time_ns + attempt * 10 ** (attempt + 2)))
            path = self.path(key, os.fstat(descriptor))
            try:
                with self._tree.folder(path[:-1], create=True) as folder:
                    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
                    with open(os.open(path[-1], flags, FILE_MODE, dir_fd=folder), "w") as file:
                        json.dump(document, file)
                        file.flush()
                        os.fsync(file.fileno())
                    os.fsync(folder)
            except (FileExistsError, FileNotFoundError):  # another version, or the folder was just removed
                continue
            return path
        raise StorageUnavailable("Busy", "too many others are writing this object")

    def read(self, key: str, status: os.stat_result) -> Description | None:
        """The description of the object with this status; None if there is none, as for a file that was
        copied into the folder."""
        return self._parse(self.path(key, status), status.st_size)

    def guess(self, key: str, status: os.stat_result) -> Description | None:
        """The description of an object whose modification time was not kept, as by a backup without
        nanoseconds: that of its only sidecar with the right size."""
        *folder, last = self.path(key, status)
        beginning = last.rpartition(":")[0] + ":"
        fitting = [
            found
            for other in islice(self._tree.walk(folder, beginning), ATTEMPTS)
            if (found := self._parse((*folder, other.path), status.st_size)) is not None
        ]
        return fitting[0] if len(fitting) == 1 else None

    def is_orphan(self, path: str) -> bool:
        """Whether a sidecar, by its path below `FOLDER`, belongs to no object, or to one that has another."""
        key = path.rpartition(":")[0]
        try:
            descriptor = self._tree.open_file(key.split("/"))
        except FileNotFoundError:
            return True
        status = os.fstat(descriptor)
        os.close(descriptor)
        own = self.path(key, status)
        return (*FOLDER, *path.split("/")) != own and self._parse(own, status.st_size) is not None

    def _parse(self, path: Sequence[str], size: int) -> Description | None:
        try:
            with open(self._tree.open_file(path), "rb") as file:
                document = json.loads(file.read(MAX_SIDECAR_BYTES))
            if document["size"] != size:
                return None
            metadata = {str(name): str(value) for name, value in document["metadata"].items()}
            check_metadata(document["content_type"], metadata)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, InvalidKey):
            return None
        return Description(document["content_type"], metadata)
