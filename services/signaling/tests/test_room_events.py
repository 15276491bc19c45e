"""Events from the SFU over the bus to clients: order, gaps, outages, and the ends of sessions and rooms."""

import asyncio

import pytest
from nexus.events.v1 import room_pb2
from nexus.sfu.v1 import sfu_pb2
from nexus.types.v1 import media_pb2
from nexus_bus import MemoryBus, NatsBus
from nexus_bus.subjects import ROOMS, room_event, room_key
from nexus_signaling.errors import CloseCode
from nexus_testkit import NatsServer, wait_until

from services.signaling.tests.harness import APP, Harness, mint


def muted(track_id: str) -> room_pb2.TrackMuted:
    return room_pb2.TrackMuted(track_id=track_id, muted=True)


async def test_every_client_receives_events_in_order_in_its_own_subprotocol(harness: Harness) -> None:
    clients = [
        (await harness.joined(name, subprotocol=subprotocol))[0]
        for name, subprotocol in (("a", "nexus.v1"), ("b", "nexus.v1.json"), ("c", "nexus.v1.json"))
    ]
    for number in range(20):
        await harness.sfu.emit(harness.room(), "track-muted", track_muted=muted(f"TR_{number}"))
    for client in clients:
        received = [(await client.event("track_muted")).event for _ in range(20)]
        assert [event.track_muted.track_id for event in received] == [f"TR_{n}" for n in range(20)]
        assert [event.revision for event in received] == list(range(4, 24))


async def test_events_that_overtake_the_answer_are_sent_after_it(harness: Harness) -> None:
    await harness.joined("bob")

    async def overtake() -> None:
        await harness.sfu.emit(harness.room(), "track-muted", track_muted=muted("TR_early"))
        await asyncio.sleep(0)

    harness.sfu.before_join_answer = overtake
    client = await harness.connect()
    answer = await client.join(mint("ann"))
    assert client.unsolicited == []  # the answer is the first message of all
    early = await client.receive()
    assert early.event.track_muted.track_id == "TR_early"
    assert early.event.revision == answer.join.revision + 1


async def test_targeted_events_are_sent_only_to_their_target(harness: Harness) -> None:
    ann, anns = await harness.joined("ann")
    bob, _ = await harness.joined("bob")
    room = harness.room()
    reoffer = room_pb2.ReofferNeeded(pairs=6)
    await harness.sfu.emit(room, "track-muted", internal=True, track_muted=muted("TR_hidden"))
    await harness.sfu.emit(
        room, "reoffer-needed", reoffer_needed=reoffer, target_participant_id=anns.participant.id
    )
    await harness.sfu.emit(room, "track-muted", track_muted=muted("TR_last"))
    assert (await ann.event("reoffer_needed")).event.reoffer_needed.pairs == 6
    assert (await ann.event("track_muted")).event.track_muted.track_id == "TR_last"
    kinds = []
    while True:
        message = await bob.receive()
        kinds.append(message.event.WhichOneof("event"))
        if message.event.track_muted.track_id == "TR_last":
            break
        assert message.event.track_muted.track_id != "TR_hidden"
    assert "reoffer_needed" not in kinds
    assert harness.sfu.get_room_calls == 0  # an event for another client is not a gap


async def test_a_missed_event_leads_to_a_snapshot(harness: Harness) -> None:
    client, _ = await harness.joined("ann")
    room = harness.room()
    room.revision += 3  # lost events
    await harness.sfu.emit(room, "track-muted", track_muted=muted("TR_after"))
    snapshot = (await client.event("snapshot")).snapshot
    assert snapshot.revision == room.revision
    assert [person.identity for person in snapshot.participants] == ["ann"]
    await harness.sfu.emit(room, "track-muted", track_muted=muted("TR_next"))
    assert (await client.event("track_muted")).event.track_muted.track_id == "TR_next"


@pytest.mark.parametrize("subprotocol", ["nexus.v1", "nexus.v1.json"])
async def test_active_speakers_are_in_the_join_answer_and_in_a_snapshot(
    harness: Harness, subprotocol: str
) -> None:
    speaker = room_pb2.Speaker(participant_id="PA_9", track_id="TR_9", level_dbov=-20.5)
    harness.sfu.active_speakers = room_pb2.ActiveSpeakers(speakers=[speaker], revision=7)
    client, answer = await harness.joined("ann", subprotocol=subprotocol)
    assert answer.active_speakers == harness.sfu.active_speakers
    harness.sfu.active_speakers = room_pb2.ActiveSpeakers(revision=9)
    room = harness.room()
    room.revision += 1  # a lost event
    await harness.sfu.emit(room, "track-muted", track_muted=muted("TR_after"))
    snapshot = (await client.event("snapshot")).snapshot
    assert snapshot.active_speakers == room_pb2.ActiveSpeakers(revision=9)


async def test_after_an_outage_of_the_broker_every_client_receives_a_snapshot(harness: Harness) -> None:
    assert isinstance(harness.bus, MemoryBus)
    client, _ = await harness.joined("ann")
    harness.bus.set_connected(False)
    harness.room().revision += 1  # an event that no client receives
    harness.bus.set_connected(True)
    assert (await client.event("snapshot")).snapshot.revision == harness.room().revision
    assert (await client.request(ping={})).WhichOneof("body") == "ping"


