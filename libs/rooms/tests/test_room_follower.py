"""Following a room: its changes, lost events, outages, restarts and moves."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from nexus.events.v1 import room_pb2
from nexus.sfu.v1 import sfu_pb2
from nexus.types.v1 import media_pb2, state_pb2
from nexus.types.v1.error_pb2 import ErrorCode
from nexus_bus import Bus, MemoryBus, NatsBus, NotConnected
from nexus_bus.subjects import room_key
from nexus_rooms import (
    BareEvent,
    FollowLimits,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantUpdated,
    RoomChange,
    RoomChanges,
    RoomClosed,
    RoomFeeds,
    RoomFollower,
    RoomLookup,
    RoomMissing,
    RoomMoved,
    RoomPlace,
    RoomSnapshotted,
    RoomUpdated,
    TrackMuted,
)
from nexus_rooms.followed_room import FollowedRoom
from nexus_rooms.testing import (
    FakeSfu,
    MemoryNodes,
    MemoryRoomChanges,
    MemoryRoomFeeds,
    MemoryRooms,
    MemorySfu,
)
from nexus_rpc import RpcError
from nexus_runtime import Clock, MetricSet, SystemClock
from nexus_testkit import NatsServer, VirtualTimeLoop, run_in_virtual_time, wait_until
from prometheus_client import CollectorRegistry

APP, ROOM = "app", "lobby"
KEY = sfu_pb2.RoomKey(app=APP, room=ROOM)
# Short, so that a test does not wait; the real ones are in `FollowLimits`.
LIMITS = FollowLimits(lookup_ms=40, fetch_ms=80, pause_ms=5)
# Without fetches at an interval, which may report a change before its event arrives.
BY_EVENTS = FollowLimits(lookup_ms=40, fetch_ms=3_600_000, pause_ms=5)
NEVER = FollowLimits(lookup_ms=3_600_000, fetch_ms=3_600_000, pause_ms=1)
GRANTS = media_pb2.Grants(create=True, publish=True)


class Silent:
    """An SFU that does not answer."""

    def __init__(self) -> None:
        self.calls = 0

    async def GetRoom(self, request: sfu_pb2.GetRoomRequest, context: Any) -> sfu_pb2.GetRoomResponse:
        self.calls += 1
        raise RpcError(ErrorCode.SFU_UNREACHABLE, "silent")


@dataclass
class World:
    """Two SFUs and a follower of one room, on a bus."""

    bus: Bus
    limits: FollowLimits = LIMITS
    clock: Clock = field(default_factory=SystemClock)
    changes: list[RoomChange] = field(default_factory=list)

    async def start(self) -> None:
        self.sfus = {node: FakeSfu(self.bus, node) for node in ("sfu-1", "sfu-2")}
        self.nodes = MemoryNodes(self.clock, 3_600_000)
        self.heartbeat()
        self.servicers: dict[str, Any] = {f"{node}:1": sfu for node, sfu in self.sfus.items()}
        self.bucket = await self.bus.kv("rooms")
        sfu = MemorySfu(self.servicers)
        metrics = MetricSet("contract", CollectorRegistry())
        lookup = RoomLookup(self.bucket, self.nodes, sfu)
        feeds = RoomFeeds(self.bus, metrics, BareEvent)
        self.follower = RoomFollower(lookup, feeds, sfu, self.clock, self.limits)
        self._reading = asyncio.create_task(self._read())

    def heartbeat(self) -> None:
        for node in self.sfus:
            self.nodes.heartbeat(state_pb2.NodeRecord(node_id=node, grpc_address=f"{node}:1"))

    async def stop(self) -> None:
        self._reading.cancel()
        with suppress(asyncio.CancelledError):
            await self._reading
        await self.bus.close()

    async def _read(self) -> None:
        async for change in self.follower.follow(APP, ROOM):
            self.changes.append(change)

    async def place(self, node: str, room_id: str) -> None:
        record = state_pb2.RoomRecord(app=APP, node_id=node)
        record.room.id, record.room.name = room_id, ROOM
        await self.bucket.put(room_key(APP, ROOM), record.SerializeToString())

    async def join(self, identity: str, node: str = "sfu-1", room_id: str = "RM_1") -> media_pb2.Participant:
        await self.place(node, room_id)
        publications = [media_pb2.Publication(mid="0", source=media_pb2.TRACK_SOURCE_CAMERA)]
        request = sfu_pb2.JoinRequest(
            room=KEY, room_id=room_id, identity=identity, grants=GRANTS, publications=publications
        )
        return (await MemorySfu(self.servicers).join(f"{node}:1", request)).participant

    def of(self, kind: type[RoomChange]) -> list[Any]:
        return [change for change in self.changes if isinstance(change, kind)]

    async def until(self, kind: type[RoomChange], count: int = 1) -> list[Any]:
        """Waits until so many changes of a kind have come, and returns them."""
        await wait_until(lambda: len(self.of(kind)) >= count)
        return self.of(kind)

    def knows(self, participant_id: str) -> bool:
        """Whether an event or a snapshot has reported this participant."""
        reported = [one.participant for one in self.of(ParticipantJoined)]
        reported += [participant for one in self.of(RoomSnapshotted) for participant in one.participants]
        return participant_id in [participant.id for participant in reported]


@pytest.fixture(params=["memory bus", "nats"])
async def bus(request: pytest.FixtureRequest) -> AsyncIterator[Bus]:
    if request.param == "memory bus":
        yield MemoryBus()
        return
    server: NatsServer = request.getfixturevalue("nats_server")
    yield await NatsBus.connect(server.url, "follower")


@pytest.fixture
async def world(bus: Bus) -> AsyncIterator[World]:
    world = World(bus, BY_EVENTS)
    await world.start()
    yield world
    await world.stop()


@pytest.fixture
async def fetching(bus: Bus) -> AsyncIterator[World]:
    """A world whose follower also fetches the room at an interval."""
    world = World(bus, LIMITS)
    await world.start()
    yield world
    await world.stop()


@pytest.fixture
async def attentive() -> AsyncIterator[World]:
    """A world whose follower acts on events only: no interval of it ever passes."""
    world = World(MemoryBus(), NEVER)
    await world.start()
    yield world
    await world.stop()


async def test_a_room_is_followed_from_its_beginning_to_its_end(world: World) -> None:
    assert await world.until(RoomMissing) == [RoomMissing()]
    ann = await world.join("ann")
    (snapshot,) = await world.until(RoomSnapshotted)
    assert snapshot.place == RoomPlace("RM_1", "sfu-1", "sfu-1:1")
    assert [one.id for one in snapshot.participants] == [ann.id]
    bob = await world.join("bob")
    assert (await world.until(ParticipantJoined))[-1].participant.id == bob.id
    sfu = world.sfus["sfu-1"]
    room = sfu.rooms[APP, ROOM]
    track = bob.tracks[0].id
    mute = sfu_pb2.SetMutedRequest(room=KEY, participant_id=bob.id, track_id=track, muted=True)
    await MemorySfu(world.servicers).call("sfu-1:1", mute)
    assert await world.until(TrackMuted) == [TrackMuted(track, bob.id, True)]
    update = sfu_pb2.UpdateRoomRequest(room=KEY, recording=True)
    await MemorySfu(world.servicers).update_room("sfu-1:1", update)
    assert (await world.until(RoomUpdated))[0].room.recording
    await sfu.remove(room, bob.id, media_pb2.DISCONNECT_REASON_REMOVED)
    left = ParticipantLeft(bob.id, "bob", media_pb2.DISCONNECT_REASON_REMOVED)
    assert await world.until(ParticipantLeft) == [left]
    await sfu.close_room(room)
    assert await world.until(RoomClosed) == [RoomClosed(media_pb2.DISCONNECT_REASON_ROOM_CLOSED)]
    await world.bucket.delete(room_key(APP, ROOM))
    # A later room of this name is another one, not a move.
    await world.join("ann", "sfu-2", "RM_2")
    await wait_until(lambda: world.of(RoomSnapshotted)[-1].place.node_id == "sfu-2")
    assert world.of(RoomMoved) == []
    assert world.of(RoomMissing) == [RoomMissing()]


async def test_hidden_participants_and_events_for_one_participant_are_left_out(attentive: World) -> None:
    await attentive.join("ann")
    await attentive.until(RoomSnapshotted)
    sfu = attentive.sfus["sfu-1"]
    room = sfu.rooms[APP, ROOM]
    ghost = media_pb2.Participant(id="PA_ghost", identity="ghost")
    joined = room_pb2.ParticipantJoined(participant=ghost)
    await sfu.emit(room, "participant-joined", internal=True, participant_joined=joined)
    await sfu.emit(room, "slots-changed", target_participant_id="PA_1", slots_changed=room_pb2.SlotsChanged())
    await sfu.emit(room, "active-speakers", state=False, active_speakers=room_pb2.ActiveSpeakers())
    updated = room_pb2.ParticipantUpdated(participant=media_pb2.Participant(id="PA_1", name="Ann"))
    await sfu.emit(room, "participant-updated", participant_updated=updated)
    assert [one.participant.name for one in await attentive.until(ParticipantUpdated)] == ["Ann"]
    assert attentive.of(ParticipantJoined) == []
    assert len(attentive.of(RoomSnapshotted)) == 1


async def test_a_lost_event_leads_to_a_snapshot(attentive: World) -> None:
    await attentive.join("ann")
    await attentive.until(RoomSnapshotted)
    room = attentive.sfus["sfu-1"].rooms[APP, ROOM]
    room.revision += 1  # an event that never arrives
    await attentive.join("bob")
    snapshots = await attentive.until(RoomSnapshotted, 2)
    assert [one.identity for one in snapshots[-1].participants] == ["ann", "bob"]


async def test_a_lost_last_event_is_found_by_the_next_fetch(fetching: World) -> None:
    await fetching.join("ann")
    await fetching.until(RoomSnapshotted)
    room = fetching.sfus["sfu-1"].rooms[APP, ROOM]
    room.revision += 1
    room.recording = True  # whose event never arrives
    await wait_until(lambda: fetching.of(RoomSnapshotted)[-1].room.recording)


async def test_a_killed_node_is_reported_and_the_room_is_followed_on_another(world: World) -> None:
    await world.join("ann")
    await world.until(RoomSnapshotted)
    del world.servicers["sfu-1:1"]
    world.nodes.remove("sfu-1")
    await world.until(RoomMissing)
    ann = await world.join("ann", "sfu-2", "RM_2")
    (moved,) = await world.until(RoomMoved)
    assert (moved.before.node_id, moved.after) == ("sfu-1", RoomPlace("RM_2", "sfu-2", "sfu-2:1"))
    await wait_until(lambda: world.of(RoomSnapshotted)[-1].place == moved.after)
    assert [one.id for one in world.of(RoomSnapshotted)[-1].participants] == [ann.id]
    bob = await world.join("bob", "sfu-2", "RM_2")
    assert (await world.until(ParticipantJoined))[-1].participant.id == bob.id


async def test_a_move_is_noticed_by_the_events_of_the_new_node(attentive: World) -> None:
    await attentive.join("ann")
    await attentive.until(RoomSnapshotted)
    await attentive.join("ann", "sfu-2", "RM_2")  # the first node is unreachable, but not gone yet
    (moved,) = await attentive.until(RoomMoved)
    assert moved.after.node_id == "sfu-2"


async def test_a_node_that_restarted_has_another_life_of_the_room(fetching: World) -> None:
    await fetching.join("ann")
    await fetching.until(RoomSnapshotted)
    fetching.sfus["sfu-1"].rooms.clear()
    await fetching.until(RoomMissing, len(fetching.of(RoomMissing)) + 1)
    await fetching.join("ann", room_id="RM_2")
    (moved,) = await fetching.until(RoomMoved)
    assert (moved.before.room_id, moved.after.room_id) == ("RM_1", "RM_2")
    assert moved.before.node_id == moved.after.node_id == "sfu-1"


async def test_a_node_that_is_unreachable_for_a_moment_changes_nothing(fetching: World) -> None:
    await fetching.join("ann")
    await fetching.until(RoomSnapshotted)
    missing = len(fetching.of(RoomMissing))
    sfu, silent = fetching.servicers["sfu-1:1"], Silent()
    fetching.servicers["sfu-1:1"] = silent
    await wait_until(lambda: silent.calls > 1)
    fetching.servicers["sfu-1:1"] = sfu
    bob = await fetching.join("bob")
    await wait_until(lambda: fetching.knows(bob.id))
    assert (fetching.of(RoomMoved), len(fetching.of(RoomMissing))) == ([], missing)


async def test_during_an_outage_of_the_broker_the_node_is_asked() -> None:
    bus = MemoryBus()
    world = World(bus)
    await world.start()
    await world.join("ann")
    await world.until(RoomSnapshotted)
    bus.set_connected(False)
    room = world.sfus["sfu-1"].rooms[APP, ROOM]
    room.recording = True
    room.revision += 1
    await wait_until(lambda: world.of(RoomSnapshotted)[-1].room.recording)
    bus.set_connected(True)
    bob = await world.join("bob")
    await wait_until(lambda: world.knows(bob.id))
    assert world.of(RoomMoved) == []
    await world.stop()


async def test_following_can_begin_while_the_broker_is_away() -> None:
    bus = MemoryBus()
    world = World(bus)
    await world.start()
    bus.set_connected(False)
    with pytest.raises(NotConnected):
        await bus.subscribe("any")
    await asyncio.sleep(0.02)  # some attempts fail
    assert world.changes == []
    bus.set_connected(True)
    await world.join("ann")
    await world.until(RoomSnapshotted)
    await world.stop()


async def test_a_reader_that_is_too_slow_gets_a_snapshot() -> None:
    world = World(MemoryBus(), FollowLimits(3_600_000, 3_600_000, 1, held_events=4))
    await world.start()
    await world.join("ann")
    await world.until(RoomSnapshotted)
    reader = cast(Any, world.follower.follow(APP, ROOM))
    assert isinstance(await anext(reader), RoomSnapshotted)
    sfu = world.sfus["sfu-1"]
    room = sfu.rooms[APP, ROOM]
    for number in range(20):
        updated = room_pb2.ParticipantUpdated(participant=media_pb2.Participant(id="PA_1", name=str(number)))
        await sfu.emit(room, "participant-updated", participant_updated=updated)
    await wait_until(lambda: world.changes[-1] != world.changes[0])
    seen = await anext(reader)
    while not isinstance(seen, RoomSnapshotted):
        seen = await anext(reader)
    assert seen.revision == room.revision
    await reader.aclose()
    await world.stop()


async def test_following_can_be_cancelled_at_the_moment_of_an_event() -> None:
    feeds = MemoryRoomFeeds(BareEvent)
    rooms = MemoryRooms()
    patient = FollowLimits(pause_ms=3_600_000, lookup_ms=3_600_000)
    follower = RoomFollower(rooms, feeds, MemorySfu({}), SystemClock(), patient)
    reader = cast(Any, follower.follow(APP, ROOM))
    assert await anext(reader) == RoomMissing()
    waiting = asyncio.ensure_future(anext(reader))
    await asyncio.sleep(0.05)  # it waits for an event
    feeds.emit(room_pb2.RoomEvent(app=APP, room=ROOM, room_id="RM_1"))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting], timeout=10)
    assert waiting.cancelled()


def test_the_delays_of_the_default_limits() -> None:
    async def main(clock: VirtualTimeLoop) -> None:
        world = World(MemoryBus(), FollowLimits(), clock)
        await world.start()

        async def delay_ms(kind: type[RoomChange], cause: Callable[[], Awaitable[object]]) -> int:
            """The time from a cause to the next change of a kind."""
            before, began_ms = len(world.of(kind)), clock.monotonic_ms()
            await cause()
            await world.until(kind, before + 1)
            return clock.monotonic_ms() - began_ms

        async def lose_an_event() -> None:
            world.sfus["sfu-1"].rooms[APP, ROOM].revision += 1

        async def kill() -> None:
            del world.servicers["sfu-1:1"]
            await asyncio.sleep(30)  # unreachable, but not gone
            assert missing == len(world.of(RoomMissing))
            world.nodes.remove("sfu-1")

        assert await delay_ms(RoomSnapshotted, lambda: world.join("ann")) <= 1_100
        seen = len(world.changes)
        await asyncio.sleep(24 * 3600)  # nothing happens, and nothing is reported
        assert len(world.changes) == seen
        world.heartbeat()
        missing = len(world.of(RoomMissing))
        assert await delay_ms(ParticipantJoined, lambda: world.join("bob")) <= 20
        assert await delay_ms(RoomSnapshotted, lose_an_event) <= 12_000
        assert await delay_ms(RoomMissing, kill) <= 30_000 + 2_000
        assert await delay_ms(RoomMoved, lambda: world.join("ann", "sfu-2", "RM_2")) <= 1_100
        await world.stop()

    run_in_virtual_time(main)


# The pure part


def place(room_id: str = "RM_1", node: str = "sfu-1") -> RoomPlace:
    return RoomPlace(room_id, node, f"{node}:1")


def answer(revision: int, room_id: str = "RM_1") -> sfu_pb2.GetRoomResponse:
    return sfu_pb2.GetRoomResponse(room=media_pb2.Room(id=room_id), revision=revision)


def muted(revision: int, room_id: str = "RM_1") -> BareEvent:
    return BareEvent(
        room_pb2.RoomEvent(revision=revision, room_id=room_id, track_muted=room_pb2.TrackMuted())
    )


def test_events_that_were_faster_than_the_answer_are_not_repeated() -> None:
    room = FollowedRoom(10)
    room.fetched(place(), answer(3))
    assert len(room.take(muted(4))) == 1
    room.lose()
    room.take(muted(5))
    # The answer is older than event 4: event 5 follows it.
    assert [type(one).__name__ for one in room.fetched(place(), answer(3))] == ["TrackMuted"]
    assert not room.wants_snapshot


def test_an_answer_that_says_nothing_new_changes_nothing() -> None:
    room = FollowedRoom(10)
    assert len(room.fetched(place(), answer(3))) == 1
    assert room.fetched(place(), answer(3)) == []
    assert [type(one).__name__ for one in room.fetched(place(), answer(4))] == ["RoomSnapshotted"]


def test_a_late_event_of_an_earlier_life_only_leads_to_a_lookup() -> None:
    room = FollowedRoom(10)
    room.fetched(place("RM_2"), answer(3, "RM_2"))
    assert room.take(muted(9, "RM_1")) == []
    assert (room.wants_place, room.wants_snapshot) == (True, False)


# The twin


@dataclass
class ChangesCase:
    changes: RoomChanges
    open: Callable[[], Awaitable[None]]
    mute: Callable[[], Awaitable[None]]
    close: Callable[[], Awaitable[None]]


class TestRoomChanges:
    @pytest.fixture(params=["twin", "follower"])
    async def case(self, request: pytest.FixtureRequest) -> AsyncIterator[ChangesCase]:
        if request.param == "twin":
            twin = MemoryRoomChanges()

            async def begin() -> None:
                room = media_pb2.Room(id="RM_1", name=ROOM)
                twin.emit(APP, ROOM, RoomSnapshotted(place(), room, (), 1))

            async def silence() -> None:
                twin.emit(APP, ROOM, TrackMuted("TR_1", "PA_1", True))

            async def end() -> None:
                twin.emit(APP, ROOM, RoomClosed(media_pb2.DISCONNECT_REASON_ROOM_CLOSED))

            yield ChangesCase(twin, begin, silence, end)
            return
        world = World(MemoryBus())
        await world.start()
        sfu = world.sfus["sfu-1"]

        async def join() -> None:
            await world.join("ann")

        async def mute() -> None:
            event = room_pb2.TrackMuted(track_id="TR_1", participant_id="PA_1", muted=True)
            await sfu.emit(sfu.rooms[APP, ROOM], "track-muted", track_muted=event)

        async def close() -> None:
            await sfu.close_room(sfu.rooms[APP, ROOM])

        yield ChangesCase(world.follower, join, mute, close)
        await world.stop()

    async def test_every_reader_gets_the_changes_in_order(self, case: ChangesCase) -> None:
        readers = [cast(Any, case.changes.follow(APP, ROOM)) for _ in range(2)]
        for reader in readers:
            assert await anext(reader) == RoomMissing()
        await case.open()
        for reader in readers:
            snapshot = await anext(reader)
            assert isinstance(snapshot, RoomSnapshotted)
            assert snapshot.place.room_id == "RM_1"
        await case.mute()
        for reader in readers:
            assert await anext(reader) == TrackMuted("TR_1", "PA_1", True)
        await case.close()
        for reader in readers:
            assert await anext(reader) == RoomClosed(media_pb2.DISCONNECT_REASON_ROOM_CLOSED)
            await reader.aclose()

    async def test_a_later_reader_begins_with_the_room_as_it_is(self, case: ChangesCase) -> None:
        await case.open()
        reader = cast(Any, case.changes.follow(APP, ROOM))
        assert isinstance(await anext(reader), RoomSnapshotted)
        await reader.aclose()
