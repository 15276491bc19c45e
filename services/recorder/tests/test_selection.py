"""The choice of the tracks that are recorded."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nexus.recorder.v1 import recording_pb2
from nexus.types.v1.media_pb2 import TrackKind, TrackSource
from nexus_recorder.core.roster import Begin, End, Roster
from nexus_recorder.core.selection import Pattern, Publication, Publisher, Selection
from nexus_recorder.core.wildcards import matches

CAMERA, SCREEN = TrackSource.TRACK_SOURCE_CAMERA, TrackSource.TRACK_SOURCE_SCREEN
MICROPHONE = TrackSource.TRACK_SOURCE_MICROPHONE
ANNA = Publisher("PA_1", "anna", "Anna")
BEN = Publisher("PA_2", "ben", "Ben")
ANNAS_CAMERA = Publication("TR_1", "PA_1", TrackKind.TRACK_KIND_VIDEO, CAMERA, "front")
ANNAS_MICROPHONE = Publication("TR_2", "PA_1", TrackKind.TRACK_KIND_AUDIO, MICROPHONE)
BENS_SCREEN = Publication("TR_3", "PA_2", TrackKind.TRACK_KIND_VIDEO, SCREEN)


def since(roster: Roster) -> int | None:
    return roster.empty_since_ms


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("*", "", True),
        ("anna", "anna", True),
        ("anna", "annab", False),
        ("an*", "anna", True),
        ("*na", "anna", True),
        ("a*n*a", "anna", True),
        ("a?na", "anna", True),
        ("a?na", "ana", False),
        ("[ab]*", "anna", False),
        ("[ab]*", "[ab]c", True),
        ("**", "x", True),
        ("", "x", False),
    ],
)
def test_wildcards(pattern: str, text: str, fits: bool) -> None:
    assert matches(pattern, text) is fits


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    assert not matches("*a" * 128, "a" * 127 + "b" * 129)


@given(st.text(max_size=20))
def test_every_text_fits_itself_without_wildcards_and_any_fits_a_star(text: str) -> None:
    assert matches("*", text)
    assert matches(text, text)


def test_without_patterns_everybody_is_selected() -> None:
    selection = Selection()
    assert selection.selects(ANNA, ANNAS_CAMERA)
    assert selection.selects(BEN, BENS_SCREEN)


def test_includes_are_alternatives_and_all_fields_of_one_must_fit() -> None:
    message = recording_pb2.TrackSelection(
        include=[
            recording_pb2.TrackPattern(identity="an*", sources=[MICROPHONE]),
            recording_pb2.TrackPattern(name="front"),
        ]
    )
    selection = Selection.from_message(message)
    assert selection.selects(ANNA, ANNAS_MICROPHONE)
    assert selection.selects(ANNA, ANNAS_CAMERA)
    assert not selection.selects(BEN, BENS_SCREEN)


def test_an_exclusion_wins_over_an_include() -> None:
    selection = Selection(include=(Pattern(identity="*"),), exclude=(Pattern(sources=frozenset({SCREEN})),))
    assert selection.selects(ANNA, ANNAS_CAMERA)
    assert not selection.selects(BEN, BENS_SCREEN)


@pytest.mark.parametrize(("value", "selected"), [("true", True), ("Yes", True), ("no", False), (None, False)])
def test_consent_is_an_attribute_that_says_yes(value: str | None, selected: bool) -> None:
    attributes = {} if value is None else {"recording": value}
    assert (
        Selection(consent="recording").selects(replace(ANNA, attributes=attributes), ANNAS_CAMERA) is selected
    )


def test_hidden_participants_are_never_selected() -> None:
    hidden = replace(ANNA, hidden=True)
    selection = Selection(include=(Pattern(identity="anna"),))
    assert not selection.selects(hidden, ANNAS_CAMERA)
    assert not selection.may_select(hidden)


def test_a_roster_begins_what_is_published_and_ends_what_is_gone() -> None:
    roster = Roster(Selection(), 0)
    assert roster.replace([ANNA], [ANNAS_CAMERA], 0) == [Begin(ANNA, ANNAS_CAMERA)]
    assert roster.put_publication(ANNAS_MICROPHONE, 1) == [Begin(ANNA, ANNAS_MICROPHONE)]
    assert roster.remove_publication("TR_1", 2) == [End("TR_1", unpublished=True)]
    assert roster.remove_publisher("PA_1", 3) == [End("TR_2", unpublished=True)]
    assert roster.empty_since_ms == 3


def test_consent_that_is_withdrawn_ends_the_tracks_and_given_again_begins_them() -> None:
    roster = Roster(Selection(consent="ok"), 0)
    agreed = replace(ANNA, attributes={"ok": "true"})
    assert roster.replace([ANNA], [ANNAS_CAMERA], 0) == []
    assert roster.empty_since_ms is not None
    assert roster.put_publisher(agreed, 5) == [Begin(agreed, ANNAS_CAMERA)]
    assert since(roster) is None
    assert roster.put_publisher(ANNA, 6) == [End("TR_1", unpublished=False)]
    assert since(roster) == 6


def test_another_selection_applies_to_what_is_there() -> None:
    roster = Roster(Selection(), 0)
    roster.replace([ANNA, BEN], [ANNAS_CAMERA, BENS_SCREEN], 0)
    effects = roster.select(Selection(exclude=(Pattern(identity="anna"),)), 1)
    assert effects == [End("TR_1", unpublished=False)]
    assert roster.recorded == {"TR_3"}
    assert roster.empty_since_ms is None


def test_a_track_of_an_unknown_participant_is_ignored() -> None:
    roster = Roster(Selection(), 0)
    assert roster.put_publication(ANNAS_CAMERA, 0) == []
    assert roster.replace([], [ANNAS_CAMERA], 0) == []


def test_a_room_in_which_everybody_is_excluded_counts_as_empty() -> None:
    roster = Roster(Selection(exclude=(Pattern(identity="an*"),)), 0)
    roster.replace([ANNA], [], 7)
    assert roster.empty_since_ms == 0
    roster.put_publisher(BEN, 8)
    assert roster.empty_since_ms is None
