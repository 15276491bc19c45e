"""How a room handles views, unwatched layers, pauses and quality."""

import random

from nexus.events.v1 import room_pb2
from nexus.types.v1 import media_pb2
from nexus_sfu.core import commands as cmd
from nexus_sfu.core import watching
from nexus_sfu.core.effects import SlotView
from nexus_sfu.core.model import Grants, Layer, LayerLimit, Quality, Source, View
from nexus_sfu.core.wire import participant_message

from services.sfu.tests.test_room import Room, refused


def seen(room: Room) -> tuple[str, str, str]:
    """Alice's camera, which Bob watches: (alice, bob, track)."""
    alice = room.join("alice", Source.CAMERA)
    bob = room.join("bob", bind=True)
    return alice, bob, room.track(alice)


def test_a_bound_slot_has_the_default_view_of_its_source() -> None:
    room = Room()
    room.join("alice", Source.CAMERA, Source.SCREEN)
    bob = room.join("bob", bind=True)
    assert room.slot_views == {
        (bob, "v0"): SlotView(priority=100),
        (bob, "v1"): SlotView(priority=200),
    }


def test_a_view_reaches_the_slot_at_once_and_only_when_it_changed() -> None:
    room = Room()
    _, bob, track = seen(room)
    view = View(track, 640, 360, pinned=True, priority=7, max_spatial=1)
    room.do(cmd.UpdateView(bob, (view,)))
    expected = SlotView(640, 360, pinned=True, priority=7, highest=LayerLimit(1, 3))
    assert room.slot_views == {(bob, "v0"): expected}
    assert room.events == []
    room.do(cmd.UpdateView(bob, (view,)))
    assert room.last.effects == ()
    room.do(cmd.UpdateView(bob, (View(track, hidden=True, max_temporal=0),)))
    (hidden,) = room.slot_views.values()
    assert not hidden.visible
    assert hidden.highest == LayerLimit(3, 0)


def test_a_view_is_kept_for_a_later_binding_and_goes_with_its_track() -> None:
    room = Room()
    alice, bob, track = seen(room)
    room.do(cmd.UpdateSlots(bob, unbind=(track,)))
    room.do(cmd.UpdateView(bob, (View(track, 320, 180), View("TR_unknown", 1, 1))))
    assert room.last.effects == ()
    assert list(room.state.participant(bob).views) == [track]
    room.do(cmd.UpdateSlots(bob, bind=(track,)))
    assert room.slot_views[bob, "v0"].width == 320
    room.do(cmd.Unpublish(alice, (track,)))
    assert room.state.participant(bob).views == {}


def test_a_rebound_slot_has_the_view_of_its_new_track() -> None:
    room = Room()
    alice, bob, camera = seen(room)
    room.do(cmd.UpdateView(bob, (View(camera, 640, 360),)))
    carol = room.join("carol", Source.SCREEN)
    room.do(cmd.UpdateSlots(bob, bind=(room.track(carol, Source.SCREEN),), unbind=(camera,)))
    assert room.slot_views == {(bob, "v0"): SlotView(priority=200)}
    assert alice


def test_views_need_the_grant() -> None:
    room = Room()
    deaf = room.join("deaf", grants=Grants(create=True, publish=True))
    assert refused(room, cmd.UpdateView(deaf, (View("TR_1"),))) == "PERMISSION_DENIED"
    assert refused(room, cmd.UpdateView("PA_x", (View("TR_1"),))) == "PARTICIPANT_NOT_FOUND"


def test_a_publisher_receives_the_layer_demand() -> None:
    room = Room()
    alice, bob, track = seen(room)
    room.state.tracks[track].layers = (Layer("q"), Layer("h", 1), Layer("f", 2))
    revision = room.state.revision
    room.do(cmd.LayerDemandChanged(track, LayerLimit(1, 2)))
    (event,) = room.events
    assert event.target_participant_id == alice
    assert event.revision == revision + 1
    (demand,) = event.layer_demand_changed.demands
    assert (demand.track_id, demand.watched) == (track, True)
    assert (demand.max_spatial, demand.max_temporal) == (1, 2)
    assert list(demand.rids) == ["q", "h"]
    room.do(cmd.LayerDemandChanged(track, LayerLimit(1, 2)))
    assert room.events == []
    room.do(cmd.LayerDemandChanged(track, None))
    assert not room.events[0].layer_demand_changed.demands[0].watched
    assert [w.watched for w in watching.demand_messages(room.state.participant(alice))] == [False]
    room.do(cmd.LayerDemandChanged("TR_gone", None))
    assert room.events == []
    assert watching.demand_messages(room.state.participant(bob)) == []


