"""A gRPC server that serves the standard health service and reflection beside the added services.

Handlers raise `RpcError` and do not deal with statuses or metadata. Every call of an added service is counted
by its outcome, has a request id in its log lines, and never exposes a stack trace to its caller.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import grpc
import structlog
from google.protobuf.descriptor import ServiceDescriptor
from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from nexus_runtime import ClientError

from nexus_rpc import request_id
from nexus_rpc.errors import ERROR_METADATA, RpcError, internal, status_of
from nexus_rpc.tls import RpcTls

log = structlog.get_logger()

Context = aio.ServicerContext[Any, Any]


class CallObserver(Protocol):
    """Called once for each call of an added service, with its method and its outcome: `OK`, `CANCELLED`,
    `ABORTED` or the name of an error code."""

    def __call__(self, method: str, outcome: str) -> None: ...


class RpcServer:
    def __init__(
        self,
        host: str,
        port: int,
        *,
        max_message_bytes: int,
        observe: CallObserver,
        tls: RpcTls | None = None,
    ) -> None:
        """Binds the port; 0 takes a free port, and `self.port` is the port in use. Raises ClientError."""
        self._own_services: set[str] = set()
        options = [("grpc.max_receive_message_length", max_message_bytes), ("grpc.so_reuseport", 0)]
        self._server = aio.server(interceptors=[_Calls(self._own_services, observe)], options=options)
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        credentials = tls.server_credentials() if tls is not None else None
        try:
            if credentials is None:
                self.port = self._server.add_insecure_port(address)
            else:
                self.port = self._server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise ClientError("GRPC_PORT_UNAVAILABLE", f"cannot listen for gRPC on {address}") from error

    def add_service(
        self, descriptor: ServiceDescriptor, add: Callable[[Any, aio.Server], None], servicer: object
    ) -> None:
        """Adds a service. `add` is the generated `add_<Service>Servicer_to_server`. Call it before
        `start`."""
        self._own_services.add(descriptor.full_name)
        add(servicer, self._server)

    def add_method(
        self, descriptor: ServiceDescriptor, name: str, handler: "grpc.RpcMethodHandler[Any, Any]"
    ) -> None:
        """Replaces the generated handler of a method by `handler`. Call it before `start`."""
        self._server.add_registered_method_handlers(descriptor.full_name, {name: handler})

    async def start(self) -> None:
        names = (*sorted(self._own_services), health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)
        await self._server.start()
        await self.set_serving(True)

    async def set_serving(self, serving: bool) -> None:
        """Sets the answer of the health service, for the added services and for the server as a whole."""
        status = health_pb2.HealthCheckResponse
        for name in (*self._own_services, health.OVERALL_HEALTH):
            await self._health.set(name, status.SERVING if serving else status.NOT_SERVING)

    async def close(self, grace_seconds: float = 1.0) -> None:
        """Stops accepting calls, and cancels those that have not ended within the grace period."""
        await self._server.stop(grace_seconds)


class _Calls(aio.ServerInterceptor):
    """Wraps every method of the added services."""

    def __init__(self, own_services: set[str], observe: CallObserver) -> None:
        self._own_services = own_services
        self._observe = observe

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable["grpc.RpcMethodHandler[Any, Any] | None"]
        ],
        details: grpc.HandlerCallDetails,
    ) -> "grpc.RpcMethodHandler[Any, Any] | None":
        handler = await continuation(details)
        service, _, method = details.method.lstrip("/").partition("/")
        if handler is None or service not in self._own_services:
            return handler
        call = _Call(method, request_id.received(details.invocation_metadata), self._observe)
        if handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(
                call.unary(handler.unary_unary),
                request_deserializer=handler.request_deserializer,
                response_serializer=handler.response_serializer,
            )
        if handler.unary_stream is not None:
            return grpc.unary_stream_rpc_method_handler(
                call.stream(handler.unary_stream),
                request_deserializer=handler.request_deserializer,
                response_serializer=handler.response_serializer,
            )
        raise NotImplementedError(f"{method}: methods with streamed requests are not supported")


class _Call:
    """One call in progress."""

    def __init__(self, method: str, id_received: str | None, observe: CallObserver) -> None:
        self._method = method
        self._request_id = id_received
        self._observe = observe
        self._outcome = "OK"
        self._failure: RpcError | None = None

    def unary(self, handler: Callable[..., Any]) -> Callable[[Any, Context], Any]:
        async def answer(request: Any, context: Context) -> Any:
            request_id.bind(self._request_id)  # gRPC runs each call in its own task
            response = None
            with self._outcome_recorded():
                response = await handler(request, context)
            await self._end(context)
            return response

        return answer

    def stream(self, handler: Callable[..., Any]) -> Callable[[Any, Context], AsyncIterator[Any]]:
        async def answer(request: Any, context: Context) -> AsyncIterator[Any]:
            request_id.bind(self._request_id)
            with self._outcome_recorded():
                async for response in handler(request, context):
                    yield response
            await self._end(context)

        return answer

    @contextmanager
    def _outcome_recorded(self) -> Iterator[None]:
        try:
            yield
        except RpcError as error:
            self._outcome, self._failure = error.name, error
        except aio.AbortError:
            self._observe(self._method, "ABORTED")  # the handler called `context.abort`
            raise
        except (asyncio.CancelledError, GeneratorExit):
            self._observe(self._method, "CANCELLED")
            raise
        except Exception:
            log.exception("request_failed", method=self._method)
            self._failure = internal()
            self._outcome = self._failure.name

    async def _end(self, context: Context) -> None:
        """Reports the outcome, and ends a failed call with its status and the error in the metadata."""
        self._observe(self._method, self._outcome)
        if self._failure is not None:
            metadata = ((ERROR_METADATA, self._failure.to_wire().SerializeToString()),)
            await context.abort(status_of(self._failure.code), str(self._failure), metadata)
