"""Gaps that no tap reports."""

from nexus_recorder.core.interruptions import interruptions
from nexus_recorder.core.notes import Note
from nexus_recorder.core.records import SegmentRecord, TrackEntry

SECOND = 1_000_000


def segment(
    from_s: float, to_s: float, first_record: int, *, track: str = "TR_1", epoch: int = 1
) -> SegmentRecord:
    return SegmentRecord(
        identity="anna",
        source=1,
        track_id=track,
        epoch=epoch,
        number=1,
        start_us=round(from_s * SECOND),
        end_us=round(to_s * SECOND),
        codec="opus",
        container="mp4",
        first_record=first_record,
    )


def entry(
    from_s: float, to_s: float | None = None, *, track: str = "TR_1", reason: str = "ended"
) -> TrackEntry:
    return TrackEntry(
        identity="anna",
        source=1,
        participant_id="PA_1",
        track_id=track,
        media="audio",
        from_us=round(from_s * SECOND),
        to_us=None if to_s is None else round(to_s * SECOND),
        end_reason=reason if to_s is not None else "",
    )


def gap(from_s: float, to_s: float, reason: str) -> Note:
    return Note(kind="gap", at_us=round(from_s * SECOND), to_us=round(to_s * SECOND), reason=reason)


def test_a_lost_node_leaves_a_gap_up_to_the_next_media_of_the_stream() -> None:
    records = [segment(0, 6, 2), segment(6, 9, 300), segment(15, 20, 2, track="TR_2")]
    entries = [entry(0, 19, reason="lost"), entry(14, 20, track="TR_2")]
    assert interruptions(entries, records) == [gap(9, 15, "node_lost")]


def test_a_lost_node_without_a_successor_leaves_a_gap_up_to_where_it_was_given_up() -> None:
    assert interruptions([entry(0, 19, reason="lost")], [segment(0, 6, 2)]) == [gap(6, 19, "node_lost")]
    assert interruptions([entry(3, 19, reason="lost")], []) == [gap(3, 19, "node_lost")]


def test_a_tap_that_had_expired_leaves_a_gap() -> None:
    records = [segment(0, 6, 2), segment(6, 9, 300), segment(80, 86, 2, epoch=2)]
    assert interruptions([entry(0, 90)], records) == [gap(9, 80, "tap_expired")]
    assert interruptions([entry(0)], records) == [gap(9, 80, "tap_expired")]


def test_what_a_successor_reads_again_is_no_gap() -> None:
    records = [segment(0, 6, 2), segment(6, 9, 300), segment(8, 12, 390, epoch=2)]
    assert interruptions([entry(0, 12)], records) == []


def test_silence_is_no_gap() -> None:
    assert interruptions([entry(0, 60)], [segment(0, 6, 2), segment(50, 56, 300)]) == []


def test_a_pause_and_another_choice_of_tracks_are_no_gaps() -> None:
    records = [segment(0, 6, 2), segment(20, 26, 2)]
    assert interruptions([entry(0, 7, reason="asked"), entry(19.5, 26)], records) == []
