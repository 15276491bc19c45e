"""Requests of a joined client, through WebSocket and gRPC and back."""

import pytest
from nexus.sfu.v1 import sfu_pb2
from nexus.types.v1 import media_pb2
from nexus_signaling.errors import CloseCode
from nexus_testkit import wait_until

from services.signaling.tests.harness import Harness, code_of, grants

PUBLICATION = media_pb2.Publication(mid="0", source=media_pb2.TRACK_SOURCE_CAMERA)
SUBPROTOCOLS = pytest.mark.parametrize("subprotocol", ["nexus.v1", "nexus.v1.json"])


@SUBPROTOCOLS
async def test_every_request_receives_its_reply(harness: Harness, subprotocol: str) -> None:
    client, answer = await harness.joined("ann", subprotocol=subprotocol, publications=[PUBLICATION])
    me = answer.participant.id

    offer = await client.request(offer={"sdp": "v=0 again", "publications": [PUBLICATION]})
    assert offer.offer.sdp == "v=0 answer again"
    (track,) = offer.offer.tracks

    slots = await client.request(update_slots={"bind_track_ids": ["TR_a", "TR_b"]})
    assert slots.update_slots.slots.slots[0].track_id == "TR_a"
    assert list(slots.update_slots.unplaced_track_ids) == ["TR_b"]

    subscription = await client.request(update_subscriptions={"track_ids": ["TR_a"], "subscribed": False})
    assert subscription.update_subscriptions.slots.revision == 3

    view = {"track_id": "TR_a", "width": 640, "height": 360, "pinned": True, "max_spatial": 0}
    assert (await client.request(update_view={"views": [view]})).WhichOneof("body") == "update_view"
    (request,) = harness.sfu.calls(sfu_pb2.UpdateViewRequest)
    assert request.participant_id == me
    assert (request.views[0].width, request.views[0].pinned) == (640, True)
    assert request.views[0].HasField("max_spatial")
    assert not request.views[0].HasField("max_temporal")

    assert (await client.request(set_muted={"track_id": track.id, "muted": True})).WhichOneof(
        "body"
    ) == "set_muted"
    muted = await client.event("track_muted")
    assert muted.event.track_muted.muted

    updated = await client.request(update_participant={"name": "New", "attributes": {"a": "b"}})
    assert updated.update_participant.participant.name == "New"

    unpublished = await client.request(unpublish={"track_ids": [track.id]})
    assert unpublished.WhichOneof("body") == "unpublish"
    assert list(harness.room().participants[me].tracks) == []

    ping = await client.request(ping={"sent_at_ms": 5})
    assert ping.ping.sent_at_ms == 5
    assert ping.ping.server_at_ms > 1_600_000_000_000

    assert (await client.request(leave={})).WhichOneof("body") == "leave"
    assert await client.closed() == CloseCode.LEFT
    await wait_until(lambda: me not in harness.room().participants)
    (leave,) = harness.sfu.calls(sfu_pb2.LeaveRequest)
    assert leave.reason == media_pb2.DISCONNECT_REASON_CLIENT_LEFT


@SUBPROTOCOLS
async def test_order_is_enforced(harness: Harness, subprotocol: str) -> None:
    client = await harness.connect(subprotocol)
    assert code_of(await client.request(set_muted={"track_id": "x"})) == "NOT_JOINED"
    assert (await client.join()).WhichOneof("body") == "join"
    assert code_of(await client.join()) == "ALREADY_JOINED"
    assert (await client.request(ping={})).WhichOneof("body") == "ping"


async def test_participants_manage_themselves_and_admins_others(harness: Harness) -> None:
    bob, _ = await harness.joined("bob", publications=[PUBLICATION])
    eve, eves = await harness.joined("eve", publications=[PUBLICATION])
    (track,) = eves.participant.tracks

    assert code_of(await bob.request(set_muted={"track_id": track.id, "muted": True})) == "PERMISSION_DENIED"
    assert code_of(await bob.request(unpublish={"track_ids": [track.id]})) == "PERMISSION_DENIED"
    target = eves.participant.id
    assert code_of(await bob.request(remove_participant={"participant_id": target})) == "PERMISSION_DENIED"
    update = {"participant_id": target, "name": "Mallory"}
    assert code_of(await bob.request(update_participant=update)) == "PERMISSION_DENIED"

    admin, _ = await harness.joined("root", claims=grants(admin=True, subscribe=True))
    assert (await admin.request(set_muted={"track_id": track.id, "muted": True})).WhichOneof(
        "body"
    ) == "set_muted"
    assert (await admin.request(update_participant=update)).update_participant.participant.name == "Mallory"
    assert code_of(await admin.request(unpublish={"track_ids": ["TR_nobodys"]})) == "TRACK_NOT_FOUND"
    assert (await admin.request(unpublish={"track_ids": [track.id]})).WhichOneof("body") == "unpublish"
    assert list(harness.room().participants[target].tracks) == []

    removed = await admin.request(remove_participant={"participant_id": target})
    assert removed.WhichOneof("body") == "remove_participant"
    farewell = await eve.event("disconnected")
    assert farewell.disconnected.reason == media_pb2.DISCONNECT_REASON_REMOVED
    assert await eve.closed() == CloseCode.REMOVED


async def test_an_error_of_the_sfu_reaches_the_client_with_its_code(harness: Harness) -> None:
    client, _ = await harness.joined("ann", claims=grants(create=True, admin=True))
    reply = await client.request(update_participant={"participant_id": "PA_nobody", "name": "x"})
    assert code_of(reply) == "PARTICIPANT_NOT_FOUND"
    assert not reply.error.fatal
    assert (await client.request(ping={})).WhichOneof("body") == "ping"


async def test_an_unreachable_sfu_is_reported_and_the_session_continues(harness: Harness) -> None:
    client, _ = await harness.joined("ann")
    await harness.sfu.stop()
    reply = await client.request(update_slots={"bind_track_ids": ["TR_a"]})
    assert code_of(reply) == "SFU_UNREACHABLE"
    assert reply.error.retry_after_ms > 0
    assert (await client.request(ping={})).WhichOneof("body") == "ping"


async def test_views_are_limited_and_need_the_grant(harness: Harness) -> None:
    client, _ = await harness.joined("ann")
    for views in ([{"width": 1}], [{"track_id": "TR_a", "priority": 256}], [{"track_id": "TR_a"}] * 257):
        assert code_of(await client.request(update_view={"views": views})) == "INVALID_ARGUMENT"
    deaf, _ = await harness.joined("bob", claims=grants(publish=True))
    assert code_of(await deaf.request(update_view={"views": [{"track_id": "TR_a"}]})) == "PERMISSION_DENIED"
    assert harness.sfu.calls(sfu_pb2.UpdateViewRequest) == []


async def test_the_layers_of_a_publication_are_limited(harness: Harness) -> None:
    client, _ = await harness.joined("ann")
    for layers in ([{"rid": "x"}] * 9, [{"rid": "x" * 65}]):
        publication = {"mid": "0", "source": media_pb2.TRACK_SOURCE_CAMERA, "layers": layers}
        reply = await client.request(offer={"sdp": "v=0", "publications": [publication]})
        assert code_of(reply) == "INVALID_ARGUMENT"
        assert reply.error.details["field"].startswith("publications.layers")
