"""The gaps of a recording whose files were made without a spool, because its recorder was silent too long."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

from nexus.recorder.v1 import recording_pb2

from nexus_recorder.core.knowledge import Knowledge
from nexus_recorder.core.notes import Note
from nexus_recorder.core.records import SegmentRecord, TrackEntry

# The reason of these gaps in the manifest.
SPOOL_LOST: Final = "spool_lost"
# Minimum duration of such a gap, in microseconds. Segments of one track have shorter distances.
MIN_GAP_US: Final = 100_000
# The same at the end of a stream, which the recorder notices up to a batch after the last media.
MIN_LAST_GAP_US: Final = 1_000_000

# From and to, in microseconds on the timeline of the recording.
Interval = tuple[int, int]


def lost_windows(
    recording: recording_pb2.Recording, knowledge: Knowledge, end_us: int
) -> dict[int, Interval]:
    """The time of which each lost spool may have had segments: from the beginning of its owner, or the last
    end before it, to the beginning of the next owner. By epoch."""
    windows = {}
    for epoch in (spool.epoch for spool in recording.left_spools if spool.lost):
        own = [o.at_us for o in knowledge.owners if o.epoch == epoch and o.event == "began"]
        before = [o.at_us for o in knowledge.owners if o.epoch < epoch]
        after = [o.at_us for o in knowledge.owners if o.epoch > epoch and o.event == "began"]
        from_us = max(own or before, default=0)
        windows[epoch] = (from_us, max(from_us, min(after, default=end_us)))
    return windows


def spool_losses(
    entries: Sequence[TrackEntry],
    records: Sequence[SegmentRecord],
    lost: Sequence[Interval],
    pauses: Iterable[Interval],
    end_us: int,
) -> list[Note]:
    """The gaps of one stream. `records` are its segments in the order of time, and `end_us` is where it
    ended. A gap says that media can be missing there, because only that spool has the list."""
    if not lost:
        return []
    starts = [entry.from_us for entry in entries] + [record.start_us for record in records]
    there = [(record.start_us, record.end_us) for record in records]
    # Nothing was sent between two segments that follow each other in the tap.
    there += [(one.end_us, other.start_us) for one, other in pairwise(records) if _follows(one, other)]
    holes = _without([(min(starts, default=0), end_us)], [*there, *pauses])
    gaps = {(max(hole[0], window[0]), min(hole[1], window[1])) for hole in holes for window in lost}
    return [
        Note(kind="gap", at_us=from_us, to_us=to_us, reason=SPOOL_LOST)
        for from_us, to_us in sorted(gaps)
        if to_us - from_us >= (MIN_LAST_GAP_US if to_us == end_us else MIN_GAP_US)
    ]


def _follows(one: SegmentRecord, other: SegmentRecord) -> bool:
    """Whether `other` has the records of the tap that come next."""
    same = (one.track_id, one.line) == (other.track_id, other.line)
    return same and one.first_record < other.first_record <= one.last_record + 1


def _without(intervals: list[Interval], others: Iterable[Interval]) -> list[Interval]:
    for from_us, to_us in others:
        if to_us > from_us:
            parts = [((start, min(end, from_us)), (max(start, to_us), end)) for start, end in intervals]
            intervals = [each for both in parts for each in both if each[0] < each[1]]
    return intervals