async def test_sessions_survive_a_restart_of_the_broker(nats_server: NatsServer) -> None:
    bus = await NatsBus.connect(nats_server.url, "signaling-test")
    try:
        async with Harness(bus) as harness:
            client, _ = await harness.joined("ann")
            nats_server.stop()
            await wait_until(lambda: not bus.connected, timeout=30)
            assert (await client.request(ping={})).WhichOneof("body") == "ping"
            harness.room().revision += 1
            nats_server.start()
            await wait_until(lambda: bus.connected, timeout=30)
            assert (await client.event("snapshot")).snapshot.revision == harness.room().revision
            await wait_until(lambda: harness.service.nodes.fresh_count() == 1, timeout=30)
            await harness.sfu.heartbeat()
            await harness.joined("bob")
            joined = await client.event("participant_joined")
            assert joined.event.participant_joined.participant.identity == "bob"
    finally:
        await bus.close()


@pytest.mark.parametrize(
    ("reason", "close", "can_rejoin"),
    [
        (media_pb2.DISCONNECT_REASON_REMOVED, CloseCode.REMOVED, False),
        (media_pb2.DISCONNECT_REASON_MEDIA_FAILED, CloseCode.MEDIA_FAILED, True),
    ],
)
async def test_a_client_removed_by_the_sfu_is_notified_and_closed(
    harness: Harness, reason: media_pb2.DisconnectReason.ValueType, close: CloseCode, can_rejoin: bool
) -> None:
    client, answer = await harness.joined("ann")
    await harness.sfu.remove(harness.room(), answer.participant.id, reason)
    farewell = await client.event("disconnected")
    assert (farewell.disconnected.reason, farewell.disconnected.can_rejoin) == (reason, can_rejoin)
    assert await client.closed() == close
    assert harness.sfu.calls(sfu_pb2.LeaveRequest) == []


async def test_a_closed_room_closes_its_sessions_and_is_forgotten(harness: Harness) -> None:
    client, _ = await harness.joined("ann")
    bucket = await harness.bus.kv(ROOMS)
    assert await bucket.get(room_key(APP, "lobby")) is not None
    await harness.sfu.close_room(harness.room())
    assert (await client.event("disconnected")).disconnected.reason == media_pb2.DISCONNECT_REASON_ROOM_CLOSED
    assert await client.closed() == CloseCode.ROOM_CLOSED

    async def forgotten() -> bool:
        return await bucket.get(room_key(APP, "lobby")) is None

    await wait_until(forgotten)
    _, answer = await harness.joined("ann")
    assert answer.room.id == harness.room().room_id


async def test_a_room_that_ends_without_local_sessions_is_forgotten(harness: Harness) -> None:
    client, _ = await harness.joined("ann")
    await client.request(leave={})
    await wait_until(lambda: not harness.room().participants)
    await harness.sfu.close_room(harness.room())
    bucket = await harness.bus.kv(ROOMS)

    async def forgotten() -> bool:
        return await bucket.keys() == []

    await wait_until(forgotten)


async def test_records_of_rooms_on_a_dead_node_are_swept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nexus_rooms.nodes.SETTLING_MS", 0)
    async with Harness(sweep_ms=10) as harness:
        await harness.joined("ann")
        rooms = await harness.bus.kv(ROOMS)
        await (await harness.bus.kv("nodes")).delete("sfu-1")

        async def swept() -> bool:
            return await rooms.keys() == []

        await wait_until(swept)


async def test_the_death_of_a_node_ends_its_sessions(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if the broker had been connected for long, so that a missing heartbeat counts.
    monkeypatch.setattr("nexus_rooms.nodes.SETTLING_MS", 0)
    client, _ = await harness.joined("ann")
    await harness.sfu.stop()
    nodes = await harness.bus.kv("nodes")
    await nodes.delete("sfu-1")
    farewell = await client.event("disconnected")
    assert farewell.disconnected.reason == media_pb2.DISCONNECT_REASON_MEDIA_FAILED
    assert farewell.disconnected.can_rejoin
    assert await client.closed() == CloseCode.MEDIA_FAILED


async def test_a_node_without_heartbeat_that_answers_keeps_its_sessions(
    harness: Harness,
) -> None:
    client, _ = await harness.joined("ann")
    nodes = await harness.bus.kv("nodes")
    await nodes.delete("sfu-1")
    assert (await client.event("snapshot")).snapshot.revision == 1
    assert (await client.request(ping={})).WhichOneof("body") == "ping"


async def test_garbage_on_the_bus_affects_no_session(harness: Harness) -> None:
    client, _ = await harness.joined("ann")
    subject = room_event(APP, "lobby", "track-muted")
    await harness.bus.publish(subject, b"\xff\xff\xff")
    await harness.bus.publish(room_event(APP, "lobby", "room-closed"), b"\xff")
    await harness.bus.publish(subject, b"")
    await harness.sfu.emit(harness.room(), "track-muted", track_muted=muted("TR_1"))
    assert (await client.event("track_muted")).event.track_muted.track_id == "TR_1"
    assert harness.metric("room_events_malformed_total") == 2


async def test_replicas_share_a_room() -> None:
    bus = MemoryBus()
    async with Harness(bus) as one, Harness(MemoryBus(bus.broker), sfu=one.sfu) as two:
        ann, anns = await one.joined("ann")
        bob, bobs = await two.joined("bob")
        assert bobs.room.id == anns.room.id
        assert [person.identity for person in bobs.participants] == ["ann"]
        assert (await ann.event("participant_joined")).event.participant_joined.participant.identity == "bob"
        await two.joined("ann")  # on the other replica, and still it replaces the first session
        assert await ann.closed() == CloseCode.REPLACED
        left = (await bob.event("participant_left")).event.participant_left
        assert (left.identity, left.reason) == ("ann", media_pb2.DISCONNECT_REASON_REPLACED)
