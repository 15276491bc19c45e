"""Names, records and journals, from which a recording can be put together again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nexus_recorder.core.knowledge import Knowledge, from_checkpoint, to_checkpoint
from nexus_recorder.core.notes import MAX_NOTES, Note, NotePad
from nexus_recorder.core.object_names import ObjectNames, SegmentName, StreamKey
from nexus_recorder.core.records import (
    Journal,
    LineEntry,
    PauseEntry,
    SegmentRecord,
    TrackEntry,
    read_journal,
    read_record,
)
from nexus_recorder.core.selection import Publication, Publisher
from nexus_recorder.core.stream_book import StreamBook

NAMES = ObjectNames("demo", "RC_1")
TRACK = TrackEntry(
    identity="anna", source=2, participant_id="PA_1", track_id="TR_1", media="video", from_us=0
)


@given(
    st.text(max_size=20),
    st.integers(0, 4),
    st.integers(1, 10**8 - 1),
    st.integers(1, 10**8 - 1),
    st.integers(0, 10**14),
    st.integers(0, 10**8),
)
def test_a_name_says_stream_epoch_number_time_and_duration(
    identity: str, source: int, epoch: int, number: int, start_us: int, duration_us: int
) -> None:
    name = SegmentName(StreamKey(identity, source).id, epoch, number, start_us, duration_us, "mp4")
    assert NAMES.parse_segment(NAMES.segment(name)) == name
    assert NAMES.parse_segment(NAMES.record(name)) is None


def test_a_listing_is_in_the_order_of_epoch_and_number() -> None:
    names = [SegmentName("0" * 16, e, n, 7, 9, "webm") for e in (1, 2, 10) for n in (1, 9, 10, 100)]
    keys = [NAMES.segment(each) for each in names]
    assert sorted(keys) == keys


@pytest.mark.parametrize(
    "key",
    [
        "nexus-recordings/demo/RC_1/segments/" + "0" * 16 + "/00000001-00000001-000000000000000-1.exe",
        "nexus-recordings/demo/RC_1/segments/../00000001-00000001-000000000000000-1.mp4",
        "nexus-recordings/demo/RC_2/segments/" + "0" * 16 + "/00000001-00000001-000000000000000-1.mp4",
        "nexus-recordings/demo/RC_1/segments/",
        "",
    ],
)
def test_the_objects_of_others_are_no_segments(key: str) -> None:
    assert NAMES.parse_segment(key) is None


@pytest.mark.parametrize("app", ["../x", "a/b", "", "é" * 300, "-x"])
def test_an_app_of_any_name_stays_below_the_root(app: str) -> None:
    prefix = ObjectNames(app, "RC_1").prefix
    assert prefix.startswith("nexus-recordings/")
    assert len(prefix.split("/")) == 4
    assert ".." not in prefix


@given(st.lists(st.tuples(st.text(max_size=3), st.integers(0, 4), st.text(max_size=3)), unique=True))
def test_different_streams_have_different_ids(keys: list[tuple[str, int, str]]) -> None:
    assert len({StreamKey(*each).id for each in keys}) == len(keys)


def test_a_record_survives_its_json_and_names_its_segment() -> None:
    record = SegmentRecord(
        identity="anna",
        source=2,
        epoch=3,
        number=8,
        start_us=6_000_000,
        end_us=12_000_000,
        codec="vp8",
        container="webm",
        notes=(Note(kind="gap", at_us=7_000_000, reason="lost", packets=3),),
    )
    assert read_record(record.to_json()) == record
    assert record.segment_name.text.endswith("/00000003-00000008-000000006000000-6000000.webm")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"identity": 1}', "\udcff", "x" * (2 << 20)])
def test_a_record_that_somebody_changed_is_none(text: str) -> None:
    assert read_record(text.encode(errors="replace")) is None
    assert read_journal(text.encode(errors="replace")) is None


def test_notes_are_bounded_and_counted() -> None:
    pad = NotePad.empty()
    for number in range(MAX_NOTES + 5):
        pad.add(Note(kind="gap", at_us=number))
    notes, dropped = pad.take()
    assert (len(notes), dropped) == (MAX_NOTES, 5)
    assert pad.take() == ((), 0)


def test_a_later_entry_of_a_track_replaces_the_earlier() -> None:
    knowledge = Knowledge()
    knowledge.add([TRACK, LineEntry(line="n/r", offset_us=5, from_us=0), PauseEntry(from_us=1)])
    assert knowledge.open_tracks == [TRACK]
    knowledge.add([TRACK.model_copy(update={"to_us": 9}), PauseEntry(from_us=1, to_us=4)])
    assert knowledge.open_tracks == []
    assert knowledge.pauses[1].to_us == 4
    assert knowledge.offsets == {"n/r": 5}


def test_a_track_that_a_later_owner_has_ended_is_open_no_longer() -> None:
    """The first owner died without ending its entry, and its journal may be read again after the other."""
    continued = TRACK.model_copy(update={"from_us": 8, "to_us": 15})
    for order in ([TRACK, continued], [continued, TRACK]):
        knowledge = Knowledge()
        knowledge.add(order)
        assert knowledge.open_tracks == []
        assert dict(knowledge.track_ends_us(60)) == {TRACK: 0, continued: 15}
    knowledge.add([TRACK.model_copy(update={"from_us": 8})])
    assert knowledge.open_tracks == []
    knowledge.add([TRACK.model_copy(update={"from_us": 20})])
    assert [end for _, end in knowledge.track_ends_us(60)] == [15, 0, 60]


def test_a_checkpoint_has_the_lines_and_the_open_tracks() -> None:
    knowledge = Knowledge()
    knowledge.add([TRACK, LineEntry(line="n/r", offset_us=5, from_us=0), PauseEntry(from_us=1)])
    later = Knowledge()
    later.add(from_checkpoint(to_checkpoint(1, knowledge)))
    assert later.offsets == {"n/r": 5}
    assert later.open_tracks == [TRACK]
    assert from_checkpoint(b"") == from_checkpoint(b"garbage") == ()


def test_journals_survive_their_json() -> None:
    journal = Journal(epoch=2, number=3, entries=(TRACK, PauseEntry(from_us=1)))
    assert read_journal(journal.model_dump_json()) == journal


def test_a_stream_is_continued_by_the_next_track_and_parallel_tracks_have_their_own() -> None:
    book = StreamBook()
    anna = Publisher("PA_1", "anna")
    again = Publisher("PA_2", "anna")
    first = book.begin(anna, Publication("TR_1", "PA_1", 2, 2))
    second = book.begin(again, Publication("TR_2", "PA_2", 2, 2))
    assert (first.ordinal, second.ordinal) == (0, 1)
    assert book.begin(anna, Publication("TR_1", "PA_1", 2, 2)) == first
    book.wrote(first, 99)
    assert next(book.numbers(first)) == 1
    book.end(first, "TR_1")
    third = book.begin(again, Publication("TR_3", "PA_2", 2, 2))
    assert third == first
    assert (next(book.numbers(third)), book.last_us(third)) == (2, 99)
