"""Joins through a real WebSocket, in both subprotocols, to an SFU with the real gRPC contract."""

import asyncio
from typing import Any

import grpc
import pytest
from nexus.sfu.v1 import sfu_pb2
from nexus.types.v1 import media_pb2
from nexus_bus.subjects import PARTICIPANTS, participant_key
from nexus_rooms.testing import FakeSfu
from nexus_signaling.errors import CloseCode
from nexus_testkit import wait_until
from pydantic import SecretStr

from services.signaling.tests.harness import APP, Harness, code_of, grants, mint, tear

HOSTILE_NAMES = [
    ">",
    "a.b",
    "*",
    "ü 漢字 🎉",
    "  ",
    "../../etc",
    "x" * 256,
    "\u202e",
    "'\"<script>",
    "$JS.API",
]


@pytest.mark.parametrize("subprotocol", ["nexus.v1", "nexus.v1.json"])
async def test_one_answer_has_everything(harness: Harness, subprotocol: str) -> None:
    await harness.joined("bob")
    client, answer = await harness.joined(
        "ann", subprotocol=subprotocol, publications=[media_pb2.Publication(mid="0")], name="Ann"
    )
    assert answer.room.name == "lobby"
    assert answer.room.id.startswith("RM_")
    assert answer.participant.identity == "ann"
    assert answer.participant.name == "Ann"
    assert [track.mid for track in answer.participant.tracks] == ["0"]
    assert [other.identity for other in answer.participants] == ["bob"]
    assert answer.sdp == "v=0 answer"
    assert answer.revision == 2
    assert answer.ping_interval_ms == 10_000
    assert answer.node_id == "sfu-1"
    assert answer.grants.publish
    assert not answer.grants.admin
    assert client.socket.protocol == subprotocol


async def test_signed_claims_take_precedence_over_the_clients_values(harness: Harness) -> None:
    _, answer = await harness.joined(
        "ann",
        claims={"name": "Signed", "metadata": "m", "attributes": {"role": "guest"}},
        name="Claimed",
        metadata="own",
        attributes={"role": "host", "mood": "good"},
    )
    assert (answer.participant.name, answer.participant.metadata) == ("Signed", "m")
    assert answer.participant.attributes == {"role": "guest", "mood": "good"}


@pytest.mark.parametrize(
    ("claims", "fields", "code", "close"),
    [
        ({"exp": 1}, {}, "TOKEN_EXPIRED", CloseCode.TOKEN_REJECTED),
        ({"iss": "nobody"}, {}, "TOKEN_INVALID", CloseCode.TOKEN_REJECTED),
        ({}, {"app_id": "other"}, "APP_MISMATCH", CloseCode.TOKEN_REJECTED),
        ({}, {"room": "elsewhere"}, "ROOM_MISMATCH", CloseCode.TOKEN_REJECTED),
        ({}, {"sdp": ""}, "INVALID_SDP", CloseCode.REFUSED),
        ({}, {"metadata": "x" * 17_000}, "INVALID_ARGUMENT", CloseCode.REFUSED),
        (grants(subscribe=True), {}, "ROOM_NOT_FOUND", CloseCode.REFUSED),
        (
            grants(create=True),
            {"publications": [media_pb2.Publication(mid="0")]},
            "PERMISSION_DENIED",
            CloseCode.REFUSED,
        ),
    ],
)
async def test_a_refused_join_has_a_code_and_closes(
    harness: Harness, claims: dict[str, Any], fields: dict[str, Any], code: str, close: CloseCode
) -> None:
    client = await harness.connect()
    reply = await client.join(mint(**claims), **fields)
    assert code_of(reply) == code
    assert reply.error.fatal
    assert await client.closed() == close
    assert harness.sfu.calls(sfu_pb2.JoinRequest) == []
    assert harness.metric("joins_total", result=code) == 1


async def test_missing_and_forged_tokens_are_refused(harness: Harness) -> None:
    for token, code in (("", "TOKEN_MISSING"), (mint(secret="x" * 40), "TOKEN_INVALID")):
        client = await harness.connect()
        assert code_of(await client.join(token)) == code
        assert await client.closed() == CloseCode.TOKEN_REJECTED


