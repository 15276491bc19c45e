"""Tracks that a subscriber cannot decode are reported and get no slot; changes are reported too."""

from collections.abc import Iterable, Sequence

import pytest
from nexus.events.v1 import room_pb2
from nexus.sfu.v1 import sfu_pb2
from nexus.types.v1 import media_pb2
from nexus_sfu.core import commands as cmd
from nexus_sfu.core import effects as fx
from nexus_sfu.core import watching
from nexus_sfu.core.model import (
    Codec,
    CodecChoice,
    Format,
    Grants,
    Kind,
    MediaOffer,
    PublicationOffer,
    SlotOffer,
    Source,
)
from nexus_sfu.sdp import parse_offer
from nexus_sfu.sdp.negotiate import negotiate

from services.sfu.tests.conftest import OfferReader, Running
from services.sfu.tests.test_room import EVERYTHING, TRANSPORT, Room

VP8, VP9, AV1 = (Format(codec) for codec in (Codec.VP8, Codec.VP9, Codec.AV1))
H264 = Format(Codec.H264, 0x42, 1)
H264_HIGH = Format(Codec.H264, 0x64, 1)
H264_MODE_0 = Format(Codec.H264, 0x42, 0)
CODEC = room_pb2.PAUSE_REASON_UNSUPPORTED_CODEC


def receives(*slots: Iterable[Format]) -> MediaOffer:
    """One video section (v0, v1, …) for each set of formats."""
    offered = (SlotOffer(f"v{i}", Kind.VIDEO, frozenset(formats)) for i, formats in enumerate(slots))
    return MediaOffer(TRANSPORT, slots=tuple(offered))


def sends(*formats: Format) -> MediaOffer:
    """One camera (p0, p1, …) for each format."""
    offered = (PublicationOffer(f"p{i}", Source.CAMERA, sent) for i, sent in enumerate(formats))
    return MediaOffer(TRANSPORT, publications=tuple(offered))


class Scene(Room):
    """Alice publishes, Bob subscribes."""

    def __init__(
        self, sent: Sequence[Format], taken: Sequence[Iterable[Format]], grants: Grants = EVERYTHING
    ) -> None:
        super().__init__()
        self.alice = self.do(cmd.Join("alice", EVERYTHING, sends(*sent))).participant_id
        self.sent = list(self.state.participant(self.alice).tracks)
        self.bob = self.do(cmd.Join("bob", grants, receives(*taken))).participant_id

    def look(self, *track_ids: str) -> tuple[str, ...]:
        """Bob requests these tracks (default: all); returns those without a slot."""
        return self.do(cmd.UpdateSlots(self.bob, bind=track_ids or tuple(self.sent))).unplaced

    @property
    def reported(self) -> list[tuple[str, str]]:
        """Pauses and resumptions that the last command reported to Bob."""
        found: list[tuple[str, str]] = []
        for event in self.events:
            kind = event.WhichOneof("event")
            if kind in ("track_paused", "track_resumed"):
                assert event.target_participant_id == self.bob
                assert not event.internal
                assert kind == "track_resumed" or event.track_paused.reason == CODEC
                found.append((kind, getattr(event, kind).track_id))
        return found

    @property
    def paused(self) -> list[str]:
        """The paused tracks in a snapshot for Bob."""
        return [one.track_id for one in watching.paused_tracks(self.state.participant(self.bob))]


def test_a_request_for_an_undecodable_track_is_reported_and_binds_no_slot() -> None:
    scene = Scene([VP9], [[VP8, H264], [VP8, H264]])
    assert scene.reported == []
    (track,) = scene.sent
    assert scene.look() == (track,)
    assert scene.reported == [("track_paused", track)]
    # No effects for the engine, and so no keyframe request for an unbound slot.
    assert scene.engine == []
    assert scene.shown(scene.bob) == {"v0": None, "v1": None}
    # More slots of the same kind would not help.
    assert "reoffer_needed" not in scene.kinds
    assert scene.paused == [track]


def test_it_is_reported_once_and_forgotten_with_the_track() -> None:
    scene = Scene([VP9], [[VP8]])
    (track,) = scene.sent
    scene.look()
    scene.look()
    assert scene.reported == []
    scene.do(cmd.UpdateSlots(scene.bob, unbind=(track,)))
    assert scene.reported == []
    assert scene.paused == [track]
    scene.do(cmd.Unpublish(scene.alice, (track,)))
    assert scene.reported == []
    assert scene.paused == []


def test_a_hidden_participant_is_notified_as_well() -> None:
    scene = Scene([AV1], [[VP8]], Grants(subscribe=True, hidden=True))
    scene.look()
    assert scene.reported == [("track_paused", scene.sent[0])]


