"""Lists by app, room and time, in pages."""

from hypothesis import given
from hypothesis import strategies as st
from nexus.recorder.v1 import recording_pb2
from nexus_recorder.core.catalog import Catalog, Entry, Query
from nexus_recorder.core.record import Record


def entry(number: int, *, room: str = "lobby", created: int = 0, revision: int = 1) -> Entry:
    recording = recording_pb2.Recording(id=f"RC_{number}", app="app", room=room, created_at_ms=created)
    return Entry.of(Record(recording=recording), revision, 0)


recordings = st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(1, 8)), max_size=30)


@given(recordings, st.sampled_from(["", "a"]), st.integers(0, 9), st.integers(0, 9), st.integers(1, 5))
def test_pages_are_the_newest_first_without_gap_or_repetition(
    made: list[tuple[str, int]], room: str, from_ms: int, to_ms: int, size: int
) -> None:
    catalog = Catalog()
    for number, (its_room, created) in enumerate(made):
        catalog.put(entry(number, room=its_room, created=created))
    wanted = [
        (created, f"RC_{number}")
        for number, (its_room, created) in enumerate(made)
        if room in ("", its_room) and created >= from_ms and (not to_ms or created < to_ms)
    ]
    found: list[tuple[int, str]] = []
    more = True
    while more:
        before = found[-1] if found else None
        page, more = catalog.page(Query("app", room, from_ms, to_ms, before), size)
        assert len(page) <= size
        assert page or not more
        found += page
    assert found == sorted(wanted, reverse=True)


def test_an_older_state_does_not_replace_a_newer_one() -> None:
    catalog = Catalog()
    assert catalog.put(entry(1, revision=5))
    assert not catalog.put(entry(1, revision=4))
    assert len(catalog) == 1


def test_a_removed_recording_is_in_no_list() -> None:
    catalog = Catalog()
    catalog.put(entry(1))
    catalog.put(entry(2))
    catalog.remove("app", "RC_1")
    catalog.remove("app", "RC_1")
    assert catalog.page(Query("app", "lobby"), 9) == ([(0, "RC_2")], False)
    catalog.remove("app", "RC_2")
    assert catalog.page(Query("app"), 9) == ([], False)


def test_an_ended_recording_contains_only_the_identities_of_its_files() -> None:
    recording = recording_pb2.Recording(id="RC_1", app="app", file_count=1)
    recording.files.add(identity="ada")
    record = Record(recording=recording)
    assert Entry.of(record, 1, 0).may_contain("bob"), "it has not ended"
    recording.state = recording_pb2.RECORDING_STATE_COMPLETED
    record = Record(recording=recording)
    assert Entry.of(record, 1, 0).may_contain("ada")
    assert not Entry.of(record, 1, 0).may_contain("bob")
    recording.file_count = 2
    assert Entry.of(Record(recording=recording), 1, 0).may_contain("bob"), "one file is not listed"