@pytest.mark.parametrize("name", HOSTILE_NAMES)
async def test_hostile_names_join_their_own_room_and_receive_its_events(harness: Harness, name: str) -> None:
    other, _ = await harness.joined("somebody", "a")
    first, _ = await harness.joined("first", name)
    _, answer = await harness.joined(name, name)
    assert answer.room.name == name
    assert [person.identity for person in answer.participants] == ["first"]
    joined = await first.event("participant_joined")
    assert joined.event.participant_joined.participant.identity == name
    leaving = await other.request(ping={})
    assert leaving.WhichOneof("body") == "ping"
    assert other.unsolicited == []


async def test_a_second_join_with_the_same_identity_replaces_the_first(harness: Harness) -> None:
    first, _ = await harness.joined("ann")
    second, answer = await harness.joined("ann")
    farewell = await first.event("disconnected")
    assert farewell.disconnected.reason == media_pb2.DISCONNECT_REASON_REPLACED
    assert not farewell.disconnected.can_rejoin
    assert await first.closed() == CloseCode.REPLACED
    assert answer.participants == []
    assert (await second.request(ping={})).WhichOneof("body") == "ping"
    assert list(harness.room().participants) == [answer.participant.id]


async def test_a_full_room() -> None:
    async with Harness() as small:
        small.sfu.max_participants = 1
        await small.joined("ann")
        client = await small.connect()
        reply = await client.join(mint("bob"))
        assert code_of(reply) == "ROOM_FULL"
        assert await client.closed() == CloseCode.REFUSED
        await small.sfu.close_room(small.room())
        await wait_until(lambda: small.metric("rooms") == 0)  # no feed of the room remains


async def test_the_apps_limit_of_rooms() -> None:
    async with Harness(max_rooms_per_app=1) as small:
        await small.joined("ann", "one")
        client = await small.connect()
        assert code_of(await client.join(mint("bob", "two"), room="two")) == "TOO_MANY_ROOMS"


async def test_a_join_without_nodes_has_a_retry_time(harness: Harness) -> None:
    await harness.joined("ann")
    await harness.sfu.stop()
    for room in ("lobby", "new"):
        client = await harness.connect()
        reply = await client.join(mint("bob", room), room=room)
        assert code_of(reply) == "NO_SFU_AVAILABLE"
        assert reply.error.retry_after_ms > 0


async def test_the_room_of_a_dead_node_moves_within_the_same_join(
    harness: Harness,
) -> None:
    """The node's record still exists: after kill -9 it only expires later."""
    other = FakeSfu(harness.bus, "sfu-2")
    await harness.joined("ann")
    await harness.sfu.stop()
    await other.start()
    try:
        await wait_until(lambda: harness.service.nodes.fresh_count() == 2)
        _, answer = await harness.joined("bob")
        assert answer.node_id == "sfu-2"
        _, answer = await harness.joined("cat")
        assert answer.node_id == "sfu-2"
        assert len(other.rooms[APP, "lobby"].participants) == 2
    finally:
        await other.stop()


async def test_a_room_is_not_split_while_its_node_is_alive_but_unreachable() -> None:
    async with Harness(node_silence_ms=300_000) as harness:
        other = FakeSfu(harness.bus, "sfu-2")
        await harness.joined("ann")
        await harness.sfu.stop()
        await other.start()
        try:
            await wait_until(lambda: harness.service.nodes.fresh_count() == 2)
            client = await harness.connect()
            joining = asyncio.create_task(client.join(mint("bob")))
            await wait_until(lambda: harness.service.nodes.fresh("sfu-1") is None)
            await harness.sfu.heartbeat()
            reply = await joining
            assert code_of(reply) == "SFU_UNREACHABLE"
            assert reply.error.retry_after_ms > 0
            assert not other.rooms
        finally:
            await other.stop()


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (grpc.StatusCode.INTERNAL, "INTERNAL"),
        (grpc.StatusCode.UNAVAILABLE, "NO_SFU_AVAILABLE"),
        (grpc.StatusCode.UNKNOWN, "INTERNAL"),
    ],
)
async def test_internal_errors_reveal_no_details(
    harness: Harness, status: grpc.StatusCode, code: str
) -> None:
    harness.sfu.fail_with = status
    client = await harness.connect()
    reply = await client.join()
    assert code_of(reply) == code
    assert "secret" not in str(reply)


