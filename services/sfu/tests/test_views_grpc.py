"""Views, layers, pauses and quality through the whole service, with the memory engine."""

from collections.abc import Callable

import grpc
import pytest
from nexus.sfu.v1 import sfu_pb2
from nexus.types.v1 import error_pb2, media_pb2
from nexus_sfu import engine_port as port
from nexus_sfu.core.effects import SlotView
from nexus_sfu.core.model import Kind, LayerLimit
from nexus_testkit import wait_until

from services.sfu.tests.conftest import OfferReader, Running

WireError = Callable[[grpc.aio.AioRpcError], error_pb2.Error]


async def call(running: Running, read_offer: OfferReader) -> tuple[str, str, str, int]:
    """Alice publishes, Bob subscribes: (alice, bob, camera, Bob's slot in the engine)."""
    offer = read_offer("chromium_join")
    alice = await running.join("alice", offer)
    bob = await running.join("bob", offer, publish=False, bind_existing=True)
    camera = next(t.id for t in alice.participant.tracks if t.kind == media_pb2.TRACK_KIND_VIDEO)
    (slot,) = (i for i, s in running.engine.slots.items() if s.track is not None)
    return alice.participant.id, bob.participant.id, camera, slot


async def test_a_view_reaches_the_engine(running: Running, read_offer: OfferReader) -> None:
    _, bob, camera, slot = await call(running, read_offer)
    assert running.engine.slots[slot].view == SlotView(priority=100)
    view = media_pb2.TrackView(track_id=camera, width=70_000, height=360, pinned=True, max_spatial=1)
    await running.stub.UpdateView(
        sfu_pb2.UpdateViewRequest(room=running.room, participant_id=bob, views=[view])
    )
    assert running.engine.slots[slot].view == SlotView(
        65_535, 360, pinned=True, priority=100, highest=LayerLimit(1, 3)
    )


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"participant_id": "PA_nobody"}, "PARTICIPANT_NOT_FOUND"),
        ({"views": [media_pb2.TrackView(track_id="TR_1", priority=256)]}, "INVALID_ARGUMENT"),
        ({"views": [media_pb2.TrackView(track_id="TR_1")] * 257}, "INVALID_ARGUMENT"),
    ],
)
async def test_invalid_views_are_refused(
    running: Running,
    read_offer: OfferReader,
    wire_error: WireError,
    fields: dict[str, object],
    code: str,
) -> None:
    _, bob, _, _ = await call(running, read_offer)
    request = sfu_pb2.UpdateViewRequest(**{"room": running.room, "participant_id": bob, **fields})  # type: ignore[arg-type]
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await running.stub.UpdateView(request)
    assert error_pb2.ErrorCode.Name(wire_error(failure.value).code) == code


async def test_reports_of_the_engine_reach_the_right_participant(
    running: Running, read_offer: OfferReader
) -> None:
    alice, bob, camera, slot = await call(running, read_offer)
    (track,) = (i for i, t in running.engine.tracks.items() if t.kind is Kind.VIDEO)
    running.engine.emit(
        port.LayerDemandChanged(track, LayerLimit(0, 2)),
        port.SlotPaused(slot, True),
        port.LayerDemandChanged(99_999, None),
        port.SlotPaused(99_999, True),
    )
    await wait_until(
        lambda: bool(running.of_kind("layer_demand_changed") and running.of_kind("track_paused"))
    )
    (demanded,), (paused,) = running.of_kind("layer_demand_changed"), running.of_kind("track_paused")
    assert demanded.target_participant_id == alice
    assert paused.target_participant_id == bob
    # The snapshot has both, for clients that missed the events.
    for participant, watched, stopped in ((alice, [camera], []), (bob, [], [camera])):
        room = await running.stub.GetRoom(
            sfu_pb2.GetRoomRequest(room=running.room, participant_id=participant)
        )
        assert [w.track_id for w in room.layer_demands] == watched
        assert [p.track_id for p in room.paused_tracks] == stopped


async def test_quality_is_measured_and_reported(running: Running, read_offer: OfferReader) -> None:
    alice, bob, _, _ = await call(running, read_offer)
    await running.service.measure()
    reported = running.of_kind("connection_quality")
    assert {event.connection_quality.participant_id for event in reported} == {alice, bob}
    assert {event.connection_quality.quality for event in reported} == {
        media_pb2.CONNECTION_QUALITY_EXCELLENT
    }
    carol = await running.join("carol", read_offer("chromium_join"), publish=False)
    assert {p.connection_quality for p in carol.participants} == {media_pb2.CONNECTION_QUALITY_EXCELLENT}
