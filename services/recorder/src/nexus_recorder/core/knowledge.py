"""Knowledge that the next owner of a recording needs: the places of the lines, and the tracks that were being
recorded.

It is in the checkpoint of the last owner, and in the journals; the one that knows more counts.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from nexus_recorder.core.records import (
    Entry,
    Journal,
    LineEntry,
    OwnerEntry,
    PauseEntry,
    TrackEntry,
    read_journal,
)


@dataclass(slots=True)
class Knowledge:
    """The journals of a recording, put together."""

    lines: dict[str, LineEntry] = field(default_factory=dict)
    tracks: dict[tuple[str, int], TrackEntry] = field(default_factory=dict)
    """By track id and beginning."""
    owners: list[OwnerEntry] = field(default_factory=list)
    pauses: dict[int, PauseEntry] = field(default_factory=dict)

    def add(self, entries: Iterable[Entry]) -> None:
        """Takes entries in the order in which they were written."""
        for entry in entries:
            match entry:
                case LineEntry():
                    self.lines[entry.line] = entry
                case TrackEntry():
                    self._add_track(entry)
                case OwnerEntry():
                    if entry not in self.owners:
                        self.owners.append(entry)
                case PauseEntry():
                    self.pauses[entry.from_us] = entry

    def _add_track(self, entry: TrackEntry) -> None:
        key = entry.track_id, entry.from_us
        known = self.tracks.get(key)
        # An entry that has ended is newer than the one with which it began.
        if known is None or known.to_us is None or entry.to_us is not None:
            self.tracks[key] = entry

    @property
    def offsets(self) -> dict[str, int]:
        """The places of the lines."""
        return {name: entry.offset_us for name, entry in self.lines.items()}

    @property
    def open_tracks(self) -> list[TrackEntry]:
        """The tracks that no owner has ended: their taps may still have records that were not read. An owner
        that died has not ended its entry; where the next owner has continued the track, that entry counts."""
        last: dict[str, TrackEntry] = {}
        for entry in self.tracks.values():
            if entry.track_id not in last or entry.from_us >= last[entry.track_id].from_us:
                last[entry.track_id] = entry
        return [entry for entry in last.values() if entry.to_us is None]

    def track_ends_us(self, end_us: int) -> list[tuple[TrackEntry, int]]:
        """Every entry of a track with the position at which it ended. `end_us` is the end of the
        recording."""
        is_open = {(entry.track_id, entry.from_us) for entry in self.open_tracks}
        return [
            (
                entry,
                end_us
                if key in is_open
                else min(entry.from_us if entry.to_us is None else entry.to_us, end_us),
            )
            for key, entry in self.tracks.items()
        ]


def to_checkpoint(epoch: int, knowledge: Knowledge) -> bytes:
    """The checkpoint of an owner: its lines and its open tracks, as a journal. At most 150 KiB."""
    entries: list[Entry] = [*list(knowledge.lines.values())[-200:], *knowledge.open_tracks[:200]]
    entries = [e.model_copy(update={"notes": ()}) if isinstance(e, TrackEntry) else e for e in entries]
    return Journal(epoch=epoch, number=0, entries=tuple(entries)).model_dump_json().encode()[: 150 << 10]


def from_checkpoint(data: bytes) -> tuple[Entry, ...]:
    """Reads a checkpoint; nothing for one that cannot be read."""
    journal = read_journal(data) if data else None
    return journal.entries if journal else ()