def test_pauses_are_sent_to_the_subscriber() -> None:
    room = Room()
    _, bob, track = seen(room)
    room.do(cmd.SlotPaused(bob, "v0", True))
    (event,) = room.events
    assert event.target_participant_id == bob
    assert event.track_paused.track_id == track
    assert event.track_paused.reason == room_pb2.PAUSE_REASON_BANDWIDTH
    paused = watching.paused_tracks(room.state.participant(bob))
    assert paused == [room_pb2.TrackPaused(track_id=track, reason=room_pb2.PAUSE_REASON_BANDWIDTH)]
    room.do(cmd.SlotPaused(bob, "v0", True))
    assert room.events == []
    room.do(cmd.SlotPaused(bob, "v0", False))
    assert room.kinds == ["track_resumed"]
    assert watching.paused_tracks(room.state.participant(bob)) == []
    for gone in (cmd.SlotPaused("PA_x", "v0", True), cmd.SlotPaused(bob, "v9", True)):
        room.do(gone)
        assert room.events == []


def test_a_paused_slot_that_shows_another_track_pauses_that() -> None:
    room = Room()
    _, bob, camera = seen(room)
    room.do(cmd.SlotPaused(bob, "v0", True))
    carol = room.join("carol", Source.CAMERA)
    other = room.track(carol)
    room.do(cmd.UpdateSlots(bob, bind=(other,), unbind=(camera,)))
    assert [event.track_paused.track_id for event in room.events] == [other]
    room.do(cmd.UpdateSlots(bob, unbind=(other,)))
    room.do(cmd.UpdateSlots(bob, bind=(other,)))
    assert room.events == []
    assert watching.paused_tracks(room.state.participant(bob)) == []


def test_quality_is_sent_on_change_and_to_later_participants() -> None:
    """LiveKit #4838: later subscribers miss the first rating."""
    room = Room()
    alice = room.join("alice", Source.CAMERA)
    room.do(cmd.QualityChanged(alice, Quality.GOOD, 70.0))
    (event,) = room.events
    assert event.revision == 0
    assert event.target_participant_id == ""
    assert event.connection_quality.participant_id == alice
    assert event.connection_quality.quality == media_pb2.CONNECTION_QUALITY_GOOD
    room.do(cmd.QualityChanged(alice, Quality.GOOD, 65.0))
    assert room.events == []
    room.do(cmd.QualityChanged("PA_gone", Quality.POOR, 1.0))
    assert room.events == []
    (shown,) = (participant_message(p) for p in room.state.visible_participants())
    assert shown.connection_quality == media_pb2.CONNECTION_QUALITY_GOOD


def test_the_quality_of_a_hidden_participant_is_not_published() -> None:
    room = Room()
    hidden = room.join("ghost", grants=Grants(create=True, subscribe=True, hidden=True))
    room.do(cmd.QualityChanged(hidden, Quality.POOR, 10.0))
    assert [event.internal for event in room.events] == [True]


def test_the_number_of_views_is_bounded_by_the_rooms_tracks() -> None:
    rng = random.Random(5)
    room = Room()
    _, bob, track = seen(room)
    for _ in range(50):
        ids = [track, *(f"TR_{rng.random()}" for _ in range(9))]
        room.do(cmd.UpdateView(bob, tuple(View(i, rng.randrange(9)) for i in ids)))
    assert list(room.state.participant(bob).views) == [track]


def test_the_needed_layer_is_the_lowest_that_is_large_enough() -> None:
    room = Room()
    _, _, camera = seen(room)
    track = room.state.tracks[camera]
    assert watching.needed_layer(None, track) == 0
    track.layers = tuple(Layer(width=w, height=w * 9 // 16) for w in (320, 640, 1280))
    assert watching.needed_layer(None, track) == 2
    assert watching.needed_layer(View(camera), track) == 2
    assert watching.needed_layer(View(camera, max_spatial=1), track) == 1
    for width, layer in ((160, 0), (360, 0), (640, 1), (730, 1), (800, 2), (4_000, 2)):
        assert watching.needed_layer(View(camera, width, width * 9 // 16), track) == layer
    assert watching.needed_layer(View(camera, 4_000, 2_000, max_spatial=0), track) == 0
