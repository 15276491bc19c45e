"""Calls to SFU nodes: which method takes which request, and how long it may take."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from google.protobuf.message import Message
from nexus.sfu.v1 import sfu_pb2, sfu_pb2_grpc
from nexus.types.v1.error_pb2 import ErrorCode
from nexus_rpc import ChannelPool, RpcError, RpcTls

from nexus_signaling.core.sfu_requests import SfuRequest, SfuResponse
from nexus_signaling.metrics import Metrics

UNREACHABLE_RETRY_MS: Final = 1000

Response = TypeVar("Response", bound=Message)


class SfuClient:
    def __init__(
        self,
        metrics: Metrics,
        *,
        timeout_ms: int,
        join_timeout_ms: int,
        tls: RpcTls | None = None,
    ) -> None:
        self._timeout_ms = timeout_ms
        self._join_timeout_ms = join_timeout_ms
        self._pool = ChannelPool(
            sfu_pb2_grpc.SfuServiceStub,
            unreachable=RpcError(
                ErrorCode.SFU_UNREACHABLE,
                "The media server that holds the room does not answer.",
                retry_after_ms=UNREACHABLE_RETRY_MS,
            ),
            observe=metrics.sfu_called,
            tls=tls,
        )

    async def join(self, address: str, request: sfu_pb2.JoinRequest) -> sfu_pb2.JoinResponse:
        """Raises RpcError."""
        rpc = self._pool.stub(address).Join
        return await self._call("Join", rpc, request, self._join_timeout_ms)

    async def get_room(self, address: str, request: sfu_pb2.GetRoomRequest) -> sfu_pb2.GetRoomResponse:
        """Raises RpcError."""
        return await self._call("GetRoom", self._pool.stub(address).GetRoom, request)

    async def leave(self, address: str, request: sfu_pb2.LeaveRequest) -> sfu_pb2.LeaveResponse:
        """Raises RpcError."""
        return await self._call("Leave", self._pool.stub(address).Leave, request)

    async def send_data(self, address: str, request: sfu_pb2.SendDataRequest) -> sfu_pb2.SendDataResponse:
        """Raises RpcError."""
        return await self._call("SendData", self._pool.stub(address).SendData, request)

    async def call(self, address: str, request: SfuRequest) -> SfuResponse:
        """Raises RpcError."""
        stub = self._pool.stub(address)
        match request:
            case sfu_pb2.OfferRequest():
                return await self._call("Offer", stub.Offer, request, self._join_timeout_ms)
            case sfu_pb2.UpdateSlotsRequest():
                return await self._call("UpdateSlots", stub.UpdateSlots, request)
            case sfu_pb2.UpdateSubscriptionsRequest():
                return await self._call("UpdateSubscriptions", stub.UpdateSubscriptions, request)
            case sfu_pb2.UpdateViewRequest():
                return await self._call("UpdateView", stub.UpdateView, request)
            case sfu_pb2.SetMutedRequest():
                return await self._call("SetMuted", stub.SetMuted, request)
            case sfu_pb2.UnpublishRequest():
                return await self._call("Unpublish", stub.Unpublish, request)
            case sfu_pb2.UpdateParticipantRequest():
                return await self._call("UpdateParticipant", stub.UpdateParticipant, request)
            case sfu_pb2.LeaveRequest():
                return await self._call("Leave", stub.Leave, request)

    async def close(self) -> None:
        await self._pool.close()

    async def _call(
        self,
        method: str,
        rpc: Callable[..., Awaitable[Response]],
        request: Message,
        timeout_ms: int | None = None,
    ) -> Response:
        timeout = timeout_ms or self._timeout_ms
        return await self._pool.call(method, rpc, request, timeout_ms=timeout)
