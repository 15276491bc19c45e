"""Subjects and keys on the bus, in particular for rooms with hostile names."""

import itertools
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nexus_bus import subjects
from nexus_bus.matching import check_key, check_subject, matches, overlap

names = st.text(min_size=1).filter(lambda text: text.encode("utf-8", "ignore").decode() == text)
HOSTILE = [">", "*", "a.b", ".", "..", "a b", "", "\0", "$SYS.>", "ü", "a" * 500]


@pytest.mark.parametrize("room", [name for name in HOSTILE if name])
def test_a_hostile_room_name_matches_only_its_own_subject(room: str) -> None:
    subject = check_subject(subjects.room_event("app", room, "track-published"))
    assert matches(subjects.room_events("app", room), subject)
    assert matches(subjects.all_room_events("app"), subject)
    assert matches(subjects.all_room_events(), subject)
    assert not matches(subjects.room_events("app", "other"), subject)
    assert not matches(subjects.room_events("other", room), subject)
    assert not matches(subjects.all_room_events("other"), subject)
    assert subjects.parse_room_event(subject) == ("app", room, "track-published")


@given(names, names, names)
def test_names_survive_the_round_trip(app: str, room: str, identity: str) -> None:
    key = check_key(subjects.participant_key(app, room, identity))
    assert subjects.parse_participant_key(key) == (app, room, identity)
    assert matches(subjects.participants_filter(app, room), key)
    assert subjects.parse_room_key(check_key(subjects.room_key(app, room))) == (app, room)
    assert subjects.parse_room_event(subjects.room_event(app, room, "e")) == (app, room, "e")
    partition = subjects.qoe_partition(app, room)
    samples = check_subject(subjects.qoe(app, partition))
    assert any(matches(pattern, samples) for pattern in subjects.QOE_STREAM_SUBJECTS)
    assert matches(subjects.qoe_partition_filter(partition), samples)
    assert subjects.parse_qoe(samples) == (app, partition)


@given(names, names)
def test_different_names_have_different_tokens(one: str, other: str) -> None:
    assert (subjects.token(one) == subjects.token(other)) == (one == other)


def test_the_documented_example() -> None:
    assert subjects.token("lobby") == "bG9iYnk"
    assert subjects.room_event("devkey", "lobby", "track-published") == (
        "nexus.v1.ZGV2a2V5.room.bG9iYnk.track-published"
    )
    assert subjects.node_key("sfu-1") == "sfu-1"


@pytest.mark.parametrize("part", ["", "=", "bG9iYnk=", "bG9iYnl", "b G9iYnk", "////", "gA", "bG9iY!nk"])
def test_an_invalid_token_is_refused(part: str) -> None:
    with pytest.raises(ValueError):
        subjects.untoken(part)


@pytest.mark.parametrize(
    "subject",
    ["nexus.v1.YQ.room.YQ", "nexus.v1.YQ.qoe.YQ.e", "nexus.v2.YQ.room.YQ.e", "nexus.v1.YQ.room.YQ.e.f", "a"],
)
def test_other_subjects_are_not_room_events(subject: str) -> None:
    with pytest.raises(ValueError):
        subjects.parse_room_event(subject)


def test_rooms_are_spread_over_all_partitions_and_stay_there() -> None:
    assert subjects.qoe_partition("devkey", "lobby") == zlib.crc32(b"ZGV2a2V5.bG9iYnk") % 32 == 25
    # As one text, both of these would be "a.b.c".
    assert subjects.qoe_partition("a.b", "c") != subjects.qoe_partition("a", "b.c")
    found = {subjects.qoe_partition("app", f"room-{number}") for number in range(1000)}
    assert found == set(range(subjects.QOE_PARTITIONS))


@pytest.mark.parametrize("partition", [-1, 32])
def test_there_are_32_partitions(partition: int) -> None:
    for name in (subjects.qoe, subjects.qoe_refused):
        with pytest.raises(ValueError):
            name("app", partition)
    with pytest.raises(ValueError):
        subjects.qoe_partition_filter(partition)


