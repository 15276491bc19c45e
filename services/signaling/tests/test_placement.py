"""Placement of rooms: the choice of a node, and concurrent replicas, on the in-memory bus and on NATS."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator

import pytest
from nexus.types.v1 import state_pb2
from nexus.types.v1.error_pb2 import ErrorCode
from nexus_bus import Bus, KeyValue, MemoryBus, NatsBus
from nexus_bus.subjects import room_key
from nexus_rooms import NodeDirectory, NodeView
from nexus_rooms.testing import FakeRoom, FakeSfu, MemorySfu
from nexus_rpc import RpcError
from nexus_signaling.placement import choose_node
from nexus_signaling.room_directory import PlacementRules, RoomDirectory
from nexus_testkit import ManualClock, NatsServer, wait_until

NOW = 1_000_000


def record(node_id: str, cpu: float = 0.0, **fields: object) -> state_pb2.NodeRecord:
    load = state_pb2.NodeLoad(cpu=cpu, participants=int(str(fields.pop("participants", 0))))
    load.max_participants = int(str(fields.pop("max_participants", 0)))
    values = {"node_id": node_id, "grpc_address": f"{node_id}:1", "region": "eu"} | fields
    return state_pb2.NodeRecord(load=load, **values)  # type: ignore[arg-type]  # names are checked by protobuf


def node(
    node_id: str, cpu: float = 0.0, seen_at_ms: int = NOW, placed: int = 0, **fields: object
) -> NodeView:
    return NodeView(record(node_id, cpu, **fields), seen_at_ms, placed)


def choose(*nodes: NodeView, region: str = "eu", excluding: frozenset[str] = frozenset()) -> str | None:
    chosen = choose_node(
        nodes,
        region=region,
        now_ms=NOW,
        timeout_ms=10_000,
        random_source=random.Random(1),
        excluding=excluding,
    )
    return chosen.node_id if chosen else None


def test_the_least_loaded_node_is_chosen() -> None:
    assert choose(node("a", 0.5), node("b", 0.2), node("c", 0.9)) == "b"
    assert choose(node("a", 0.2, participants=9), node("b", 0.21, participants=3)) == "b"
    assert choose() is None


@pytest.mark.parametrize(
    "unfit",
    [
        node("x", draining=True),
        node("x", seen_at_ms=NOW - 10_000),
        node("x", participants=50, max_participants=50),
        node("x", grpc_address=""),
    ],
)
def test_an_unsuitable_node_is_never_chosen(unfit: NodeView) -> None:
    assert choose(unfit) is None
    assert choose(unfit, node("busy", 0.99)) == "busy"


def test_the_own_region_is_preferred_to_others() -> None:
    far = node("far", region="us")
    assert choose(far, node("near", 0.9)) == "near"
    assert choose(far, node("near", draining=True)) == "far"
    assert choose(far, node("near"), excluding=frozenset({"near"})) == "far"


def test_rooms_placed_since_the_heartbeat_count_as_load() -> None:
    assert choose(node("a", 0.10, placed=10), node("b", 0.25)) == "b"


def test_idle_nodes_share_the_rooms() -> None:
    rng = random.Random(7)
    nodes = [node("a"), node("b"), node("c")]
    chosen = {
        view.node_id
        for _ in range(50)
        if (view := choose_node(nodes, region="eu", now_ms=NOW, timeout_ms=10_000, random_source=rng))
    }
    assert chosen == {"a", "b", "c"}


class Replica:
    """One replica's directories on a shared bus."""

    def __init__(self, bucket: KeyValue, clock: ManualClock, seed: int, max_rooms: int = 0) -> None:
        self.nodes = NodeDirectory(clock, 10_000)
        # The nodes that answer, by address.
        self.sfu = MemorySfu({})
        numbers = itertools.count()
        self.rooms = RoomDirectory(
            bucket,
            self.nodes,
            PlacementRules("eu", 10_000, max_rooms),
            clock=clock,
            random_source=random.Random(seed),
            sfu=self.sfu,
            make_room_id=lambda: f"RM_{seed}_{next(numbers)}",
        )


