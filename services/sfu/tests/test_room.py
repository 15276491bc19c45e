"""The rules of a room, without engine, clock or network."""

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from nexus.events.v1 import room_pb2
from nexus_rpc import RpcError
from nexus_runtime import Now
from nexus_sfu.core import commands as cmd
from nexus_sfu.core import effects as fx
from nexus_sfu.core.limits import Limits
from nexus_sfu.core.model import (
    Codec,
    Format,
    Grants,
    IceCredentials,
    Kind,
    Layer,
    MediaOffer,
    PublicationOffer,
    Reason,
    RoomKey,
    SlotOffer,
    Source,
    TransportOffer,
)
from nexus_sfu.core.node import NodeState
from nexus_sfu.core.room import Outcome, RoomState

KEY = RoomKey("app", "room")
EVERYTHING = Grants(create=True, publish=True, subscribe=True)
TRANSPORT = TransportOffer(IceCredentials("abcd", "x" * 22), (("sha-256", "AA"),), (), (), True)
OPUS, VP8 = Format(Codec.OPUS), Format(Codec.VP8)
SLOT_FORMATS = {Kind.AUDIO: frozenset((OPUS,)), Kind.VIDEO: frozenset((VP8,))}
ALL = (Source.MICROPHONE, Source.CAMERA)


def slot_offer(mid: str, kind: Kind) -> SlotOffer:
    return SlotOffer(mid, kind, SLOT_FORMATS[kind])


def media(publish: Sequence[Source] = (), pairs: int = 2, lone: int = 1) -> MediaOffer:
    """Publications first (mids p0…), then slot pairs (a0, v0, …), then audio-only slots (l0…)."""
    return MediaOffer(
        transport=TRANSPORT,
        publications=tuple(
            PublicationOffer(f"p{i}", source, VP8 if source.kind is Kind.VIDEO else OPUS)
            for i, source in enumerate(publish)
        ),
        slots=tuple(
            slot
            for i in range(pairs)
            for slot in (slot_offer(f"a{i}", Kind.AUDIO), slot_offer(f"v{i}", Kind.VIDEO))
        )
        + tuple(slot_offer(f"l{i}", Kind.AUDIO) for i in range(lone)),
    )


