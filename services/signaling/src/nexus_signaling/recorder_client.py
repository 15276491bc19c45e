"""Calls to the recorder. Every replica of it answers every call, so one address (of a load balancer or a DNS
name) is enough."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from google.protobuf.message import Message
from nexus.recorder.v1 import recorder_pb2_grpc
from nexus.types.v1.error_pb2 import ErrorCode
from nexus_rpc import ChannelPool, RpcError, RpcTls
from nexus_runtime import MetricSet

RETRY_MS: Final = 2000

Response = TypeVar("Response", bound=Message)


def unreachable() -> RpcError:
    """The error of a call that no recorder answers."""
    return RpcError(ErrorCode.SERVICE_UNAVAILABLE, "The recorder does not answer.", retry_after_ms=RETRY_MS)


class RecorderClient:
    """A recorder over gRPC. `address` is its host:port; empty: there is none, and every call is refused."""

    def __init__(self, metrics: MetricSet, address: str, *, timeout_ms: int, tls: RpcTls | None) -> None:
        self._address = address
        self._timeout_ms = timeout_ms
        self._seconds = metrics.histogram("recorder_call_seconds", "Calls to the recorder.", "method")
        self._errors = metrics.counter(
            "recorder_call_errors", "Calls to the recorder that failed.", "method", "code"
        )
        self._pool = ChannelPool(
            recorder_pb2_grpc.RecorderServiceStub, unreachable=unreachable(), observe=self._observe, tls=tls
        )

    async def call(self, request: Message, response: type[Response]) -> Response:
        """Sends a request to the method that takes its type. Raises RpcError."""
        if not self._address:
            raise RpcError(
                ErrorCode.SERVICE_UNAVAILABLE, "This deployment has no recorder.", retry_after_ms=60_000
            )
        method = request.DESCRIPTOR.name.removesuffix("Request")  # buf lint enforces these names
        rpc: Callable[..., Awaitable[Response]] = getattr(self._pool.stub(self._address), method)
        answered = await self._pool.call(method, rpc, request, timeout_ms=self._timeout_ms)
        assert isinstance(answered, response)
        return answered

    async def close(self) -> None:
        await self._pool.close()

    def _observe(self, method: str, outcome: str, seconds: float) -> None:
        self._seconds.labels(method).observe(seconds)
        if outcome != "OK":
            self._errors.labels(method, outcome).inc()
