"""Gaps of the manifest when a spool is lost."""

from nexus.recorder.v1 import recording_pb2
from nexus_recorder.core.knowledge import Knowledge
from nexus_recorder.core.records import OwnerEntry, SegmentRecord, TrackEntry
from nexus_recorder.core.spool_losses import lost_windows, spool_losses

SECOND = 1_000_000


def segment(epoch: int, from_s: float, to_s: float, first: int, last: int) -> SegmentRecord:
    return SegmentRecord(
        identity="ada",
        source=1,
        track_id="TR_1",
        epoch=epoch,
        number=1,
        start_us=round(from_s * SECOND),
        end_us=round(to_s * SECOND),
        codec="opus",
        container="mp4",
        first_record=first,
        last_record=last,
    )


def track(from_s: int, to_s: int | None = None) -> TrackEntry:
    return TrackEntry(
        identity="ada",
        source=1,
        participant_id="PA_1",
        track_id="TR_1",
        media="audio",
        from_us=from_s * SECOND,
        to_us=None if to_s is None else to_s * SECOND,
    )


def gaps(*records: SegmentRecord, window: tuple[int, int], pauses: tuple[tuple[int, int], ...] = ()) -> list:  # type: ignore[type-arg]
    lost = [(window[0] * SECOND, window[1] * SECOND)]
    intervals = [(a * SECOND, b * SECOND) for a, b in pauses]
    found = spool_losses([track(0)], records, lost, intervals, 30 * SECOND)
    return [(note.at_us / SECOND, (note.to_us or 0) / SECOND) for note in found]


def test_the_end_of_a_lost_spool_is_a_gap_up_to_the_next_owner() -> None:
    records = segment(1, 0, 6, 1, 300), segment(2, 11, 30, 500, 900)
    assert gaps(*records, window=(0, 12)) == [(6, 11)]
    assert gaps(*records, window=(0, 10)) == [(6, 10)]


def test_what_was_never_sent_is_no_gap() -> None:
    assert gaps(segment(1, 0, 6, 1, 300), segment(2, 11, 30, 301, 900), window=(0, 12)) == []


def test_what_the_next_owner_has_read_again_is_no_gap() -> None:
    assert gaps(segment(1, 0, 6, 1, 300), segment(2, 4, 30, 200, 900), window=(0, 12)) == []


def test_a_pause_is_no_gap() -> None:
    records = segment(1, 0, 6, 1, 300), segment(2, 11, 30, 1, 900)
    assert gaps(*records, window=(0, 12), pauses=((6, 9),)) == [(9, 11)]


def test_a_stream_that_was_only_in_the_lost_spool_is_missing_as_a_whole() -> None:
    assert gaps(window=(0, 12)) == [(0, 12)]


def test_the_time_of_a_lost_spool_lasts_from_its_owner_to_the_next() -> None:
    recording = recording_pb2.Recording()
    for epoch in (1, 2, 4):
        recording.left_spools.add(epoch=epoch, lost=epoch != 1)
    knowledge = Knowledge(
        owners=[
            OwnerEntry(epoch=1, at_us=0, event="began"),
            OwnerEntry(epoch=1, at_us=5, event="ended"),
            OwnerEntry(epoch=3, at_us=9, event="began"),
        ]
    )
    assert lost_windows(recording, knowledge, 20) == {2: (5, 9), 4: (9, 20)}
