"""Contract suites for the real parts and their in-memory twins."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from nexus.events.v1 import room_pb2
from nexus.sfu.v1 import sfu_pb2, track_stream_pb2
from nexus.types.v1 import media_pb2, state_pb2
from nexus.types.v1.error_pb2 import ErrorCode
from nexus_bus import Bus, MemoryBus, NatsBus
from nexus_bus.subjects import room_event, room_key
from nexus_rooms import (
    NodeDirectory,
    Nodes,
    ParticipantRequest,
    RoomFeeds,
    RoomLookup,
    RoomPlace,
    Rooms,
    Sfu,
    SfuClient,
)
from nexus_rooms.testing import FakeSfu, MemoryNodes, MemoryRoomFeeds, MemoryRooms, MemorySfu
from nexus_rpc import RpcError
from nexus_runtime import MetricSet
from nexus_testkit import ManualClock, NatsServer, wait_until
from prometheus_client import CollectorRegistry

TIMEOUT_MS = 10_000


@pytest.fixture(params=["memory bus", "nats"])
async def bus(request: pytest.FixtureRequest) -> AsyncIterator[Bus]:
    if request.param == "memory bus":
        yield MemoryBus()
        return
    server: NatsServer = request.getfixturevalue("nats_server")
    opened = await NatsBus.connect(server.url, "contract")
    yield opened
    await opened.close()


def metrics() -> MetricSet:
    return MetricSet("contract", CollectorRegistry())


def record(node_id: str) -> state_pb2.NodeRecord:
    return state_pb2.NodeRecord(node_id=node_id, grpc_address=f"{node_id}:1")


# Nodes


@dataclass
class NodesCase:
    nodes: Nodes
    clock: ManualClock
    heartbeat: Callable[[str], Awaitable[None]]
    remove: Callable[[str], Awaitable[None]]


class TestNodes:
    @pytest.fixture(params=["twin", "memory bus", "nats"])
    async def case(self, request: pytest.FixtureRequest) -> AsyncIterator[NodesCase]:
        clock = ManualClock()
        if request.param == "twin":
            twin = MemoryNodes(clock, TIMEOUT_MS)

            async def heartbeat(node_id: str) -> None:
                twin.heartbeat(record(node_id))

            async def remove(node_id: str) -> None:
                twin.remove(node_id)

            yield NodesCase(twin, clock, heartbeat, remove)
            return
        if request.param == "nats":
            server: NatsServer = request.getfixturevalue("nats_server")
            bus: Bus = await NatsBus.connect(server.url, "contract")
        else:
            bus = MemoryBus()
        bucket = await bus.kv("contract-nodes")
        directory = NodeDirectory(clock, TIMEOUT_MS)
        following = asyncio.create_task(directory.follow(bucket))

        async def write(node_id: str) -> None:
            await bucket.put(node_id, record(node_id).SerializeToString())
            await wait_until(lambda: directory.fresh(node_id) is not None)

        async def delete(node_id: str) -> None:
            await bucket.delete(node_id)
            await wait_until(lambda: node_id not in {node.node_id for node in directory.all()})

        assert await directory.wait_until_known(10_000)
        clock.advance(60)  # long after the broker connected
        yield NodesCase(directory, clock, write, delete)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await bus.close()

    async def test_a_heartbeat_makes_a_node_fresh_until_the_timeout(self, case: NodesCase) -> None:
        assert await case.nodes.wait_until_known(0)
        assert case.nodes.fresh("a") is None
        await case.heartbeat("a")
        assert [node.node_id for node in case.nodes.all()] == ["a"]
        case.clock.advance(TIMEOUT_MS / 1000 - 0.001)
        found = case.nodes.fresh("a")
        assert found is not None
        assert found.record.grpc_address == "a:1"
        case.clock.advance(0.001)
        assert case.nodes.fresh("a") is None
        assert not case.nodes.is_gone("a")  # late is not gone
        await case.heartbeat("a")
        assert case.nodes.fresh("a") is not None

    async def test_a_deleted_node_is_gone_and_its_address_is_remembered(self, case: NodesCase) -> None:
        gone: list[str] = []
        case.nodes.on_gone(gone.append)
        await case.heartbeat("a")
        await case.heartbeat("b")
        await case.remove("a")
        assert gone == ["a"]
        assert case.nodes.settled()
        assert (case.nodes.is_gone("a"), case.nodes.is_gone("b")) == (True, False)
        assert case.nodes.last_address("a") == "a:1"
        assert case.nodes.last_address("c") is None
        assert [node.node_id for node in case.nodes.all()] == ["b"]


# The SFU


@dataclass
class SfuCase:
    sfu: Sfu
    fake: FakeSfu
    address: str


KEY = sfu_pb2.RoomKey(app="app", room="lobby")


def join_request(identity: str = "ann", **fields: Any) -> sfu_pb2.JoinRequest:
    grants = media_pb2.Grants(create=True, publish=True)
    publications = [media_pb2.Publication(mid="0", source=media_pb2.TRACK_SOURCE_CAMERA)]
    return sfu_pb2.JoinRequest(
        room=KEY, room_id="RM_1", identity=identity, grants=grants, publications=publications, **fields
    )


class TestSfu:
    @pytest.fixture(params=["twin", "grpc"])
    async def case(self, request: pytest.FixtureRequest) -> AsyncIterator[SfuCase]:
        fake = FakeSfu(MemoryBus())
        if request.param == "twin":
            yield SfuCase(MemorySfu({"here:1": fake}), fake, "here:1")
            return
        await fake.start()
        client = SfuClient(metrics(), timeout_ms=20_000, join_timeout_ms=20_000)
        yield SfuCase(client, fake, fake.address)
        await client.close()
        await fake.stop()

    async def test_a_call_returns_the_answer_of_the_node(self, case: SfuCase) -> None:
        joined = await case.sfu.join(case.address, join_request())
        assert (joined.participant.identity, joined.node_id) == ("ann", "sfu-1")
        room = await case.sfu.get_room(case.address, sfu_pb2.GetRoomRequest(room=KEY))
        assert [participant.id for participant in room.participants] == [joined.participant.id]
        await case.sfu.send_data(case.address, sfu_pb2.SendDataRequest(room=KEY, payload=b"x"))
        update = sfu_pb2.UpdateRoomRequest(room=KEY, recording=True)
        assert (await case.sfu.update_room(case.address, update)).room.recording
        leave = sfu_pb2.LeaveRequest(room=KEY, participant_id=joined.participant.id)
        await case.sfu.leave(case.address, leave)
        assert case.fake.rooms["app", "lobby"].participants == {}

    async def test_every_request_of_a_participant_reaches_its_method(self, case: SfuCase) -> None:
        joined = await case.sfu.join(case.address, join_request())
        (track,) = joined.participant.tracks
        who: dict[str, Any] = {"room": KEY, "participant_id": joined.participant.id}
        requests: list[ParticipantRequest] = [
            sfu_pb2.OfferRequest(sdp="v=0", **who),
            sfu_pb2.UpdateSlotsRequest(bind_track_ids=[track.id], **who),
            sfu_pb2.UpdateSubscriptionsRequest(track_ids=[track.id], **who),
            sfu_pb2.UpdateViewRequest(**who),
            sfu_pb2.UpdateParticipantRequest(name="Ann", **who),
            sfu_pb2.UnpublishRequest(track_ids=[track.id], **who),
            sfu_pb2.LeaveRequest(**who),
        ]
        for request in requests:
            answer = await case.sfu.call(case.address, request)
            assert type(answer).__name__ == type(request).__name__.replace("Request", "Response")

    async def test_an_error_of_the_node_is_raised(self, case: SfuCase) -> None:
        with pytest.raises(RpcError) as caught:
            await case.sfu.get_room(case.address, sfu_pb2.GetRoomRequest(room=KEY))
        assert caught.value.code == ErrorCode.ROOM_NOT_FOUND

    async def test_a_node_that_does_not_answer_is_unreachable(self, case: SfuCase) -> None:
        with pytest.raises(RpcError) as caught:
            await case.sfu.get_room("127.0.0.1:1", sfu_pb2.GetRoomRequest(room=KEY))
        assert (caught.value.code, caught.value.retry_after_ms) == (ErrorCode.SFU_UNREACHABLE, 1000)

    async def test_a_track_is_streamed_until_it_ends(self, case: SfuCase) -> None:
        joined = await case.sfu.join(case.address, join_request())
        (track,) = joined.participant.tracks
        packet = track_stream_pb2.StreamPacket(sequence_number=7)
        records = track_stream_pb2.StreamTrackResponse(records=[track_stream_pb2.StreamRecord(packet=packet)])
        case.fake.streams[track.id] = [records, records]
        request = sfu_pb2.StreamTrackRequest(room=KEY, track_id=track.id)
        assert [answer async for answer in case.sfu.stream_track(case.address, request)] == [records, records]
        unknown = sfu_pb2.StreamTrackRequest(room=KEY, track_id="TR_none")
        with pytest.raises(RpcError) as caught:
            await anext(case.sfu.stream_track(case.address, unknown))
        assert caught.value.code == ErrorCode.TRACK_NOT_FOUND


# Room lookup


@dataclass
class RoomsCase:
    rooms: Rooms
    place: Callable[[str, RoomPlace], Awaitable[None]]


class TestRooms:
    @pytest.fixture(params=["twin", "lookup"])
    async def case(self, request: pytest.FixtureRequest) -> RoomsCase:
        if request.param == "twin":
            twin = MemoryRooms()

            async def place(room: str, where: RoomPlace) -> None:
                twin.places["app", room] = where

            return RoomsCase(twin, place)
        bucket = await MemoryBus().kv("contract-rooms")
        nodes = MemoryNodes(ManualClock(), TIMEOUT_MS)

        async def write(room: str, where: RoomPlace) -> None:
            nodes.heartbeat(state_pb2.NodeRecord(node_id=where.node_id, grpc_address=where.address))
            stored = state_pb2.RoomRecord(app="app", node_id=where.node_id)
            stored.room.id, stored.room.name = where.room_id, room
            await bucket.put(room_key("app", room), stored.SerializeToString())

        return RoomsCase(RoomLookup(bucket, nodes, MemorySfu({})), write)

    async def test_a_placed_room_is_found(self, case: RoomsCase) -> None:
        where = RoomPlace("RM_1", "sfu-1", "a:1")
        await case.place("lobby", where)
        assert await case.rooms.find("app", "lobby") == where

    async def test_an_unplaced_room_is_not_found(self, case: RoomsCase) -> None:
        await case.place("lobby", RoomPlace("RM_1", "sfu-1", "a:1"))
        assert await case.rooms.find("app", "other") is None
        assert await case.rooms.find("another", "lobby") is None


@dataclass
class Lookup:
    """Makes a `RoomLookup` with one stored room and one malformed record."""

    clock: ManualClock = field(default_factory=ManualClock)

    async def make(self, sfu: Sfu, nodes: Nodes) -> RoomLookup:
        bucket = await MemoryBus().kv("rooms")
        stored = state_pb2.RoomRecord(app="app", node_id="sfu-1")
        stored.room.id, stored.room.name = "RM_1", "lobby"
        await bucket.put(room_key("app", "lobby"), stored.SerializeToString())
        await bucket.put(room_key("app", "broken"), b"\xff")
        return RoomLookup(bucket, nodes, sfu)


async def test_a_node_without_heartbeats_is_asked_for_the_room() -> None:
    world = Lookup()
    nodes = MemoryNodes(world.clock, TIMEOUT_MS)
    nodes.heartbeat(record("sfu-1"))
    nodes.remove("sfu-1")
    fake = FakeSfu(MemoryBus())
    lookup = await world.make(MemorySfu({"sfu-1:1": fake}), nodes)
    assert await lookup.find("app", "lobby") is None  # the node answers that it has no such room
    await MemorySfu({"sfu-1:1": fake}).join("sfu-1:1", join_request())
    assert await lookup.find("app", "lobby") == RoomPlace("RM_1", "sfu-1", "sfu-1:1")
    assert await (await world.make(MemorySfu({}), nodes)).find("app", "lobby") is None  # no answer


async def test_a_missing_node_is_not_taken_for_gone_before_the_nodes_are_known() -> None:
    world = Lookup()
    lookup = await world.make(MemorySfu({}), NodeDirectory(world.clock, TIMEOUT_MS))
    with pytest.raises(RpcError) as caught:
        await lookup.find("app", "lobby")
    assert caught.value.code == ErrorCode.SFU_UNREACHABLE


async def test_a_malformed_record_is_not_a_room() -> None:
    world = Lookup()
    lookup = await world.make(MemorySfu({}), MemoryNodes(world.clock, TIMEOUT_MS))
    assert await lookup.find("app", "broken") is None


# Events


@dataclass
class Carried:
    event: room_pb2.RoomEvent


class Reader:
    def __init__(self) -> None:
        self.revisions: list[int] = []
        self.carried: list[Carried] = []
        self.missing = 0

    def deliver(self, event: Carried) -> None:
        self.carried.append(event)
        self.revisions.append(event.event.revision)

    def events_may_be_missing(self) -> None:
        self.missing += 1


@dataclass
class FeedsCase:
    feeds: Any
    emit: Callable[[int, str], Awaitable[None]]
    lose: Callable[[], None]


def event(revision: int, room: str) -> room_pb2.RoomEvent:
    return room_pb2.RoomEvent(app="app", room=room, revision=revision, track_muted=room_pb2.TrackMuted())


class TestFeeds:
    @pytest.fixture(params=["twin", "bus"])
    async def case(self, request: pytest.FixtureRequest) -> FeedsCase:
        if request.param == "twin":
            twin = MemoryRoomFeeds(Carried)

            async def emit(revision: int, room: str) -> None:
                twin.emit(event(revision, room))

            return FeedsCase(twin, emit, twin.lose)
        bus = MemoryBus()

        async def publish(revision: int, room: str) -> None:
            await bus.publish(
                room_event("app", room, "track-muted"), event(revision, room).SerializeToString()
            )

        def lose() -> None:
            bus.set_connected(False)
            bus.set_connected(True)

        return FeedsCase(RoomFeeds(bus, metrics(), Carried), publish, lose)

    async def test_every_reader_of_a_room_receives_its_events_in_order(self, case: FeedsCase) -> None:
        first, second, elsewhere = Reader(), Reader(), Reader()
        for reader, room in ((first, "lobby"), (second, "lobby"), (elsewhere, "attic")):
            await case.feeds.enter("app", room, reader)
        for revision in range(1, 6):
            await case.emit(revision, "lobby")
        await case.emit(9, "attic")
        await wait_until(lambda: len(first.revisions) == 5 and len(second.revisions) == 5)
        await wait_until(lambda: elsewhere.revisions == [9])
        assert first.revisions == second.revisions == [1, 2, 3, 4, 5]
        # Each event is converted once for all readers.
        assert all(a is b for a, b in zip(first.carried, second.carried, strict=True))

    async def test_a_reader_that_exits_receives_no_more_events(self, case: FeedsCase) -> None:
        leaving, staying = Reader(), Reader()
        await case.feeds.enter("app", "lobby", leaving)
        await case.feeds.enter("app", "lobby", staying)
        case.feeds.exit("app", "lobby", leaving)
        case.feeds.exit("app", "lobby", leaving)  # a second call has no effect
        await case.emit(1, "lobby")
        await wait_until(lambda: staying.revisions == [1])
        assert leaving.revisions == []

    async def test_after_an_outage_every_reader_must_fetch_the_state(self, case: FeedsCase) -> None:
        reader = Reader()
        await case.feeds.enter("app", "lobby", reader)
        case.lose()
        await wait_until(lambda: reader.missing == 1)
