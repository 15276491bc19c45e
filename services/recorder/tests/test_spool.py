"""The spool: what is durable after each fragment, and what the next owner finds."""

from pathlib import Path

import pytest
from nexus_recorder.core.records import Journal, SegmentRecord
from nexus_recorder.media.spool import (
    SegmentFile,
    Spool,
    SpooledJournal,
    SpooledSegment,
    SpoolFolder,
    SpoolFull,
    SpoolSpace,
)


def record(number: int = 1, end_us: int = 2_000_000) -> SegmentRecord:
    return SegmentRecord(
        identity="anna",
        source=2,
        epoch=1,
        number=number,
        start_us=0,
        end_us=end_us,
        codec="vp8",
        container="webm",
    )


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path, SpoolSpace(1_000))


def next_owner(spool: Spool) -> tuple[SpoolFolder, list[SpooledSegment | SpooledJournal]]:
    [(epoch, folder)] = list(spool.left_behind("RC_1", before_epoch=2))
    assert epoch == 1
    return folder, folder.recover()


def written(folder: SpoolFolder, number: int = 1) -> SegmentFile:
    file = folder.create(record(number))
    file.append(b"first fragment", record(number, 2_000_000))
    file.append(b" and second", record(number, 4_000_000))
    return file


def test_a_complete_segment_is_found_by_the_next_owner(spool: Spool) -> None:
    folder = spool.open("RC_1", 1)
    done = written(folder).complete(record(1, 6_000_000))
    assert done is not None
    folder.close(empty=False)
    _, [found] = next_owner(spool)
    assert isinstance(found, SpooledSegment)
    assert found.record == done.record
    assert found.path.read_bytes() == b"first fragment and second"


@pytest.mark.parametrize("cut", [0, 1, 10])
def test_a_segment_that_was_open_ends_at_its_last_durable_fragment(spool: Spool, cut: int) -> None:
    folder = spool.open("RC_1", 1)
    file = written(folder)
    file.abandon()
    folder.close(empty=False)
    # The process died while it wrote the third fragment, or its line of the log.
    path = next(folder.path.glob("*.webm"))
    with path.open("ab") as data:
        data.write(b"x" * cut)
    with path.with_suffix(".log").open("ab") as log:
        log.write(b'{"identity": "an'[:cut])
    later, [found] = next_owner(spool)
    assert isinstance(found, SpooledSegment)
    assert found.path.read_bytes() == b"first fragment and second"
    assert found.record.recovered
    assert found.record.end_us == 4_000_000
    assert later.recover() == [found]


def test_a_segment_without_a_durable_fragment_leaves_nothing(spool: Spool) -> None:
    folder = spool.open("RC_1", 1)
    folder.create(record()).abandon()
    assert folder.create(record(2)).complete(record(2)) is None
    folder.close(empty=False)
    later, found = next_owner(spool)
    assert found == []
    assert [path.name for path in later.path.iterdir()] == ["lock"]


def test_a_stopped_owner_keeps_its_spool_until_it_is_dead(spool: Spool) -> None:
    folder = spool.open("RC_1", 1)
    assert list(spool.left_behind("RC_1", before_epoch=2)) == []
    with pytest.raises(BlockingIOError):
        spool.open("RC_1", 1)
    folder.close(empty=True)
    assert spool.recordings() == []


def test_the_bound_ends_a_segment_at_its_last_fragment(spool: Spool) -> None:
    folder = spool.open("RC_1", 1)
    file = written(folder)
    with pytest.raises(SpoolFull):
        file.append(b"x" * 2_000, record())
    done = file.complete(None)
    assert done is not None
    assert done.record.end_us == 4_000_000
    assert done.path.read_bytes() == b"first fragment and second"
    assert (spool.space.used_bytes, spool.space.refused) == (25, 1)
    folder.remove(done)
    assert spool.space.used_bytes == 0


def test_a_full_disk_ends_a_segment_at_its_last_fragment(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = spool.open("RC_1", 1)
    file = written(folder)

    def full(data: object, view: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SegmentFile, "_write", staticmethod(full))
    with pytest.raises(SpoolFull):
        file.append(b"third", record())
    monkeypatch.undo()
    done = file.complete(None)
    assert done is not None
    assert done.path.read_bytes() == b"first fragment and second"


def test_a_segment_for_which_the_disk_has_no_room_is_completed_later(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = spool.open("RC_1", 1)
    file = written(folder)

    def full(self: SpoolFolder, path: Path, data: bytes) -> None:
        raise SpoolFull("No space left on device")

    monkeypatch.setattr(SpoolFolder, "write_durably", full)
    assert file.complete(record(1, 6_000_000)) is None
    assert not folder.is_empty()
    folder.close(empty=False)
    assert spool.left_epochs("RC_1") == [1]
    later, found = next_owner(spool)
    assert (found, later.has_open_segments()) == ([], True)
    monkeypatch.undo()
    [done] = later.recover()
    assert isinstance(done, SpooledSegment)
    assert done.path.read_bytes() == b"first fragment and second"
    assert not later.has_open_segments()


def test_journals_are_found_too(spool: Spool) -> None:
    folder = spool.open("RC_1", 1)
    journal = Journal(epoch=1, number=1)
    folder.write_journal(journal)
    folder.close(empty=False)
    _, [found] = next_owner(spool)
    assert isinstance(found, SpooledJournal)
    assert found.journal == journal


def test_files_of_others_in_the_spool_are_no_segments(spool: Spool) -> None:
    folder = spool.open("RC_1", 1)
    (folder.path / "x.json").write_text("[]")
    (folder.path / "y.log").write_text("garbage\n")
    (folder.path / "z.webm").write_bytes(b"garbage")
    folder.close(empty=False)
    _, found = next_owner(spool)
    assert found == []


def test_what_an_owner_leaves_counts_once_when_it_is_recovered(spool: Spool) -> None:
    folder = spool.open("RC_1", 1)
    written(folder).complete(record(1, 6_000_000))
    folder.close(empty=False)
    assert spool.space.used_bytes == 0
    again, [left] = next_owner(spool)
    assert spool.space.used_bytes == left.size
    again.remove(left)
    again.close(empty=True)
    assert spool.space.used_bytes == 0
