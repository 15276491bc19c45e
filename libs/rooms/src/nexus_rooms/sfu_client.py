"""Calls to SFU nodes, with the method and the timeout of each request.

Services use the protocol `Sfu`. `SfuClient` calls over gRPC; `testing.MemorySfu` calls a servicer in the same
process.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final, Protocol, TypeVar

from google.protobuf.message import Message
from nexus.sfu.v1 import sfu_pb2, sfu_pb2_grpc, track_stream_pb2
from nexus.types.v1.error_pb2 import ErrorCode
from nexus_rpc import ChannelPool, RpcError, RpcTls
from nexus_runtime import MetricSet

UNREACHABLE_RETRY_MS: Final = 1000

Response = TypeVar("Response", bound=Message)
ParticipantRequest = (
    sfu_pb2.OfferRequest
    | sfu_pb2.UpdateSlotsRequest
    | sfu_pb2.UpdateSubscriptionsRequest
    | sfu_pb2.UpdateViewRequest
    | sfu_pb2.SetMutedRequest
    | sfu_pb2.UnpublishRequest
    | sfu_pb2.UpdateParticipantRequest
    | sfu_pb2.LeaveRequest
)
ParticipantResponse = (
    sfu_pb2.OfferResponse
    | sfu_pb2.UpdateSlotsResponse
    | sfu_pb2.UpdateSubscriptionsResponse
    | sfu_pb2.UpdateViewResponse
    | sfu_pb2.SetMutedResponse
    | sfu_pb2.UnpublishResponse
    | sfu_pb2.UpdateParticipantResponse
    | sfu_pb2.LeaveResponse
)


def unreachable() -> RpcError:
    """The error of a call that no node answers."""
    return RpcError(
        ErrorCode.SFU_UNREACHABLE,
        "The media server that holds the room does not answer.",
        retry_after_ms=UNREACHABLE_RETRY_MS,
    )


class Sfu(Protocol):
    """The SFU's methods. `address` is the node's host:port. Every method raises RpcError: the node's own
    error, or SFU_UNREACHABLE."""

    async def join(self, address: str, request: sfu_pb2.JoinRequest) -> sfu_pb2.JoinResponse: ...

    async def get_room(self, address: str, request: sfu_pb2.GetRoomRequest) -> sfu_pb2.GetRoomResponse: ...

    async def update_room(
        self, address: str, request: sfu_pb2.UpdateRoomRequest
    ) -> sfu_pb2.UpdateRoomResponse: ...

    async def leave(self, address: str, request: sfu_pb2.LeaveRequest) -> sfu_pb2.LeaveResponse: ...

    async def send_data(self, address: str, request: sfu_pb2.SendDataRequest) -> sfu_pb2.SendDataResponse: ...

    async def call(self, address: str, request: ParticipantRequest) -> ParticipantResponse:
        """Sends a participant's request to the method that takes its type."""
        ...

    async def update_tap(
        self, address: str, request: sfu_pb2.UpdateTapRequest
    ) -> sfu_pb2.UpdateTapResponse: ...

    def stream_track(
        self, address: str, request: sfu_pb2.StreamTrackRequest
    ) -> AsyncGenerator[track_stream_pb2.StreamTrackResponse, None]:
        """Yields the track's packets until the track ends."""
        ...


async def holds_room(sfu: Sfu, address: str, app: str, room: str) -> bool:
    """Whether the node at `address` answers and has the room."""
    try:
        await sfu.get_room(address, sfu_pb2.GetRoomRequest(room=sfu_pb2.RoomKey(app=app, room=room)))
    except RpcError:
        return False
    return True


class SfuClient:
    """An `Sfu` over gRPC. `join_timeout_ms` applies to requests with an SDP offer, `timeout_ms` to all
    others."""

    def __init__(
        self,
        metrics: MetricSet,
        *,
        timeout_ms: int,
        join_timeout_ms: int,
        tls: RpcTls | None = None,
    ) -> None:
        self._timeout_ms = timeout_ms
        self._join_timeout_ms = join_timeout_ms
        self._seconds = metrics.histogram("sfu_call_seconds", "Calls to SFU nodes.", "method")
        self._errors = metrics.counter("sfu_call_errors", "Calls to SFU nodes that failed.", "method", "code")
        self._pool = ChannelPool(
            sfu_pb2_grpc.SfuServiceStub, unreachable=unreachable(), observe=self._observe, tls=tls
        )

    async def join(self, address: str, request: sfu_pb2.JoinRequest) -> sfu_pb2.JoinResponse:
        return await self._call("Join", self._pool.stub(address).Join, request, self._join_timeout_ms)

    async def get_room(self, address: str, request: sfu_pb2.GetRoomRequest) -> sfu_pb2.GetRoomResponse:
        return await self._call("GetRoom", self._pool.stub(address).GetRoom, request)

    async def update_room(
        self, address: str, request: sfu_pb2.UpdateRoomRequest
    ) -> sfu_pb2.UpdateRoomResponse:
        return await self._call("UpdateRoom", self._pool.stub(address).UpdateRoom, request)

    async def leave(self, address: str, request: sfu_pb2.LeaveRequest) -> sfu_pb2.LeaveResponse:
        return await self._call("Leave", self._pool.stub(address).Leave, request)

    async def send_data(self, address: str, request: sfu_pb2.SendDataRequest) -> sfu_pb2.SendDataResponse:
        return await self._call("SendData", self._pool.stub(address).SendData, request)

    async def call(self, address: str, request: ParticipantRequest) -> ParticipantResponse:
        stub = self._pool.stub(address)
        method = method_of(request)
        timeout_ms = self._join_timeout_ms if method == "Offer" else self._timeout_ms
        rpc: Callable[..., Awaitable[ParticipantResponse]] = getattr(stub, method)
        return await self._pool.call(method, rpc, request, timeout_ms=timeout_ms)

    async def update_tap(self, address: str, request: sfu_pb2.UpdateTapRequest) -> sfu_pb2.UpdateTapResponse:
        return await self._call("UpdateTap", self._pool.stub(address).UpdateTap, request)

    def stream_track(
        self, address: str, request: sfu_pb2.StreamTrackRequest
    ) -> AsyncGenerator[track_stream_pb2.StreamTrackResponse, None]:
        return self._pool.stream("StreamTrack", self._pool.stub(address).StreamTrack, request)

    async def close(self) -> None:
        await self._pool.close()

    async def _call(
        self,
        method: str,
        rpc: Callable[..., Awaitable[Response]],
        request: Message,
        timeout_ms: int | None = None,
    ) -> Response:
        return await self._pool.call(method, rpc, request, timeout_ms=timeout_ms or self._timeout_ms)

    def _observe(self, method: str, outcome: str, seconds: float) -> None:
        self._seconds.labels(method).observe(seconds)
        if outcome != "OK":
            self._errors.labels(method, outcome).inc()


def method_of(request: Message) -> str:
    """The method that takes a request: `Offer` takes `OfferRequest`. buf lint enforces these names."""
    return request.DESCRIPTOR.name.removesuffix("Request")