def test_slots_are_bound_only_to_decodable_tracks() -> None:
    scene = Scene([AV1, VP8, VP9, VP8], [[VP8], [VP8]])
    av1, first, vp9, second = scene.sent
    assert set(scene.look()) == {av1, vp9}
    assert sorted(scene.reported) == sorted([("track_paused", av1), ("track_paused", vp9)])
    assert scene.shown(scene.bob) == {"v0": first, "v1": second}


def test_only_decodable_tracks_request_more_slots() -> None:
    scene = Scene([VP9, VP8, VP8], [[VP8]])
    scene.look()
    (event,) = [event for event in scene.events if event.HasField("reoffer_needed")]
    assert event.reoffer_needed.pairs == 2


def test_a_join_binds_only_decodable_tracks() -> None:
    scene = Scene([VP9, AV1, VP8, H264], [[VP8]])
    media = receives([VP8, H264], [VP8, H264])
    carol = scene.do(cmd.Join("carol", EVERYTHING, media, bind_existing=True)).participant_id
    assert scene.shown(carol) == {"v0": scene.sent[2], "v1": scene.sent[3]}
    assert scene.kinds == ["participant_joined"]


def test_a_track_waits_for_a_slot_that_decodes_it_though_others_are_free() -> None:
    scene = Scene([H264, H264], [[VP8], [VP8, H264], [VP8]])
    first, second = scene.sent
    assert scene.look() == (second,)
    assert scene.reported == []
    assert scene.shown(scene.bob) == {"v0": None, "v1": first, "v2": None}
    scene.do(cmd.UpdateSlots(scene.bob, unbind=(first,)))
    assert scene.shown(scene.bob) == {"v0": None, "v1": second, "v2": None}


@pytest.mark.parametrize("other", [H264_HIGH, H264_MODE_0])
def test_h264_profile_and_packetization_mode_must_match(other: Format) -> None:
    scene = Scene([H264], [[VP8, other]])
    scene.look()
    assert scene.reported == [("track_paused", scene.sent[0])]


def test_a_participant_without_video_slots_receives_no_codec_pauses() -> None:
    scene = Scene([VP9], [])
    assert scene.look() == (scene.sent[0],)
    assert scene.reported == []
    assert "reoffer_needed" in scene.kinds
    scene.do(cmd.Offer(scene.bob, receives([VP8])))
    assert scene.reported == [("track_paused", scene.sent[0])]
    # The reported state stays while there is no slot to decide by.
    scene.do(cmd.Offer(scene.bob, receives()))
    assert scene.reported == []
    scene.do(cmd.Offer(scene.bob, receives([VP8, VP9])))
    assert scene.reported == [("track_resumed", scene.sent[0])]


def test_a_reoffer_with_the_codec_resumes_the_video() -> None:
    scene = Scene([VP9], [[VP8]])
    (track,) = scene.sent
    scene.look()
    scene.do(cmd.Offer(scene.bob, receives([VP8, VP9])))
    assert scene.reported == [("track_resumed", track)]
    assert fx.BindSlot(scene.bob, "v0", track) in scene.engine
    assert scene.shown(scene.bob) == {"v0": track}
    assert scene.paused == []


def test_a_reoffer_without_the_codec_pauses_the_video_with_a_reason() -> None:
    scene = Scene([VP9, VP8], [[VP8, VP9]])
    vp9, vp8 = scene.sent
    scene.look()
    assert scene.shown(scene.bob) == {"v0": vp9}
    revision = scene.state.participant(scene.bob).slot_revision
    scene.do(cmd.Offer(scene.bob, receives([VP8])))
    assert scene.reported == [("track_paused", vp9)]
    # The waiting track takes the slot.
    assert scene.engine == [fx.BindSlot(scene.bob, "v0", vp8)]
    assert scene.state.participant(scene.bob).slot_revision == revision + 1
    scene.do(cmd.UpdateSlots(scene.bob, unbind=(vp8,)))
    assert scene.engine == [fx.UnbindSlot(scene.bob, "v0")]


def test_a_changed_codec_rebinds_slots() -> None:
    scene = Scene([VP8], [[VP8]])
    (track,) = scene.sent
    scene.look()
    scene.do(cmd.Offer(scene.alice, sends(VP9)))
    assert scene.reported == [("track_paused", track)]
    assert fx.UnbindSlot(scene.bob, "v0") in scene.engine
    (changed,) = [event for event in scene.events if event.HasField("slots_changed")]
    assert changed.target_participant_id == scene.bob
    assert [slot.track_id for slot in changed.slots_changed.slots.slots] == [""]
    scene.do(cmd.Offer(scene.alice, sends(VP8)))
    assert scene.reported == [("track_resumed", track)]
    assert fx.BindSlot(scene.bob, "v0", track) in scene.engine
    (changed,) = [event for event in scene.events if event.HasField("slots_changed")]
    assert [slot.track_id for slot in changed.slots_changed.slots.slots] == [track]