class World:
    """A bus with nodes, and replicas that follow them."""

    def __init__(self, bus: Bus, prefix: str) -> None:
        self.bus = bus
        self.prefix = prefix
        self.clock = ManualClock()
        self.tasks: list[asyncio.Task[None]] = []
        self.node_bucket: KeyValue
        self.room_bucket: KeyValue

    async def open(self) -> None:
        self.node_bucket = await self.bus.kv(f"{self.prefix}nodes")
        self.room_bucket = await self.bus.kv(f"{self.prefix}rooms")

    async def heartbeat(self, *records: state_pb2.NodeRecord) -> None:
        for each in records:
            await self.node_bucket.put(each.node_id, each.SerializeToString())

    async def replica(self, seed: int, nodes: int, max_rooms: int = 0) -> Replica:
        replica = Replica(self.room_bucket, self.clock, seed, max_rooms)
        self.tasks.append(asyncio.create_task(replica.nodes.follow(self.node_bucket)))
        await wait_until(lambda: replica.nodes.fresh_count() == nodes)
        return replica

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


_worlds = itertools.count()


@pytest.fixture(params=["memory", "nats"])
async def world(request: pytest.FixtureRequest, shared_nats_server: NatsServer) -> AsyncIterator[World]:
    bus: Bus = (
        MemoryBus() if request.param == "memory" else await NatsBus.connect(shared_nats_server.url, "test")
    )
    made = World(bus, f"sigtest{next(_worlds)}")
    await made.open()
    yield made
    await made.close()
    await bus.close()


async def test_concurrent_placements_agree_on_one_node(world: World) -> None:
    await world.heartbeat(*(record(name) for name in "abcdef"))
    replicas = [await world.replica(seed, 6) for seed in range(5)]
    placed = await asyncio.gather(*(r.rooms.resolve("app", "lobby", may_create=True) for r in replicas * 4))
    assert len({(p.room_id, p.node_id) for p in placed}) == 1
    assert sum(p.placed_now for p in placed) == 1


async def test_concurrent_moves_agree_on_one_node(world: World) -> None:
    await world.heartbeat(record("dead"))
    first = await world.replica(0, 1)
    old = await first.rooms.resolve("app", "lobby", may_create=True)
    await world.node_bucket.delete("dead")
    await world.heartbeat(*(record(name) for name in "abcdef"))
    replicas = [await world.replica(seed, 6) for seed in range(1, 5)]
    world.clock.advance(6)  # longer than nodes need to return after an outage
    placed = await asyncio.gather(*(r.rooms.resolve("app", "lobby", may_create=True) for r in replicas * 3))
    assert len({(p.room_id, p.node_id) for p in placed}) == 1
    assert placed[0].room_id != old.room_id
    assert placed[0].node_id in "abcdef"


async def test_hostile_names_are_valid_in_keys(world: World) -> None:
    await world.heartbeat(record("a"))
    replica = await world.replica(0, 1)
    names = [">", "*", "a.b", "ü 漢字", " ", "x" * 256]
    ids = [(await replica.rooms.resolve("app", name, may_create=True)).room_id for name in names]
    assert len(set(ids)) == len(names)
    for name, room_id in zip(names, ids, strict=True):
        assert (await replica.rooms.resolve("app", name, may_create=False)).room_id == room_id


async def test_each_app_has_its_own_limit_of_rooms(world: World) -> None:
    await world.heartbeat(record("a"))
    replica = await world.replica(0, 1, max_rooms=2)
    for room in ("one", "two", "one"):
        await replica.rooms.resolve("app", room, may_create=True)
    with pytest.raises(RpcError) as caught:
        await replica.rooms.resolve("app", "three", may_create=True)
    assert caught.value.code == ErrorCode.TOO_MANY_ROOMS
    await replica.rooms.resolve("another", "three", may_create=True)


async def test_an_ended_room_is_forgotten_unless_it_was_placed_again(world: World) -> None:
    await world.heartbeat(record("a"))
    replica = await world.replica(0, 1)
    placed = await replica.rooms.resolve("app", "lobby", may_create=True)
    assert not await replica.rooms.forget("app", "lobby", "RM_of_an_earlier_life")
    assert await replica.rooms.forget("app", "lobby", placed.room_id)
    with pytest.raises(RpcError) as caught:
        await replica.rooms.resolve("app", "lobby", may_create=False)
    assert caught.value.code == ErrorCode.ROOM_NOT_FOUND


@pytest.fixture
async def memory_world() -> AsyncIterator[World]:
    made = World(MemoryBus(), "")
    await made.open()
    yield made
    await made.close()