async def test_without_the_broker_joins_fail_with_a_clear_error(harness: Harness) -> None:
    ann, _ = await harness.joined("ann")
    harness.bus.set_connected(False)  # type: ignore[attr-defined]  # the in-memory bus
    client = await harness.connect()
    reply = await client.join(mint("bob"))
    assert code_of(reply) == "SERVICE_UNAVAILABLE"
    assert reply.error.retry_after_ms > 0
    assert (await ann.request(set_muted={"track_id": "x"})).WhichOneof(
        "body"
    ) == "error"  # and the SFU is still asked
    assert len(harness.sfu.calls(sfu_pb2.SetMutedRequest)) == 1


async def test_a_broken_connection_leaves_the_room(harness: Harness) -> None:
    client, answer = await harness.joined("ann")
    tear(client)
    await wait_until(lambda: not harness.room().participants)
    (leave,) = harness.sfu.calls(sfu_pb2.LeaveRequest)
    assert leave.participant_id == answer.participant.id
    assert leave.reason == media_pb2.DISCONNECT_REASON_SIGNALING_LOST
    await wait_until(lambda: harness.metric("sessions") == 0 and harness.metric("rooms") == 0)


async def test_a_closed_page_leaves_as_a_client(harness: Harness) -> None:
    client, _ = await harness.joined("ann")
    await client.socket.close(code=1001)
    await wait_until(lambda: harness.sfu.calls(sfu_pb2.LeaveRequest))
    (leave,) = harness.sfu.calls(sfu_pb2.LeaveRequest)
    assert leave.reason == media_pb2.DISCONNECT_REASON_CLIENT_LEFT


async def test_a_disconnect_during_the_join_leaves_no_participant(harness: Harness) -> None:
    client = await harness.connect()

    async def hang_up() -> None:
        tear(client)
        await wait_until(lambda: harness.metric("connections") == 0)

    harness.sfu.before_join_answer = hang_up
    with pytest.raises(AssertionError):
        await client.join()
    await wait_until(lambda: harness.sfu.calls(sfu_pb2.LeaveRequest))
    await wait_until(lambda: not harness.room().participants)
    await wait_until(lambda: harness.metric("sessions") == 0 and harness.metric("rooms") == 0)


async def test_the_newest_session_of_an_identity_is_recorded_until_it_ends(harness: Harness) -> None:
    bucket = await harness.bus.kv(PARTICIPANTS)
    key = participant_key(APP, "lobby", "ann")
    await harness.joined("ann")
    second, _ = await harness.joined("ann")
    await wait_until(lambda: harness.metric("sessions") == 1)
    assert await bucket.get(key) is not None
    await second.request(leave={})

    async def gone() -> bool:
        return await bucket.get(key) is None

    await wait_until(gone)


async def test_a_draining_node_keeps_its_room_until_it_refuses(harness: Harness) -> None:
    other = FakeSfu(harness.bus, "sfu-2")
    other.cpu = 0.9
    await harness.joined("ann")
    harness.sfu.draining = True
    await harness.sfu.heartbeat()
    await other.start()
    try:
        await wait_until(lambda: harness.service.nodes.fresh_count() == 2)
        _, bob = await harness.joined("bob")
        assert bob.node_id == "sfu-1"
        _, new = await harness.joined("bob", "new")
        assert new.node_id == "sfu-2"

        harness.sfu.refuse_joins = True
        client = await harness.connect()
        assert code_of(await client.join(mint("eve"))) == "NODE_DRAINING"
        assert await client.closed() == CloseCode.REFUSED
    finally:
        await other.stop()


async def test_a_room_that_ended_on_a_draining_node_moves(harness: Harness) -> None:
    other = FakeSfu(harness.bus, "sfu-2")
    await harness.joined("ann", "lobby")
    harness.sfu.rooms.clear()  # the room has ended, but the directory does not know yet
    harness.sfu.draining = True
    await harness.sfu.heartbeat()
    await other.start()
    try:
        await wait_until(lambda: harness.service.nodes.fresh_count() == 2)
        _, answer = await harness.joined("bob")
        assert answer.node_id == "sfu-2"
    finally:
        await other.stop()


async def test_the_answer_has_turn_credentials() -> None:
    async with Harness(
        stun_urls=("stun:s.example:3478",),
        turn_urls=("turn:t.example:3478",),
        turn_secret=SecretStr("shared"),
    ) as harness:
        _, answer = await harness.joined("ann")
        stun, turn = answer.ice_servers
        assert list(stun.urls) == ["stun:s.example:3478"]
        assert not stun.username
        assert list(turn.urls) == ["turn:t.example:3478"]
        assert turn.username.endswith(":ann")
        assert turn.credential