def test_a_slow_subscriber_of_such_a_track_receives_both_reasons_in_turn() -> None:
    scene = Scene([VP9], [[VP8, VP9]])
    (track,) = scene.sent
    scene.look()
    scene.do(cmd.SlotPaused(scene.bob, "v0", True))
    scene.do(cmd.Offer(scene.bob, receives([VP8])))
    assert scene.reported == [("track_paused", track)]
    assert scene.paused == [track]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (CodecChoice(96, Codec.VP8, 90_000), VP8),
        (CodecChoice(98, Codec.VP9, 90_000, vp9_profile=0), VP9),
        (
            CodecChoice(102, Codec.H264, 90_000, h264_profile_level_id=0x42001F, h264_packetization_mode=1),
            H264,
        ),
        (
            CodecChoice(104, Codec.H264, 90_000, h264_profile_level_id=0x42E034, h264_packetization_mode=1),
            H264,
        ),
        (
            CodecChoice(106, Codec.H264, 90_000, h264_profile_level_id=0x640C1F, h264_packetization_mode=1),
            H264_HIGH,
        ),
        (CodecChoice(108, Codec.H264, 90_000), H264_MODE_0),
    ],
)
def test_formats_match_as_in_the_engine(choice: CodecChoice, expected: Format) -> None:
    """Like `CodecTable::Matching`: the level is ignored, and baseline decodes constrained baseline."""
    assert choice.format == expected


@pytest.mark.parametrize("gone", ["H264", "VP9", "AV1"])
def test_the_formats_of_a_section_are_its_own(read_offer: OfferReader, gone: str) -> None:
    """Chromium's offer, with a codec removed from all receive sections but the first."""
    text = read_offer("chromium_join")
    head, *sections = text.split("m=")
    seen = 0
    for index, section in enumerate(sections):
        if section.startswith("video") and "a=recvonly" in section:
            seen += 1
            if seen > 1:
                sections[index] = without(section, gone)
    media = negotiate(parse_offer("m=".join([head, *sections])), ()).media
    first, *others = [slot for slot in media.slots if slot.kind is Kind.VIDEO]
    assert {one.codec.name for one in first.formats} == {"VP8", "VP9", "H264", "AV1"}
    assert len(others) == 3
    for slot in others:
        assert {one.codec.name for one in slot.formats} == {"VP8", "VP9", "H264", "AV1"} - {gone}


def without(section: str, codec: str) -> str:
    """The section without a codec, like the offer of a page that edits descriptions."""
    lines = section.split("\r\n")
    gone = {line.split()[0].removeprefix("a=rtpmap:") for line in lines if f" {codec}/90000" in line}
    kept_types = [one for one in lines[0].split()[3:] if one not in gone]
    kept = [" ".join([*lines[0].split()[:3], *kept_types])]
    for line in lines[1:]:
        number = (
            line.split(":", 1)[-1].split()[0]
            if line.startswith(("a=rtpmap:", "a=fmtp:", "a=rtcp-fb:"))
            else ""
        )
        if number not in gone:
            kept.append(line)
    return "\r\n".join(kept)


async def test_the_service_reports_undecodable_tracks_and_binds_nothing(
    running: Running, read_offer: OfferReader
) -> None:
    offer = read_offer("chromium_join")
    publication = media_pb2.Publication(
        mid="1", source=media_pb2.TRACK_SOURCE_CAMERA, preferred_codec=media_pb2.CODEC_VP9
    )
    alice = await running.join("alice", offer, publish=False, publications=[publication])
    (camera,) = alice.participant.tracks
    head, *sections = offer.split("m=")
    cut = "m=".join([head, *(without(s, "VP9") if s.startswith("video") else s for s in sections)])
    bob = await running.join("bob", cut, publish=False, bind_existing=True)
    request = sfu_pb2.UpdateSlotsRequest(
        room=running.room, participant_id=bob.participant.id, bind_track_ids=[camera.id]
    )
    answer = await running.stub.UpdateSlots(request)
    assert list(answer.unplaced_track_ids) == [camera.id]
    assert [slot.track for slot in running.engine.slots.values() if slot.track is not None] == []
    (reported,) = running.of_kind("track_paused")
    assert reported.target_participant_id == bob.participant.id
    paused = room_pb2.TrackPaused(track_id=camera.id, reason=CODEC)
    assert reported.track_paused == paused
    # The snapshot has it too, for clients that missed the event.
    snapshot = await running.stub.GetRoom(
        sfu_pb2.GetRoomRequest(room=running.room, participant_id=bob.participant.id)
    )
    assert list(snapshot.paused_tracks) == [paused]
    assert running.runtime.metrics.registry.get_sample_value("nexus_sfu_tracks_undecodable_total") == 1
