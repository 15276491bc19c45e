"""In-memory twins of `NodeDirectory`, `RoomLookup`, `RoomFeeds`, `RoomFollower` and `SfuClient`."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message
from nexus.events.v1 import room_pb2
from nexus.sfu.v1 import sfu_pb2, sfu_pb2_grpc, track_stream_pb2
from nexus.types.v1 import state_pb2
from nexus.types.v1.error_pb2 import ErrorCode
from nexus_rpc import RpcError
from nexus_runtime import Clock

from nexus_rooms.feed_cursor import HasEvent
from nexus_rooms.nodes import GoneListener, NodeView, is_fresh
from nexus_rooms.room_changes import RoomChange, RoomClosed, RoomMissing, RoomSnapshotted
from nexus_rooms.room_feeds import Member, RoomName
from nexus_rooms.room_lookup import RoomPlace
from nexus_rooms.sfu_client import ParticipantRequest, ParticipantResponse, method_of, unreachable

E = TypeVar("E", bound=HasEvent)
M = TypeVar("M", bound=Message)


class MemoryNodes:
    """`Nodes` that a test adds. The list counts as read from the beginning."""

    def __init__(self, clock: Clock, timeout_ms: int) -> None:
        self._clock = clock
        self._timeout_ms = timeout_ms
        self._nodes: dict[str, NodeView] = {}
        self._last_addresses: dict[str, str] = {}
        self._on_gone: GoneListener | None = None

    def heartbeat(self, record: state_pb2.NodeRecord) -> None:
        self._nodes[record.node_id] = NodeView(record, self._clock.monotonic_ms())
        self._last_addresses[record.node_id] = record.grpc_address

    def remove(self, node_id: str) -> None:
        if self._nodes.pop(node_id, None) is not None and self._on_gone is not None:
            self._on_gone(node_id)

    def all(self) -> Iterable[NodeView]:
        return self._nodes.values()

    def fresh(self, node_id: str) -> NodeView | None:
        node = self._nodes.get(node_id)
        fresh = node is not None and is_fresh(node, self._clock.monotonic_ms(), self._timeout_ms)
        return node if fresh else None

    def is_gone(self, node_id: str) -> bool:
        return node_id not in self._nodes

    def last_address(self, node_id: str) -> str | None:
        return self._last_addresses.get(node_id)

    def settled(self) -> bool:
        return True

    async def wait_until_known(self, timeout_ms: int) -> bool:
        return True

    def on_gone(self, listener: GoneListener) -> None:
        self._on_gone = listener


class MemoryRooms:
    """`Rooms` that a test places. While `unknown`, it is not known whether their nodes are gone."""

    def __init__(self) -> None:
        self.places: dict[RoomName, RoomPlace] = {}
        self.unknown = False

    async def find(self, app: str, room: str) -> RoomPlace | None:
        if self.unknown:
            raise RpcError(ErrorCode.SFU_UNREACHABLE, "no node is known yet", retry_after_ms=1000)
        return self.places.get((app, room))


class MemoryRoomFeeds(Generic[E]):
    """`Feeds` that a test fills."""

    def __init__(self, carry: Callable[[room_pb2.RoomEvent], E]) -> None:
        self._carry = carry
        self._members: dict[RoomName, dict[Member[E], None]] = {}

    async def enter(self, app: str, room: str, member: Member[E]) -> None:
        self._members.setdefault((app, room), {})[member] = None

    def exit(self, app: str, room: str, member: Member[E]) -> None:
        self._members.get((app, room), {}).pop(member, None)

    def emit(self, event: room_pb2.RoomEvent) -> None:
        carried = self._carry(event)
        for member in list(self._members.get((event.app, event.room), ())):
            member.deliver(carried)

    def lose(self) -> None:
        """Notifies all readers that events may be missing, as after an outage of the broker."""
        for members in list(self._members.values()):
            for member in list(members):
                member.events_may_be_missing()


class MemoryRoomChanges:
    """`RoomChanges` that a test emits. A later reader begins with the last `RoomSnapshotted` or with
    `RoomMissing`."""

    def __init__(self) -> None:
        self._last: dict[RoomName, RoomSnapshotted] = {}
        self._readers: dict[RoomName, list[asyncio.Queue[RoomChange]]] = {}

    def emit(self, app: str, room: str, change: RoomChange) -> None:
        if isinstance(change, RoomSnapshotted):
            self._last[app, room] = change
        elif isinstance(change, RoomClosed | RoomMissing):
            self._last.pop((app, room), None)
        for reader in self._readers.get((app, room), ()):
            reader.put_nowait(change)

    async def follow(self, app: str, room: str) -> AsyncGenerator[RoomChange, None]:
        queue: asyncio.Queue[RoomChange] = asyncio.Queue()
        queue.put_nowait(self._last.get((app, room), RoomMissing()))
        readers = self._readers.setdefault((app, room), [])
        readers.append(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            readers.remove(queue)


class MemorySfu:
    """An `Sfu` that calls servicers in this process, by address. Messages are copied, as on the wire."""

    def __init__(self, servicers: dict[str, sfu_pb2_grpc.SfuServiceServicer]) -> None:
        self.servicers = servicers

    async def join(self, address: str, request: sfu_pb2.JoinRequest) -> sfu_pb2.JoinResponse:
        return await self._answer(address, "Join", request, sfu_pb2.JoinResponse)

    async def get_room(self, address: str, request: sfu_pb2.GetRoomRequest) -> sfu_pb2.GetRoomResponse:
        return await self._answer(address, "GetRoom", request, sfu_pb2.GetRoomResponse)

    async def update_room(
        self, address: str, request: sfu_pb2.UpdateRoomRequest
    ) -> sfu_pb2.UpdateRoomResponse:
        return await self._answer(address, "UpdateRoom", request, sfu_pb2.UpdateRoomResponse)

    async def leave(self, address: str, request: sfu_pb2.LeaveRequest) -> sfu_pb2.LeaveResponse:
        return await self._answer(address, "Leave", request, sfu_pb2.LeaveResponse)

    async def send_data(self, address: str, request: sfu_pb2.SendDataRequest) -> sfu_pb2.SendDataResponse:
        return await self._answer(address, "SendData", request, sfu_pb2.SendDataResponse)

    async def call(self, address: str, request: ParticipantRequest) -> ParticipantResponse:
        response: Any = await self._answer(address, method_of(request), request, Message)
        answer: ParticipantResponse = response
        return answer

    async def update_tap(self, address: str, request: sfu_pb2.UpdateTapRequest) -> sfu_pb2.UpdateTapResponse:
        return await self._answer(address, "UpdateTap", request, sfu_pb2.UpdateTapResponse)

    async def stream_track(
        self, address: str, request: sfu_pb2.StreamTrackRequest
    ) -> AsyncGenerator[track_stream_pb2.StreamTrackResponse, None]:
        async for response in self._method(address, "StreamTrack")(_copied(request), None):
            yield _copied(response)

    async def _answer(self, address: str, name: str, request: Message, kind: type[M]) -> M:
        response = await self._method(address, name)(_copied(request), None)
        assert isinstance(response, kind)
        return _copied(response)

    def _method(self, address: str, name: str) -> Callable[..., Any]:
        servicer = self.servicers.get(address)
        if servicer is None:
            raise unreachable()
        method: Callable[..., Any] = getattr(servicer, name)
        return method


def _copied(message: M) -> M:
    return type(message).FromString(message.SerializeToString())
