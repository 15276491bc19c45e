"""The recordings of all apps as one process knows them, by app, room and time, in order to list them.

It holds one small entry for each record, not the records themselves.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar
from zlib import crc32

from nexus.recorder.v1.recording_pb2 import RecordingState

from nexus_recorder.core.inputs import Due
from nexus_recorder.core.record import Record, has_ended, waits_for_spools
from nexus_recorder.core.recording import due_job

# The place of a recording in a listing: when it was created (milliseconds since the Unix epoch), and its id.
Position = tuple[int, str]
K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Entry:
    """A recording as lists and sweeps need it. `revision` is that of its record, and `seen_ms` the
    moment on the monotonic clock at which this process saw it."""

    app: str
    room: str
    id: str
    revision: int
    seen_ms: int
    created_at_ms: int
    ended: bool
    due: Due | None
    # Whether its files wait for what an owner has left in a spool.
    waits: bool
    owned: bool
    has_unpublished: bool
    # 0: never.
    expires_at_ms: int
    hold: bool
    deleted: bool
    # When it was deleted or ended, in milliseconds since the Unix epoch.
    ended_at_ms: int
    # The ids of the jobs for which it waits.
    job_ids: tuple[str, ...]
    # Whether `identities` covers every file.
    complete: bool
    # CRC-32 of the identities of its files, four bytes each.
    identities: bytes

    @classmethod
    def of(cls, record: Record, revision: int, seen_ms: int) -> "Entry":
        recording = record.recording
        due = due_job(record)
        jobs = {
            Due.RUN: record.run_job_id,
            Due.FINISH: record.finish_job_id,
            Due.DELETE: record.delete_job_id,
        }
        hashes = {crc32(file.identity.encode()) for file in recording.files}
        last_event = record.unpublished[-1].at_ms if record.unpublished else 0
        return cls(
            app=recording.app,
            room=recording.room,
            id=recording.id,
            revision=revision,
            seen_ms=seen_ms,
            created_at_ms=recording.created_at_ms,
            ended=has_ended(recording),
            due=due,
            waits=recording.state == RecordingState.RECORDING_STATE_FINISHING and waits_for_spools(recording),
            owned=record.owned,
            has_unpublished=bool(record.unpublished),
            expires_at_ms=recording.expires_at_ms,
            hold=recording.hold,
            deleted=due is None and recording.delete_requested,
            ended_at_ms=max(recording.ended_at_ms, last_event),
            job_ids=tuple(job for kind, job in jobs.items() if job and kind is due),
            complete=len(recording.files) == recording.file_count,
            identities=b"".join(value.to_bytes(4, "big") for value in sorted(hashes)),
        )

    @property
    def position(self) -> Position:
        return (self.created_at_ms, self.id)

    def may_contain(self, identity: str) -> bool:
        """Whether some file may be of this identity. A recording that has not ended may always."""
        if not self.ended or not self.complete:
            return True
        wanted = crc32(identity.encode()).to_bytes(4, "big")
        return any(self.identities[at : at + 4] == wanted for at in range(0, len(self.identities), 4))


@dataclass(frozen=True, slots=True)
class Query:
    """A part of an app's recordings. `from_ms` is included and `to_ms` is not; 0: no bound. An empty `room`
    stands for all rooms. `before` is the last position of the page before."""

    app: str
    room: str = ""
    from_ms: int = 0
    to_ms: int = 0
    before: Position | None = None


class Catalog:
    """Entries by key, and their positions by app and by room."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], Entry] = {}
        self._by_app: dict[str, list[Position]] = {}
        self._by_room: dict[tuple[str, str], list[Position]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        """A snapshot, so that entries may change while it is read."""
        return iter(list(self._entries.values()))

    def get(self, app: str, recording_id: str) -> Entry | None:
        return self._entries.get((app, recording_id))

    def put(self, entry: Entry) -> bool:
        """Takes the newest state of a recording. Returns False if a newer one is known."""
        known = self._entries.get((entry.app, entry.id))
        if known is not None and known.revision >= entry.revision:
            return False
        if known is None:
            insort(self._by_app.setdefault(entry.app, []), entry.position)
            insort(self._by_room.setdefault((entry.app, entry.room), []), entry.position)
        self._entries[(entry.app, entry.id)] = entry
        return True

    def remove(self, app: str, recording_id: str) -> None:
        entry = self._entries.pop((app, recording_id), None)
        if entry is not None:
            _remove(self._by_app, entry.app, entry.position)
            _remove(self._by_room, (entry.app, entry.room), entry.position)

    def page(self, query: Query, size: int) -> tuple[list[Position], bool]:
        """The newest positions that the query selects, and whether there are more."""
        positions = (
            self._by_room.get((query.app, query.room), []) if query.room else self._by_app.get(query.app, [])
        )
        first = bisect_left(positions, (query.from_ms, ""))
        end = bisect_left(positions, (query.to_ms, "")) if query.to_ms else len(positions)
        if query.before is not None:
            end = min(end, bisect_left(positions, query.before))
        begin = max(first, end - size)
        return positions[begin:end][::-1], begin > first

    def of_room(self, app: str, room: str) -> list[Entry]:
        return [self._entries[(app, id_)] for _, id_ in self._by_room.get((app, room), [])]

    def of_app(self, app: str) -> list[Entry]:
        return [self._entries[(app, id_)] for _, id_ in self._by_app.get(app, [])]


def _remove(index: dict[K, list[Position]], key: K, position: Position) -> None:
    positions = index[key]
    del positions[bisect_right(positions, position) - 1]
    if not positions:
        del index[key]
