"""The node that holds a room, read from KV `rooms`. Any service may read; only signaling writes."""

from dataclasses import dataclass
from typing import Protocol

import structlog
from google.protobuf.message import DecodeError
from nexus.types.v1 import state_pb2
from nexus.types.v1.error_pb2 import ErrorCode
from nexus_bus import Entry, KeyValue
from nexus_bus.subjects import room_key
from nexus_rpc import RpcError

from nexus_rooms.nodes import Nodes
from nexus_rooms.sfu_client import Sfu, holds_room

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RoomPlace:
    """A room and the node that holds it. `address` is where the node's gRPC listens (host:port)."""

    room_id: str
    node_id: str
    address: str


class Rooms(Protocol):
    """Finds rooms. `RoomLookup` implements it, and `testing.MemoryRooms` is its twin."""

    async def find(self, app: str, room: str) -> RoomPlace | None:
        """Returns None for a room that is not placed, or whose node is gone.

        Raises RpcError SFU_UNREACHABLE while it is unknown whether the node is gone, and BusError when the
        broker is unreachable.
        """
        ...


class RoomLookup:
    """`Rooms` from the broker."""

    def __init__(self, bucket: KeyValue, nodes: Nodes, sfu: Sfu) -> None:
        self._bucket = bucket
        self._nodes = nodes
        self._sfu = sfu

    async def find(self, app: str, room: str) -> RoomPlace | None:
        record = parse_room(await self._bucket.get(room_key(app, room)))
        return None if record is None else await self.place_of(record)

    async def place_of(self, record: state_pb2.RoomRecord) -> RoomPlace | None:
        """Returns None when the node is gone. Raises RpcError SFU_UNREACHABLE.

        A missing heartbeat alone does not prove that a node is gone: after an outage of the broker all
        heartbeats are missing while calls continue. So the node itself is asked, if its address is known.
        """
        node = self._nodes.fresh(record.node_id)
        if node is not None:
            return RoomPlace(record.room.id, record.node_id, node.record.grpc_address)
        last = self._nodes.last_address(record.node_id)
        if last is not None:
            held = await holds_room(self._sfu, last, record.app, record.room.name)
            return RoomPlace(record.room.id, record.node_id, last) if held else None
        if not self._nodes.settled():
            raise RpcError(
                ErrorCode.SFU_UNREACHABLE, "The room's media server is not known yet.", retry_after_ms=1000
            )
        return None


def parse_room(entry: Entry | None) -> state_pb2.RoomRecord | None:
    """Returns None without an entry, and for a malformed one, which is logged."""
    if entry is None:
        return None
    try:
        return state_pb2.RoomRecord.FromString(entry.value)
    except DecodeError:
        log.warning("room_record_malformed", key=entry.key)
        return None
