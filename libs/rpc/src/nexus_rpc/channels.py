"""Calls to other services: one channel per address, a deadline for every unary call, and the translation of a
gRPC status into an `RpcError`."""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Generic, Protocol, TypeVar

import structlog
from grpc import aio
from nexus.types.v1.error_pb2 import ErrorCode

from nexus_rpc import request_id
from nexus_rpc.errors import RpcError, from_call
from nexus_rpc.tls import RpcTls

log = structlog.get_logger()

MAX_CHANNELS: Final = 1024
# Maximum size of an answer. A room of 500 participants at all documented limits takes about 20 MiB.
MAX_MESSAGE_BYTES: Final = 64 << 20

Stub = TypeVar("Stub")
Response = TypeVar("Response")


class CallTimer(Protocol):
    """Called once for each call with its method, its outcome (`OK`, `CANCELLED` or the name of an error
    code), and its duration."""

    def __call__(self, method: str, outcome: str, seconds: float) -> None: ...


class ChannelPool(Generic[Stub]):
    """Channels to the servers of one gRPC service, by address.

    `make_stub` is the generated stub class. A call that no server answers raises `unreachable`.
    """

    def __init__(
        self,
        make_stub: Callable[[aio.Channel], Stub],
        *,
        unreachable: RpcError,
        observe: CallTimer,
        tls: RpcTls | None = None,
    ) -> None:
        self._make_stub = make_stub
        self._unreachable = unreachable
        self._observe = observe
        self._tls = tls or RpcTls()
        self._stubs: dict[str, tuple[aio.Channel, Stub]] = {}

    def stub(self, address: str) -> Stub:
        """The stub for `address` (host:port), whose methods `call` and `stream` take."""
        pooled = self._stubs.pop(address, None)
        if pooled is None:
            channel = self._open(address)
            pooled = (channel, self._make_stub(channel))
        self._stubs[address] = pooled  # the most recently used is last
        if len(self._stubs) > MAX_CHANNELS:
            # The garbage collector closes the channel once its calls have ended.
            self._stubs.pop(next(iter(self._stubs)))
        return pooled[1]

    async def call(
        self,
        method: str,
        rpc: Callable[..., Awaitable[Response]],
        request: object,
        *,
        timeout_ms: int,
    ) -> Response:
        """Sends one request and returns its answer. Raises RpcError."""
        with request_id.bound(request_id.current()) as chosen, self._observed(method):
            metadata = ((request_id.METADATA, chosen),)
            return await rpc(request, timeout=timeout_ms / 1000, metadata=metadata)

    async def stream(
        self, method: str, rpc: Callable[..., Any], request: object
    ) -> AsyncGenerator[Any, None]:
        """Sends one request and yields its answers, without a deadline. Raises RpcError."""
        chosen = request_id.current() or request_id.new()
        with self._observed(method):
            call = rpc(request, metadata=((request_id.METADATA, chosen),))
            try:
                async for response in call:
                    yield response
            finally:
                call.cancel()

    @contextmanager
    def _observed(self, method: str) -> Iterator[None]:
        """Replaces gRPC's error of a failed call by an RpcError, and reports the outcome of the call."""
        started = time.monotonic()
        outcome = "OK"
        try:
            yield
        except aio.AioRpcError as error:
            failure = self._translated(method, error)
            outcome = failure.name
            raise failure from error
        except BaseException:
            outcome = "CANCELLED"
            raise
        finally:
            self._observe(method, outcome, time.monotonic() - started)

    async def close(self) -> None:
        stubs, self._stubs = self._stubs, {}
        for channel, _ in stubs.values():
            await channel.close()

    def _open(self, address: str) -> aio.Channel:
        options: list[tuple[str, Any]] = [
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            # A restarted peer is found within a second, not after gRPC's two minutes.
            ("grpc.max_reconnect_backoff_ms", 1_000),
            # Proxies in the environment are meant for the internet, not for calls between services.
            ("grpc.enable_http_proxy", 0),
            *self._tls.channel_options(),
        ]
        credentials = self._tls.channel_credentials()
        if credentials is None:
            return aio.insecure_channel(address, options=options)
        return aio.secure_channel(address, credentials, options=options)

    def _translated(self, method: str, error: aio.AioRpcError) -> RpcError:
        failure = from_call(error, self._unreachable)
        if failure.code in (ErrorCode.INTERNAL, self._unreachable.code):
            log.warning("call_failed", method=method, status=error.code().name, detail=error.details())
        return failure