class Room:
    """A room with a settable time, and the outcome of its last command."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.state = RoomState(KEY, "RM_1", Now(0, 0), limits or Limits(), random.Random(1))
        self.now_ms = 0
        self.epoch_ms = 0
        self.last = Outcome(())
        self.revisions: list[int] = []

    def do(self, command: cmd.Command) -> Outcome:
        self.last = self.state.handle(command, Now(self.now_ms, self.epoch_ms))
        self.revisions += [event.revision for event in self.events if event.revision]
        return self.last

    def join(
        self, identity: str, *publish: Source, grants: Grants = EVERYTHING, pairs: int = 2, bind: bool = False
    ) -> str:
        join = cmd.Join(identity, grants, media(publish, pairs), bind_existing=bind)
        return self.do(join).participant_id

    @property
    def events(self) -> list[room_pb2.RoomEvent]:
        return [effect.event for effect in self.last.effects if isinstance(effect, fx.Emit)]

    @property
    def kinds(self) -> list[str | None]:
        return [event.WhichOneof("event") for event in self.events]

    @property
    def engine(self) -> list[fx.Effect]:
        """Effects for the engine, without slot views: see `test_watching` for those."""
        return [effect for effect in self.last.effects if not isinstance(effect, fx.Emit | fx.SetSlotView)]

    @property
    def slot_views(self) -> dict[tuple[str, str], fx.SlotView]:
        """The changed views by (participant ID, mid)."""
        changed = [effect for effect in self.last.effects if isinstance(effect, fx.SetSlotView)]
        return {(effect.participant_id, effect.mid): effect.view for effect in changed}

    def track(self, participant_id: str, source: Source = Source.CAMERA) -> str:
        tracks = self.state.participant(participant_id).tracks.values()
        return next(track.id for track in tracks if track.source is source)

    def shown(self, participant_id: str) -> dict[str, str | None]:
        slots = self.state.participant(participant_id).slots.values()
        return {slot.mid: slot.track_id for slot in slots if slot.kind is Kind.VIDEO}


def refused(room: Room, command: cmd.Command) -> str:
    """The error code of a refused command, which must not change the state."""
    before = (room.state.revision, list(room.state.participants), list(room.state.tracks))
    with pytest.raises(RpcError) as refusal:
        room.do(command)
    assert before == (room.state.revision, list(room.state.participants), list(room.state.tracks))
    return refusal.value.name


def test_slots_are_paired_by_order() -> None:
    room = Room()
    alice = room.join("alice", *ALL)
    slots = room.state.participant(alice).slots.values()
    assert [(s.mid, s.pair) for s in slots] == [("a0", 0), ("v0", 0), ("a1", 1), ("v1", 1), ("l0", -1)]
    assert [s.stream for s in slots] == ["pair-0", "pair-0", "pair-1", "pair-1", "audio-l0"]
    assert [type(effect) for effect in room.engine] == [
        fx.OpenRoom,
        fx.OpenTransport,
        *[fx.AddTrack] * 2,
        *[fx.AddSlot] * 5,
    ]


def test_the_newest_session_of_an_identity_replaces_the_older() -> None:
    room = Room()
    old = room.join("alice", *ALL)
    bob = room.join("bob", bind=True)
    new = room.join("alice", *ALL)
    assert old != new
    assert set(room.state.participants) == {bob, new}
    assert room.kinds == ["participant_left", "slots_changed", "participant_joined"]
    left, changed, _ = room.events
    assert left.participant_left.reason == int(Reason.REPLACED)
    assert changed.target_participant_id == bob
    assert fx.CloseTransport(old) in room.engine
    assert [t.number for t in room.state.tracks.values()] == [3, 4]


def test_an_identity_can_replace_itself_in_a_full_room() -> None:
    room = Room(Limits(participants_per_room=1))
    room.join("alice")
    assert refused(room, cmd.Join("bob", EVERYTHING, media())) == "ROOM_FULL"
    room.join("alice")
    assert len(room.state.participants) == 1


def test_requested_tracks_take_free_slots_or_wait() -> None:
    room = Room(Limits(pairs=3))
    cameras = [room.track(room.join(f"p{i}", Source.CAMERA)) for i in range(4)]
    viewer = room.join("viewer", pairs=2)
    outcome = room.do(cmd.UpdateSlots(viewer, bind=tuple(cameras)))
    assert list(room.shown(viewer).values()) == cameras[:2]
    assert outcome.unplaced == tuple(cameras[2:])
    (event,) = room.events
    assert event.target_participant_id == viewer
    # Four are requested, the limit is three.
    assert (event.reoffer_needed.pairs, event.reoffer_needed.audio_slots) == (3, 1)
    revision = room.state.participant(viewer).slot_revision
    room.do(cmd.UpdateSlots(viewer, unbind=(cameras[0],)))
    assert list(room.shown(viewer).values()) == [cameras[2], cameras[1]]
    assert room.engine == [fx.BindSlot(viewer, "v0", cameras[2])]
    assert room.state.participant(viewer).slot_revision == revision + 1
    assert room.events == []


def test_a_reoffer_with_more_slots_places_waiting_tracks() -> None:
    room = Room()
    cameras = [room.track(room.join(f"p{i}", Source.CAMERA)) for i in range(3)]
    viewer = room.join("viewer", pairs=1)
    room.do(cmd.UpdateSlots(viewer, bind=tuple(cameras)))
    assert room.events[0].reoffer_needed.pairs == 3
    room.do(cmd.Offer(viewer, media(pairs=3)))
    assert list(room.shown(viewer).values()) == cameras
    pairs = {s.mid: s.pair for s in room.state.participant(viewer).slots.values()}
    assert pairs == {"a0": 0, "v0": 0, "l0": -1, "a1": 1, "v1": 1, "a2": 2, "v2": 2}
    added = [effect.mid for effect in room.engine if isinstance(effect, fx.AddSlot)]
    assert added == ["a1", "v1", "a2", "v2"]


def test_the_track_of_a_removed_slot_waits_again() -> None:
    room = Room()
    cameras = [room.track(room.join(f"p{i}", Source.CAMERA)) for i in range(2)]
    viewer = room.join("viewer", pairs=2, bind=True)
    room.do(cmd.Offer(viewer, media(pairs=1)))
    assert list(room.shown(viewer).values()) == cameras[:1]
    room.do(cmd.Offer(viewer, media(pairs=2)))
    assert list(room.shown(viewer).values()) == cameras


def test_a_waiting_track_takes_the_slot_of_an_ended_one() -> None:
    room = Room()
    publishers = [room.join(f"p{i}", Source.CAMERA) for i in range(3)]
    cameras = [room.track(publisher) for publisher in publishers]
    viewer = room.join("viewer", pairs=1)
    room.do(cmd.UpdateSlots(viewer, bind=tuple(cameras)))
    room.do(cmd.Unpublish(publishers[0], (cameras[0],)))
    assert room.shown(viewer) == {"v0": cameras[1]}
    assert room.kinds == ["track_unpublished", "slots_changed"]
    assert room.engine == [
        fx.BindSlot(viewer, "v0", cameras[1]),
        fx.RemoveTrack(publishers[0], cameras[0]),
    ]
    room.do(cmd.Leave(publishers[1]))
    assert room.shown(viewer) == {"v0": cameras[2]}
    room.do(cmd.Leave(publishers[2], Reason.MEDIA_FAILED))
    assert room.shown(viewer) == {"v0": None}
    assert fx.UnbindSlot(viewer, "v0") in room.engine
    assert room.events[0].participant_left.reason == int(Reason.MEDIA_FAILED)


def test_bind_existing_binds_other_tracks_in_order() -> None:
    room = Room()
    first = room.join("first", Source.CAMERA, Source.SCREEN)
    second = room.join("second", Source.CAMERA)
    viewer = room.join("viewer", Source.CAMERA, pairs=2, bind=True)
    expected = [room.track(first), room.track(first, Source.SCREEN)]
    assert list(room.shown(viewer).values()) == expected
    # Tracks without a slot do not wait for one unless they were requested by ID.
    room.do(cmd.Leave(first))
    assert list(room.shown(viewer).values()) == [None, None]
    own = room.track(viewer)
    assert refused(room, cmd.UpdateSlots(viewer, bind=(own,))) == "INVALID_ARGUMENT"
    room.do(cmd.UpdateSlots(viewer, bind=(room.track(second),)))
    assert room.shown(viewer)["v0"] == room.track(second)


def test_tracks_that_cannot_be_bound() -> None:
    room = Room()
    alice = room.join("alice", *ALL)
    viewer = room.join("viewer")
    audio = room.track(alice, Source.MICROPHONE)
    assert refused(room, cmd.UpdateSlots(viewer, bind=(audio,))) == "INVALID_ARGUMENT"
    assert room.do(cmd.UpdateSlots(viewer, bind=("TR_gone",))).unplaced == ("TR_gone",)
    assert room.events == []
    deaf = room.join("deaf", grants=Grants(publish=True))
    assert room.state.participant(deaf).slots == {}
    assert refused(room, cmd.UpdateSlots(deaf, bind=(room.track(alice),))) == "PERMISSION_DENIED"


def test_unsubscribing_frees_the_slot_and_stops_audio() -> None:
    room = Room()
    alice = room.join("alice", *ALL)
    viewer = room.join("viewer", bind=True)
    audio, video = room.track(alice, Source.MICROPHONE), room.track(alice)
    room.do(cmd.UpdateSubscriptions(viewer, (audio, video), False))
    assert room.engine == [fx.SetSubscribed(viewer, audio, False), fx.UnbindSlot(viewer, "v0")]
    room.do(cmd.UpdateSubscriptions(viewer, (audio,), False))
    assert room.engine == []
    room.do(cmd.UpdateSubscriptions(alice, (audio, video), False))
    assert room.engine == []  # own tracks
    room.do(cmd.UpdateSubscriptions(viewer, (audio, video), True))
    assert room.engine == [fx.SetSubscribed(viewer, audio, True)]
    assert room.shown(viewer)["v0"] is None


def test_publishing_needs_its_grant() -> None:
    room = Room()
    no_publish = Grants(create=True, subscribe=True)
    hidden = Grants(create=True, publish=True, hidden=True)
    assert refused(room, cmd.Join("x", no_publish, media(ALL))) == "PERMISSION_DENIED"
    assert refused(room, cmd.Join("x", hidden, media(ALL))) == "PERMISSION_DENIED"
    viewer = room.join("x", grants=no_publish)
    assert refused(room, cmd.Offer(viewer, media(ALL))) == "PERMISSION_DENIED"


def test_limits_are_enforced() -> None:
    room = Room(Limits(tracks_per_participant=1, pairs=2, slots_per_participant=6, metadata_bytes=3))
    assert refused(room, cmd.Join("x", EVERYTHING, media(ALL))) == "TOO_MANY_TRACKS"
    assert refused(room, cmd.Join("x", EVERYTHING, media(pairs=3, lone=0))) == "SLOTS_EXHAUSTED"
    assert refused(room, cmd.Join("x", EVERYTHING, media(pairs=2, lone=3))) == "SLOTS_EXHAUSTED"
    too_long = cmd.Join("x", EVERYTHING, media(), metadata="äää")
    assert refused(room, too_long) == "INVALID_ARGUMENT"


def test_events_of_hidden_participants_are_internal() -> None:
    room = Room()
    room.join("alice", *ALL)
    hidden = room.join("ghost", grants=Grants(subscribe=True, hidden=True), bind=True)
    assert [event.internal for event in room.events] == [True]
    assert [p.identity for p in room.state.visible_participants()] == ["alice"]
    room.do(cmd.MediaUp(hidden, "AEAD_AES_128_GCM"))
    room.do(cmd.UpdateParticipant(hidden, name="boo"))
    assert [event.internal for event in room.events] == [True]
    room.do(cmd.Leave(hidden))
    assert [event.internal for event in room.events] == [True]


def test_reoffer_publishes_unpublishes_and_keeps() -> None:
    room = Room()
    alice = room.join("alice", *ALL)
    microphone, camera = (room.track(alice, source) for source in ALL)
    room.do(cmd.Offer(alice, media((Source.MICROPHONE,))))
    assert room.kinds == ["track_unpublished"]
    assert room.engine == [fx.RemoveTrack(alice, camera)]
    room.do(cmd.Offer(alice, media((Source.MICROPHONE, Source.SCREEN, Source.SCREEN_AUDIO))))
    assert room.kinds == ["track_published", "track_published"]
    assert [event.track_published.track.number for event in room.events] == [3, 4]
    assert room.track(alice, Source.MICROPHONE) == microphone
    # A section with a changed source is a new track.
    room.do(cmd.Offer(alice, media((Source.MICROPHONE, Source.CAMERA, Source.SCREEN_AUDIO))))
    assert room.kinds == ["track_unpublished", "track_published"]


def test_new_ssrcs_keep_track_number_and_slots() -> None:
    room = Room()
    alice = room.join("alice", Source.CAMERA)
    camera = room.track(alice)
    viewer = room.join("viewer", bind=True)
    publication = PublicationOffer("p0", Source.CAMERA, VP8, ssrcs=(7,))
    room.do(cmd.Offer(alice, MediaOffer(TRANSPORT, (publication,))))
    track = room.state.tracks[camera]
    removed = [fx.RemoveSlot(alice, mid) for mid in ("a0", "v0", "a1", "v1", "l0")]
    assert room.engine == [
        fx.RemoveTrack(alice, camera),
        fx.AddTrack(track),
        fx.BindSlot(viewer, "v0", camera),
        *removed,
    ]
    assert (track.number, track.ssrcs) == (1, (7,))
    assert room.events == []


def test_a_reoffer_with_other_sizes_is_announced_once_and_keeps_the_track() -> None:
    room = Room()
    large = (Layer("q", 0, 320, 180), Layer("h", 1, 640, 360), Layer("f", 2, 1280, 720))
    small = (Layer("q", 0, 320, 240), Layer("h", 1, 640, 480), Layer("f", 2, inactive=True))

    def offer(width: int, height: int, layers: tuple[Layer, ...], *, muted: bool = False) -> MediaOffer:
        publication = PublicationOffer(
            "p0", Source.CAMERA, VP8, muted=muted, width=width, height=height, layers=layers
        )
        return MediaOffer(TRANSPORT, (publication,))

    grants = Grants(create=True, publish=True)
    alice = room.do(cmd.Join("alice", grants, offer(1280, 720, large))).participant_id
    camera = room.track(alice)
    room.do(cmd.Offer(alice, offer(640, 480, small, muted=True)))
    # A layer that is not sent counts as full size.
    assert room.engine == [fx.ResizeTrack(camera, ((320, 240), (640, 480), (640, 480)))]
    assert room.kinds == ["track_updated"]
    (event,) = room.events
    reported = event.track_updated.track
    assert (event.revision, reported.id, reported.muted) == (2, camera, False)
    assert (reported.width, reported.height, reported.mid) == (640, 480, "")
    assert [(one.rid, one.width, one.height, one.inactive) for one in reported.layers] == [
        ("q", 320, 240, False),
        ("h", 640, 480, False),
        ("f", 0, 0, True),
    ]
    room.do(cmd.Offer(alice, offer(640, 480, small)))
    assert room.last.effects == ()
    room.do(cmd.Offer(alice, offer(1280, 720, large)))
    assert room.kinds == ["track_updated"]


def test_ice_restart_and_changed_codecs_reach_the_engine() -> None:
    room = Room()
    alice = room.join("alice")
    ice = IceCredentials("efgh", "y" * 22)
    changed = TransportOffer(ice, TRANSPORT.fingerprints, (), ((3, 4),), True)  # type: ignore[arg-type]
    room.do(cmd.Offer(alice, MediaOffer(changed, slots=media().slots)))
    assert room.engine == [fx.UpdateTransport(alice, changed), fx.RestartIce(alice, ice)]
    described = replace(changed, forward_descriptors=True)
    room.do(cmd.Offer(alice, MediaOffer(described, slots=media().slots)))
    assert room.engine == [fx.UpdateTransport(alice, described)]
    other = TransportOffer(ice, (("sha-256", "BB"),), (), (), True)
    assert refused(room, cmd.Offer(alice, MediaOffer(other))) == "INVALID_SDP"


def test_publishers_and_moderators_can_mute() -> None:
    room = Room()
    alice = room.join("alice", Source.MICROPHONE)
    admin = room.join("admin", grants=Grants(admin=True))
    bob = room.join("bob")
    track = room.track(alice, Source.MICROPHONE)
    assert refused(room, cmd.SetMuted(bob, track, True)) == "PERMISSION_DENIED"
    room.do(cmd.SetMuted(admin, track, True))
    assert room.engine == [fx.MuteTrack(track, True)]
    assert refused(room, cmd.SetMuted(admin, track, False)) == "PERMISSION_DENIED"
    room.do(cmd.SetMuted(alice, track, True))
    assert room.last.effects == ()
    # A re-offer repeats the publisher's earlier mute state; the moderator's mute stays.
    room.do(cmd.Offer(alice, media((Source.MICROPHONE,))))
    assert room.state.tracks[track].muted
    room.do(cmd.SetMuted(alice, track, False))
    assert room.kinds == ["track_muted"]
    assert refused(room, cmd.SetMuted("", "TR_no", True)) == "TRACK_NOT_FOUND"


def test_profile_changes_merge_attributes() -> None:
    room = Room()
    alice = room.join("alice")
    room.do(cmd.UpdateParticipant(alice, name="Alice", attributes={"a": "1", "b": "2"}))
    room.do(cmd.UpdateParticipant(alice, attributes={"a": "", "c": "3"}))
    (event,) = room.events
    updated = event.participant_updated.participant
    assert (updated.name, dict(updated.attributes)) == ("Alice", {"b": "2", "c": "3"})
    room.do(cmd.UpdateParticipant(alice, name="Alice"))
    assert room.events == []


def test_a_change_of_the_room_is_one_event_and_its_repetition_none() -> None:
    room = Room()
    room.join("alice")
    changes: list[tuple[dict[str, bool], tuple[bool, bool]]] = [
        ({"recording": True}, (True, False)),
        ({"transcribing": True}, (True, True)),
        ({"recording": False, "transcribing": True}, (False, True)),
    ]
    for flags, expected in changes:
        room.do(cmd.UpdateRoom(**flags))
        (event,) = room.events
        updated = event.room_updated.room
        assert (updated.recording, updated.transcribing) == expected
        assert (updated.id, updated.name, event.target_participant_id) == ("RM_1", "room", "")
        assert updated == room.state.message()
        room.do(cmd.UpdateRoom(**flags))
        assert room.last.effects == ()
    room.do(cmd.UpdateRoom())
    assert room.last.effects == ()
    assert room.revisions == [1, 2, 3, 4]


def test_speakers_have_no_revision_and_only_known_tracks() -> None:
    room = Room()
    alice = room.join("alice", Source.MICROPHONE)
    track = room.track(alice, Source.MICROPHONE)
    room.do(cmd.Speakers(((track, -20.0), ("TR_gone", -30.0))))
    (event,) = room.events
    assert event.revision == 0
    assert [s.participant_id for s in event.active_speakers.speakers] == [alice]
    room.do(cmd.SetMuted("", track, True))
    assert room.revisions == [1, 2]


def test_speakers_have_their_own_revision_and_reach_later_participants() -> None:
    room = Room()
    alice = room.join("alice", Source.MICROPHONE)
    assert room.state.active_speakers() == room_pb2.ActiveSpeakers()
    track = room.track(alice, Source.MICROPHONE)
    revisions = []
    for loudest in (((track, -20.0),), (), ((track, -25.0),)):
        room.do(cmd.Speakers(loudest))
        (event,) = room.events
        assert room.state.active_speakers() == event.active_speakers
        revisions.append(event.active_speakers.revision)
    assert revisions == [1, 2, 3]
    room.join("bob")
    assert room.kinds == ["participant_joined"]
    speaker = room_pb2.Speaker(participant_id=alice, track_id=track, level_dbov=-25.0)
    assert room.state.active_speakers() == room_pb2.ActiveSpeakers(speakers=[speaker], revision=3)
    room.do(cmd.Leave(alice))
    assert room.state.active_speakers() == room_pb2.ActiveSpeakers(revision=3)


def test_revisions_have_no_gaps() -> None:
    room = Room()
    alice = room.join("alice", *ALL)
    room.join("bob", bind=True)
    room.do(cmd.SetMuted("", room.track(alice), True))
    room.do(cmd.Leave(alice))
    room.do(cmd.Close())
    assert room.revisions == list(range(1, len(room.revisions) + 1))
    assert room.kinds[-1] == "room_closed"


def at(monotonic_ms: int, epoch_ms: int = 0) -> Now:
    return Now(monotonic_ms, epoch_ms)


@pytest.mark.parametrize("step_ms", [-3_600_000, 3_600_000])
def test_a_step_of_the_wall_clock_closes_no_room(step_ms: int) -> None:
    node = NodeState(Limits(empty_timeout_ms=100), random.Random(2))
    host = cmd.Join("host", Grants(create=True), media())
    epoch_ms = 1_700_000_000_000
    joined = node.join(KEY, "RM_1", host, at(0, epoch_ms)).participant_id
    node.handle(KEY, cmd.Leave(joined), at(50, epoch_ms + 50))
    assert node.close_expired(at(149, epoch_ms + step_ms)) == []
    assert node.room(KEY).created_at_ms == epoch_ms
    assert len(node.close_expired(at(150, epoch_ms + step_ms))) == 1


def test_rooms_are_created_and_closed() -> None:
    node = NodeState(Limits(rooms=1, empty_timeout_ms=100), random.Random(2))
    guest, host = (cmd.Join(name, Grants(create=name == "host"), media()) for name in ("guest", "host"))

    def refusal(key: RoomKey, join: cmd.Join) -> str:
        with pytest.raises(RpcError) as refused:
            node.join(key, "RM_1", join, at(0))
        return refused.value.name

    assert refusal(KEY, guest) == "ROOM_NOT_FOUND"
    first = node.join(KEY, "RM_1", host, at(0)).participant_id
    assert refusal(RoomKey("app", "other"), host) == "TOO_MANY_ROOMS"
    second = node.join(KEY, "RM_2", guest, at(0)).participant_id
    assert node.room(KEY).room_id == "RM_1"
    for participant_id in (first, second):
        node.handle(KEY, cmd.Leave(participant_id), at(50))
    assert node.close_expired(at(149)) == []
    assert node.next_deadline_ms() == 150
    ((key, outcome),) = node.close_expired(at(150))
    assert key == KEY
    assert isinstance(outcome.effects[0], fx.ShutRoom)
    assert node.rooms == {}
    node.join(RoomKey("app", "other"), "RM_3", host, at(150))


def test_a_recorder_alone_does_not_keep_a_room_open() -> None:
    room = Room()
    alice = room.join("alice")
    room.join("recorder", grants=Grants(subscribe=True, hidden=True, recorder=True))
    assert room.state.next_deadline_ms() is None
    room.now_ms = 5
    room.do(cmd.Leave(alice))
    assert room.state.next_deadline_ms() == 10_005
    room.now_ms = 9
    room.join("alice")
    assert room.state.next_deadline_ms() is None
