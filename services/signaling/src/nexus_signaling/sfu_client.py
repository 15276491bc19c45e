"""Calls to SFU nodes over gRPC: one channel per node address, a deadline for every call, and one place where
a gRPC status becomes an error that a client can be shown."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import grpc
import structlog
from google.protobuf.message import DecodeError, Message
from nexus.sfu.v1 import sfu_pb2, sfu_pb2_grpc
from nexus.types.v1 import error_pb2
from nexus.types.v1.error_pb2 import ErrorCode

from nexus_signaling.core.sfu_requests import SfuRequest, SfuResponse
from nexus_signaling.errors import Refused, internal
from nexus_signaling.metrics import Metrics

log = structlog.get_logger()

ERROR_METADATA: Final = "nexus-error-bin"
UNREACHABLE_RETRY_MS: Final = 1000
MAX_CHANNELS: Final = 1024
# A room of 500 participants with all that the documented limits allow takes about 20 MiB.
MAX_MESSAGE_BYTES: Final = 64 << 20

Response = TypeVar("Response", bound=Message)


class SfuClient:
    def __init__(self, metrics: Metrics, *, timeout_seconds: float, join_timeout_seconds: float) -> None:
        self._metrics = metrics
        self._timeout_seconds = timeout_seconds
        self._join_timeout_seconds = join_timeout_seconds
        self._channels: dict[str, grpc.aio.Channel] = {}

    async def join(self, address: str, request: sfu_pb2.JoinRequest) -> sfu_pb2.JoinResponse:
        """Raises Refused."""
        return await self._call("Join", self._stub(address).Join, request, self._join_timeout_seconds)

    async def get_room(self, address: str, request: sfu_pb2.GetRoomRequest) -> sfu_pb2.GetRoomResponse:
        """Raises Refused."""
        return await self._call("GetRoom", self._stub(address).GetRoom, request)

    async def leave(self, address: str, request: sfu_pb2.LeaveRequest) -> sfu_pb2.LeaveResponse:
        """Raises Refused."""
        return await self._call("Leave", self._stub(address).Leave, request)

    async def send_data(self, address: str, request: sfu_pb2.SendDataRequest) -> sfu_pb2.SendDataResponse:
        """Raises Refused."""
        return await self._call("SendData", self._stub(address).SendData, request)

    async def call(self, address: str, request: SfuRequest) -> SfuResponse:
        """Raises Refused."""
        stub = self._stub(address)
        match request:
            case sfu_pb2.OfferRequest():
                return await self._call("Offer", stub.Offer, request, self._join_timeout_seconds)
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
        channels, self._channels = self._channels, {}
        for channel in channels.values():
            await channel.close()

    def _stub(self, address: str) -> sfu_pb2_grpc.SfuServiceStub:
        channel = self._channels.pop(address, None)
        if channel is None:
            options = [
                ("grpc.keepalive_time_ms", 30_000),
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                # A node that comes back is found within a second, not after gRPC's two minutes.
                ("grpc.max_reconnect_backoff_ms", 1_000),
                # Proxies of the environment are for the internet, not for our own nodes.
                ("grpc.enable_http_proxy", 0),
            ]
            channel = grpc.aio.insecure_channel(address, options=options)
        self._channels[address] = channel  # the most recently used stands last
        if len(self._channels) > MAX_CHANNELS:
            # Left to the garbage collector, which closes it once the calls on it are over.
            self._channels.pop(next(iter(self._channels)))
        return sfu_pb2_grpc.SfuServiceStub(channel)

    async def _call(
        self,
        method: str,
        rpc: Callable[..., Awaitable[Response]],
        request: Message,
        timeout_seconds: float | None = None,
    ) -> Response:
        with self._metrics.sfu_seconds.labels(method).time():
            try:
                return await rpc(request, timeout=timeout_seconds or self._timeout_seconds)
            except grpc.aio.AioRpcError as error:
                refused = _refused(error)
                self._metrics.sfu_errors.labels(method, ErrorCode.Name(refused.code)).inc()
                if refused.code in (ErrorCode.INTERNAL, ErrorCode.SFU_UNREACHABLE):
                    log.warning(
                        "sfu_call_failed", method=method, status=error.code().name, detail=error.details()
                    )
                raise refused from error


def _refused(error: grpc.aio.AioRpcError) -> Refused:
    for name, value in error.trailing_metadata() or ():
        if name == ERROR_METADATA and isinstance(value, bytes):
            try:
                return Refused.from_wire(error_pb2.Error.FromString(value))
            except DecodeError:
                return internal()
    if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        return Refused(
            ErrorCode.SFU_UNREACHABLE,
            "The media server that holds the room does not answer.",
            retry_after_ms=UNREACHABLE_RETRY_MS,
        )
    return internal()
