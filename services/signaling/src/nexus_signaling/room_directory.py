"""Places rooms and keeps their records in KV `rooms`. Compare-and-set ensures that of two replicas that place
a room at the same time, one succeeds and the other uses its result."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

import structlog
from nexus.types.v1 import state_pb2
from nexus.types.v1.error_pb2 import ErrorCode
from nexus_bus import Entry, KeyExists, KeyValue, RevisionMismatch
from nexus_bus.subjects import room_key, token
from nexus_rooms import NodeDirectory, NodeView, RoomLookup, Sfu, parse_room
from nexus_rpc import RpcError
from nexus_runtime import Clock

from nexus_signaling.placement import choose_node

log = structlog.get_logger()

# Maximum number of lost races: each means that another replica succeeded, but ten in a row mean a defect.
_MAX_RACES: Final = 10
NO_SFU_RETRY_MS: Final = 2000
FIRST_LOOK_MS: Final = 2_000


@dataclass(frozen=True, slots=True)
class PlacedRoom:
    room_id: str
    node_id: str
    address: str
    # Whether this call placed the room, so that no participant can have joined it yet.
    placed_now: bool = False


@dataclass(frozen=True, slots=True)
class PlacementRules:
    region: str
    node_timeout_ms: int
    max_rooms_per_app: int


def new_room_id() -> str:
    return f"RM_{secrets.token_urlsafe(12)}"


class RoomDirectory:
    def __init__(
        self,
        bucket: KeyValue,
        nodes: NodeDirectory,
        rules: PlacementRules,
        *,
        clock: Clock,
        random_source: Random,
        sfu: Sfu,
        make_room_id: Callable[[], str] = new_room_id,
    ) -> None:
        self._bucket = bucket
        self._nodes = nodes
        self._rules = rules
        self._clock = clock
        self._random = random_source
        self._lookup = RoomLookup(bucket, nodes, sfu)
        self._make_room_id = make_room_id

    async def resolve(
        self, app: str, room: str, *, may_create: bool, not_on: frozenset[str] = frozenset()
    ) -> PlacedRoom:
        """Returns the node that holds the room. A room without a node, or on one that is gone or in `not_on`,
        is placed if `may_create`.

        Raises RpcError ROOM_NOT_FOUND, TOO_MANY_ROOMS, NO_SFU_AVAILABLE, SFU_UNREACHABLE or
        SERVICE_UNAVAILABLE, and BusError if the broker is unreachable.
        """
        key = room_key(app, room)
        for _ in range(_MAX_RACES):
            entry = await self._bucket.get(key)
            record = parse_room(entry)
            if record is not None and record.node_id not in not_on:
                place = await self._lookup.place_of(record)
                if place is not None:
                    return PlacedRoom(place.room_id, place.node_id, place.address)
            if not may_create:
                raise RpcError(
                    ErrorCode.ROOM_NOT_FOUND, "There is no such room, and the token does not grant `create`."
                )
            # A replica that has just started does not know the nodes yet.
            await self._nodes.wait_until_known(FIRST_LOOK_MS)
            chosen = self._choose(not_on)
            placed = await self._write(app, room, chosen, entry)
            if placed is not None:
                return placed
        raise RpcError(ErrorCode.SERVICE_UNAVAILABLE, "The room could not be placed.", retry_after_ms=1000)

    def _choose(self, not_on: frozenset[str]) -> NodeView:
        chosen = choose_node(
            self._nodes.all(),
            region=self._rules.region,
            now_ms=self._clock.monotonic_ms(),
            timeout_ms=self._rules.node_timeout_ms,
            random_source=self._random,
            excluding=not_on,
        )
        if chosen is None:
            raise RpcError(
                ErrorCode.NO_SFU_AVAILABLE,
                "No media server can take the room at the moment.",
                retry_after_ms=NO_SFU_RETRY_MS,
            )
        return chosen

    async def _write(self, app: str, room: str, node: NodeView, entry: Entry | None) -> PlacedRoom | None:
        """Writes the room's record. Returns None if another replica was faster."""
        key = room_key(app, room)
        record = state_pb2.RoomRecord(app=app, node_id=node.node_id)
        record.room.id = self._make_room_id()
        record.room.name = room
        record.room.created_at_ms = self._clock.epoch_ms()
        try:
            if entry is None:
                await self._check_room_count(app)
                await self._bucket.create(key, record.SerializeToString())
            else:
                await self._bucket.update(key, record.SerializeToString(), entry.revision)
        except (KeyExists, RevisionMismatch):
            return None
        self._nodes.note_placed(node.node_id)
        log.info(
            "room_placed",
            app=app,
            room=room,
            room_id=record.room.id,
            node=node.node_id,
            moved=entry is not None,
        )
        return PlacedRoom(record.room.id, node.node_id, node.record.grpc_address, placed_now=True)

    async def _check_room_count(self, app: str) -> None:
        # The broker has to list the app's keys, which is acceptable because rooms are created far less often
        # than joined.
        limit = self._rules.max_rooms_per_app
        if limit and len(await self._bucket.keys(f"{token(app)}.*")) >= limit:
            raise RpcError(
                ErrorCode.TOO_MANY_ROOMS,
                "The app has reached its limit of rooms.",
                details={"limit": limit},
            )

    async def forget(self, app: str, room: str, room_id: str) -> bool:
        """Deletes the room's record if it still has this id; returns whether it did."""
        key = room_key(app, room)
        entry = await self._bucket.get(key)
        record = parse_room(entry)
        if entry is None or (record is not None and record.room.id != room_id):
            return False
        try:
            await self._bucket.delete(key, entry.revision)
        except RevisionMismatch:
            return False
        return True

    async def sweep(self) -> int:
        """Deletes records of rooms whose node is gone and which were not placed again; returns their
        number."""
        swept = 0
        for key in await self._bucket.keys():
            entry = await self._bucket.get(key)
            record = parse_room(entry)
            if entry is None or (record is not None and not self._nodes.is_gone(record.node_id)):
                continue
            try:
                await self._bucket.delete(key, entry.revision)
            except RevisionMismatch:
                continue
            swept += 1
        return swept
