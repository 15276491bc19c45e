"""The spool: segments and journals on the disk of the recorder, until they are in the store.

    <root>/<recording id>/<epoch>/lock                 held by the process of that owner while it lives
    (flock)
                                 /<stream>-<number>.<mp4|webm>   the segment
                                 /<stream>-<number>.log          its record after each fragment, while it is
                                 open
                                 /<stream>-<number>.json         its record, once it is complete
                                 /journal-<number>.json          a journal

A fragment is durable when its bytes and then a line of the log are on the disk. After a crash, the next owner
on the same disk cuts a segment at the last such line and completes it. Everything here blocks; `SpoolWorkers`
runs it in threads.
"""

import errno
import fcntl
import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from nexus_recorder.core.object_names import MAX_NUMBER, safe_part
from nexus_recorder.core.records import Journal, SegmentRecord, read_journal, read_record

_JOURNAL: Final = "journal-"
# How many bytes are read at a time to compute a hash.
_BLOCK_BYTES: Final = 1 << 20


class SpoolFull(Exception):
    """The bound of the spool is reached, or the disk is full. What was written before is complete."""


class SpoolSpace:
    """The bytes of all spools of one process, with their bound."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._used = 0
        self.refused = 0

    @property
    def max_bytes(self) -> int:
        return self._max_bytes

    @property
    def used_bytes(self) -> int:
        return self._used

    def take(self, size: int) -> None:
        """Raises SpoolFull if the bound has no room for `size` bytes."""
        if self._used + size > self._max_bytes:
            self.refused += 1
            raise SpoolFull(f"the spool has reached its bound of {self._max_bytes} bytes")
        self._used += size

    def adopt(self, size: int) -> None:
        """Counts what an earlier process has left, whatever the bound is."""
        self._used += size

    def give(self, size: int) -> None:
        self._used = max(0, self._used - size)


@dataclass(frozen=True, slots=True)
class SpooledSegment:
    """A complete segment in the spool."""

    record: SegmentRecord
    path: Path

    @property
    def size(self) -> int:
        return self.record.bytes


@dataclass(frozen=True, slots=True)
class SpooledJournal:
    journal: Journal
    path: Path
    size: int


Spooled = SpooledSegment | SpooledJournal


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _full(error: OSError) -> bool:
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


class SegmentFile:
    """A segment that is being written. Only one call runs at a time."""

    def __init__(self, folder: "SpoolFolder", record: SegmentRecord) -> None:
        base = folder.path / f"{record.stream.id}-{record.number:08d}"
        self._folder = folder
        self._path = base.with_suffix(f".{record.container}")
        self._log_path = base.with_suffix(".log")
        self._final_path = base.with_suffix(".json")
        self._hash = hashlib.sha256()
        self._size = 0
        self._durable = 0
        self._record: SegmentRecord | None = None
        try:
            self._data: IO[bytes] = self._path.open("xb", buffering=0)
            self._log: IO[bytes] = self._log_path.open("xb", buffering=0)
        except OSError as error:
            if _full(error):
                raise SpoolFull(str(error)) from error
            raise

    @property
    def durable_bytes(self) -> int:
        return self._durable

    def append(self, data: bytes, record: SegmentRecord) -> None:
        """Makes a fragment durable, with what is known of the segment then. Raises SpoolFull, after which the
        segment consists of the fragments before."""
        line = record.model_copy(update={"bytes": self._size + len(data)}).to_json().encode() + b"\n"
        self._folder.take(len(data))
        try:
            self._write(self._data, data)
            os.fdatasync(self._data.fileno())
            self._write(self._log, line)
            os.fdatasync(self._log.fileno())
        except OSError as error:
            self._folder.give(len(data))
            os.truncate(self._path, self._durable)
            self._data.seek(self._durable)
            if _full(error):
                raise SpoolFull(str(error)) from error
            raise
        if not self._durable:
            _sync_folder(self._folder.path)
        self._hash.update(data)
        self._size = self._durable = self._size + len(data)
        self._record = record

    def complete(self, record: SegmentRecord | None = None) -> SpooledSegment | None:
        """Ends the segment. `record` is None after SpoolFull: the record is then that of the last fragment.
        Returns None if nothing was written; nothing is left then."""
        record = record or self._record
        self._data.close()
        self._log.close()
        if not self._size or record is None:
            self._path.unlink(missing_ok=True)
            self._log_path.unlink(missing_ok=True)
            return None
        final = record.model_copy(update={"bytes": self._size, "sha256": self._hash.hexdigest()})
        try:
            self._folder.write_durably(self._final_path, final.to_json().encode())
        except SpoolFull:
            # The log has all of it, so that the segment is completed when there is room again.
            return None
        self._log_path.unlink(missing_ok=True)
        return SpooledSegment(final, self._path)

    def abandon(self) -> None:
        """Closes the files and leaves everything to a later owner."""
        self._data.close()
        self._log.close()

    @staticmethod
    def _write(file: IO[bytes], data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]


class SpoolFolder:
    """The spool of one owner of one recording."""

    def __init__(self, path: Path, space: SpoolSpace, lock: IO[bytes]) -> None:
        self.path = path
        self.space = space
        self._lock = lock
        self._held = 0

    @property
    def epoch(self) -> int:
        return int(self.path.name)

    def take(self, size: int) -> None:
        """Counts bytes that are about to be written. Raises SpoolFull."""
        self.space.take(size)
        self._held += size

    def give(self, size: int) -> None:
        """Counts bytes that are no longer here."""
        self.space.give(size)
        self._held -= size

    def _adopt(self, size: int) -> None:
        self.space.adopt(size)
        self._held += size

    def create(self, record: SegmentRecord) -> SegmentFile:
        return SegmentFile(self, record)

    def write_journal(self, journal: Journal) -> SpooledJournal:
        path = self.path / f"{_JOURNAL}{journal.number:08d}.json"
        data = journal.model_dump_json(exclude_defaults=False).encode()
        self._adopt(len(data))
        self.write_durably(path, data)
        return SpooledJournal(journal, path, len(data))

    def remove(self, item: Spooled) -> None:
        """Forgets what is in the store."""
        if isinstance(item, SpooledSegment):
            item.path.with_suffix(".json").unlink(missing_ok=True)
        item.path.unlink(missing_ok=True)
        self.give(item.size)

    def is_empty(self) -> bool:
        """Whether nothing waits for the store, or to be completed."""
        return not any(self.path.glob("*.json")) and not self.has_open_segments()

    def has_open_segments(self) -> bool:
        """Whether segments are not complete, because the disk was full or their owner has died."""
        return any(self.path.glob("*.log"))

    def close(self, *, empty: bool) -> None:
        """Ends this owner's use. `empty`: everything is in the store, so the folder is removed. What is left
        counts again when it is recovered."""
        self.give(self._held)
        if empty:
            (self.path / "lock").unlink(missing_ok=True)
            for folder in (self.path, self.path.parent):
                try:
                    folder.rmdir()
                except OSError:
                    break  # something is left in it
        self._lock.close()

    def write_durably(self, path: Path, data: bytes) -> None:
        temporary = path.with_suffix(".tmp")
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            _sync_folder(path.parent)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            if _full(error):
                raise SpoolFull(str(error)) from error
            raise

    def recover(self) -> list[Spooled]:
        """Completes what a dead owner has left here, and returns it in the order of its numbers. Segments for
        which the disk has no room stay open; call it again when others are in the store."""
        for log in sorted(self.path.glob("*.log")):
            with suppress(SpoolFull):
                self._recover_segment(log)
        for path in self.path.glob("*.tmp"):
            path.unlink()
        found: list[Spooled] = []
        for path in sorted(self.path.glob("*.json")):
            item = self._read(path)
            if item is not None:
                self._adopt(item.size)
                found.append(item)
        known = {each.path for each in found}
        for path in [p for suffix in ("*.mp4", "*.webm") for p in self.path.glob(suffix)]:
            if path not in known and not path.with_suffix(".log").exists():
                path.unlink()  # no record belongs to it: nothing of it was durable
        return found

    def _recover_segment(self, log: Path) -> None:
        final = log.with_suffix(".json")
        record = self._last_record(log)
        data = log.with_suffix(f".{record.container}") if record else None
        if record is None or data is None or not data.exists() or data.stat().st_size < record.bytes:
            for suffix in (".mp4", ".webm"):
                if not final.exists():
                    log.with_suffix(suffix).unlink(missing_ok=True)
            log.unlink()
            return
        if not final.exists():
            os.truncate(data, record.bytes)
            digest = hashlib.sha256()
            with data.open("rb") as file:
                while block := file.read(_BLOCK_BYTES):
                    digest.update(block)
                os.fdatasync(file.fileno())
            complete = record.model_copy(update={"sha256": digest.hexdigest(), "recovered": True})
            self.write_durably(final, complete.to_json().encode())
        log.unlink()

    @staticmethod
    def _last_record(log: Path) -> SegmentRecord | None:
        """The record of the last whole line."""
        for line in reversed(log.read_bytes().split(b"\n")[:-1]):
            record = read_record(line)
            if record is not None:
                return record
        return None

    def _read(self, path: Path) -> Spooled | None:
        content = path.read_bytes()
        if path.name.startswith(_JOURNAL):
            journal = read_journal(content)
            return SpooledJournal(journal, path, len(content)) if journal else None
        record = read_record(content)
        if record is None:
            return None
        data = path.with_suffix(f".{record.container}")
        if not data.exists() or data.stat().st_size != record.bytes:
            path.unlink()
            return None
        return SpooledSegment(record, data)


class Spool:
    """The spools of one process, in one folder that no other process uses at the same time for the same
    epoch."""

    def __init__(self, root: Path, space: SpoolSpace) -> None:
        self._root = root
        self.space = space
        # Held while folders are locked to look at them, so that a new owner misses none.
        self._looking = threading.Lock()

    def open(self, recording_id: str, epoch: int) -> SpoolFolder:
        """Opens the spool of a new owner. Raises BlockingIOError if that owner lives in another process, and
        SpoolFull."""
        path = self._root / safe_part(recording_id) / f"{epoch:08d}"
        try:
            path.mkdir(parents=True, exist_ok=True)
            return self._lock(path)
        except OSError as error:
            if _full(error):
                raise SpoolFull(str(error)) from error
            raise

    def left_behind(self, recording_id: str, before_epoch: int) -> list[tuple[int, SpoolFolder]]:
        """The spools of earlier owners of a recording that are dead, with their epochs."""
        with self._looking:
            return list(self._left_behind(recording_id, before_epoch))

    def left_epochs(self, recording_id: str) -> list[int]:
        """The epochs of all such spools."""
        with self._looking:
            found = []
            for epoch, folder in self._left_behind(recording_id, MAX_NUMBER + 1):
                found.append(epoch)
                folder.close(empty=False)
            return found

    def _left_behind(self, recording_id: str, before_epoch: int) -> Iterator[tuple[int, SpoolFolder]]:
        base = self._root / safe_part(recording_id)
        for path in sorted(base.iterdir()) if base.is_dir() else []:
            if not path.name.isdigit() or int(path.name) >= before_epoch:
                continue
            try:
                yield int(path.name), self._lock(path)
            except BlockingIOError:
                continue  # it is stopped, not dead

    def recordings(self) -> list[str]:
        """The recordings of which the folder has something."""
        if not self._root.is_dir():
            return []
        return sorted(path.name for path in self._root.iterdir() if path.is_dir())

    def _lock(self, path: Path) -> SpoolFolder:
        lock = (path / "lock").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise
        return SpoolFolder(path, self.space, lock)