async def test_without_a_node_placement_has_a_retry_time(memory_world: World) -> None:
    replica = await memory_world.replica(0, 0)
    with pytest.raises(RpcError) as caught:
        await replica.rooms.resolve("app", "lobby", may_create=True)
    assert caught.value.code == ErrorCode.NO_SFU_AVAILABLE
    assert caught.value.retry_after_ms > 0


async def test_a_room_on_a_draining_node_stays_together(memory_world: World) -> None:
    await memory_world.heartbeat(record("a"))
    replica = await memory_world.replica(0, 1)
    await replica.rooms.resolve("app", "lobby", may_create=True)
    await memory_world.heartbeat(record("a", draining=True), record("b", 0.9))
    await wait_until(lambda: replica.nodes.fresh_count() == 2)
    assert (await replica.rooms.resolve("app", "lobby", may_create=True)).node_id == "a"
    assert (await replica.rooms.resolve("app", "new", may_create=True)).node_id == "b"


async def test_a_missing_heartbeat_does_not_split_a_room(memory_world: World) -> None:
    await memory_world.heartbeat(record("a"))
    replica = await memory_world.replica(0, 1)
    placed = await replica.rooms.resolve("app", "lobby", may_create=True)
    await memory_world.node_bucket.delete("a")
    await memory_world.heartbeat(record("b"))
    await wait_until(lambda: replica.nodes.fresh("a") is None and replica.nodes.fresh("b"))
    node = FakeSfu(memory_world.bus)
    node.rooms["app", "lobby"] = FakeRoom("app", "lobby", placed.room_id)
    replica.sfu.servicers["a:1"] = node
    assert await replica.rooms.resolve("app", "lobby", may_create=True) == placed.__class__(
        placed.room_id, "a", "a:1"
    )
    del replica.sfu.servicers["a:1"]
    assert (await replica.rooms.resolve("app", "lobby", may_create=True)).node_id == "b"


async def test_a_new_replica_waits_for_heartbeats(memory_world: World) -> None:
    await memory_world.heartbeat(record("a"))
    first = await memory_world.replica(0, 1)
    await first.rooms.resolve("app", "lobby", may_create=True)
    await memory_world.node_bucket.delete("a")
    await memory_world.heartbeat(record("b"))
    second = await memory_world.replica(1, 1)
    with pytest.raises(RpcError) as caught:
        await second.rooms.resolve("app", "lobby", may_create=True)
    assert caught.value.code == ErrorCode.SFU_UNREACHABLE
    memory_world.clock.advance(5)
    assert (await second.rooms.resolve("app", "lobby", may_create=True)).node_id == "b"


async def test_a_sweep_removes_only_rooms_of_gone_nodes(memory_world: World) -> None:
    await memory_world.heartbeat(record("a"), record("b", draining=True))
    replica = await memory_world.replica(0, 2)
    await replica.rooms.resolve("app", "kept", may_create=True)
    orphan = state_pb2.RoomRecord(app="app", node_id="gone", room=state_pb2.RoomRecord.Room(id="RM_x"))
    await memory_world.room_bucket.put(room_key("app", "orphan"), orphan.SerializeToString())
    await memory_world.room_bucket.put(room_key("app", "broken"), b"\xff")
    memory_world.clock.advance(1)
    assert await replica.rooms.sweep() == 1  # the malformed one; a missing node may still return
    memory_world.clock.advance(5)
    assert await replica.rooms.sweep() == 1
    assert await memory_world.room_bucket.keys() == [room_key("app", "kept")]


async def test_a_malformed_record_is_replaced(memory_world: World) -> None:
    await memory_world.heartbeat(record("a"))
    await memory_world.node_bucket.put("broken", b"\xff")
    replica = await memory_world.replica(0, 1)
    await memory_world.room_bucket.put(room_key("app", "lobby"), b"\xff")
    assert (await replica.rooms.resolve("app", "lobby", may_create=True)).node_id == "a"


async def test_a_silent_node_gets_no_room_before_its_next_heartbeat(
    memory_world: World,
) -> None:
    await memory_world.heartbeat(record("a"))
    replica = await memory_world.replica(0, 1)
    replica.nodes.forget("a")
    with pytest.raises(RpcError):
        await replica.rooms.resolve("app", "lobby", may_create=True)
    await memory_world.heartbeat(record("a", 0.1))
    await wait_until(lambda: replica.nodes.fresh("a"))
    assert (await replica.rooms.resolve("app", "lobby", may_create=True)).node_id == "a"
