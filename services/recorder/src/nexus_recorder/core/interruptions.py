"""The gaps of a stream that no tap could report: its node was lost, or its tap had expired before the next
owner came."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

from nexus_recorder.core.notes import Note
from nexus_recorder.core.records import SegmentRecord, TrackEntry

# The reasons of these gaps in the manifest.
NODE_LOST: Final = "node_lost"
TAP_EXPIRED: Final = "tap_expired"
# The end reason of a track whose node died before the tap had delivered all of it.
LOST: Final = "lost"


def interruptions(entries: Iterable[TrackEntry], records: Sequence[SegmentRecord]) -> list[Note]:
    """The gaps of one stream. `records` are its segments in the order of time."""
    entries = list(entries)
    found = [_after_lost_node(entry, records) for entry in entries if entry.end_reason == LOST]
    found += [_gap(one.end_us, other.start_us, TAP_EXPIRED) for one, other in _new_taps(entries, records)]
    return found


def _after_lost_node(entry: TrackEntry, records: Sequence[SegmentRecord]) -> Note:
    """From the last media of a track to the next media of its stream; without any, to where the recorder
    gave the track up."""
    own = [record.end_us for record in records if record.track_id == entry.track_id]
    from_us = max(own, default=entry.from_us)
    later = [r.start_us for r in records if r.track_id != entry.track_id and r.start_us >= from_us]
    return _gap(from_us, min(later, default=max(from_us, entry.to_us or 0)), NODE_LOST)


def _new_taps(
    entries: Sequence[TrackEntry], records: Sequence[SegmentRecord]
) -> list[tuple[SegmentRecord, SegmentRecord]]:
    """The neighbours of one track between which another tap was opened, whose positions begin again.
    After a pause, or another choice of tracks, that is intended; each has ended the track's entry."""
    found = []
    for one, other in pairwise(records):
        if one.track_id != other.track_id or other.start_us < one.end_us:
            continue
        if other.first_record > one.first_record:
            continue
        if any(_spans(entry, one, other) for entry in entries):
            found.append((one, other))
    return found


def _spans(entry: TrackEntry, one: SegmentRecord, other: SegmentRecord) -> bool:
    until = entry.to_us is None or entry.to_us >= other.start_us
    return entry.track_id == one.track_id and entry.from_us <= one.end_us and until


def _gap(from_us: int, to_us: int, reason: str) -> Note:
    return Note(kind="gap", at_us=from_us, to_us=to_us, reason=reason)