@pytest.mark.parametrize(
    "subject",
    [
        "nexus.v1.YQ.qoe",
        "nexus.v1.YQ.qoe.32",
        "nexus.v1.YQ.qoe.07",
        "nexus.v1.YQ.qoe.-1",
        "nexus.v1.YQ.qoe.YQ",
        "nexus.v1.YQ.qoe_refused.1",
        "nexus.v2.YQ.qoe.1",
        "nexus.v1.YQ.qoe.1.e",
    ],
)
def test_other_subjects_are_no_quality_samples(subject: str) -> None:
    with pytest.raises(ValueError):
        subjects.parse_qoe(subject)


def test_streams_store_only_their_own_subjects() -> None:
    streams = {
        "qoe": subjects.QOE_STREAM_SUBJECTS,
        "refused": subjects.QOE_REFUSED_STREAM_SUBJECTS,
        "events": subjects.ROOM_EVENTS_STREAM_SUBJECTS,
        "recordings": subjects.RECORDINGS_STREAM_SUBJECTS,
        "jobs": subjects.job_stream_subjects("record"),
    }
    for (one, mine), (other, theirs) in itertools.combinations(streams.items(), 2):
        assert not any(overlap(left, right) for left in mine for right in theirs), (one, other)
    assert matches(subjects.QOE_REFUSED_STREAM_SUBJECTS[0], subjects.qoe_refused("app", 31))
    joined = subjects.room_event("app", "lobby", "participant-joined")
    assert sum(matches(pattern, joined) for pattern in subjects.ROOM_EVENTS_STREAM_SUBJECTS) == 1
    speaking = subjects.room_event("app", "lobby", "active-speakers")
    assert not any(matches(pattern, speaking) for pattern in subjects.ROOM_EVENTS_STREAM_SUBJECTS)


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(ValueError):
        subjects.room_events("app", "")


@pytest.mark.parametrize("node", ["", "a.b", "*", ">", "a b", "ä"])
def test_a_node_name_has_no_special_characters(node: str) -> None:
    with pytest.raises(ValueError):
        subjects.node_key(node)


@given(names, st.sampled_from(HOSTILE))
def test_matching_agrees_with_the_definition(one: str, other: str) -> None:
    """`*` matches one token, a final `>` one or more."""
    subject = f"a.{subjects.token(one)}.c"
    assert matches(subject, subject)
    assert matches("a.*.c", subject)
    assert matches("a.>", subject)
    assert not matches("a.>", "a")
    assert not matches("a.*", subject)
    assert not matches(f"{subject}.>", subject)
    assert not matches(subject, f"{subject}.{subjects.token(other or 'x')}")


def test_the_names_of_jobs() -> None:
    assert subjects.job_tickets("record", "tracks") == "nexus.v1.jobs.record.tracks"
    assert subjects.job_stream("record") == "JOBS_record"
    assert subjects.job_stream_subjects("record") == ("nexus.v1.jobs.record.*",)
    assert subjects.job_consumer("record", "tracks") == "record_tracks"
    key = check_key(subjects.job_key("record", "JB_1"))
    assert key == "record.JB_1"
    assert matches(subjects.jobs_filter("record"), key)


@pytest.mark.parametrize("kind", ["room", "qoe", "qoe_refused", "recording", "transcript", "", "a.b", "*"])
def test_a_kind_of_job_uses_no_subject_of_others(kind: str) -> None:
    with pytest.raises(ValueError):
        subjects.job_stream(kind)


def test_the_streams_of_jobs_overlap_no_other_stream() -> None:
    for mine in subjects.job_stream_subjects("record"):
        assert not any(overlap(mine, other) for other in subjects.QOE_STREAM_SUBJECTS)
        assert not overlap(mine, subjects.all_room_events())
        assert not overlap(mine, subjects.job_stream_subjects("transcribe")[0])


PARTS = st.lists(st.sampled_from("ab*"), min_size=1, max_size=3)


@given(PARTS, st.booleans(), PARTS, st.booleans())
def test_overlap_agrees_with_matching(one: list[str], open_one: bool, two: list[str], open_two: bool) -> None:
    left = ".".join(one + [">"] * open_one)
    right = ".".join(two + [">"] * open_two)
    tokens = "abc"
    every = [".".join(parts) for length in range(1, 6) for parts in itertools.product(tokens, repeat=length)]
    both = any(matches(left, subject) and matches(right, subject) for subject in every)
    assert overlap(left, right) == overlap(right, left) == both
