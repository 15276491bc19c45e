"""The WebSocket endpoint: checks the handshake, runs a `Connection` for each socket, and keeps track of all
open ones."""

import asyncio
from collections.abc import Iterable

import structlog
from aiohttp import hdrs, web
from google.protobuf import json_format
from nexus.types.v1 import media_pb2
from nexus.types.v1.error_pb2 import ErrorCode
from nexus_rpc import RpcError
from nexus_runtime import Life

from nexus_signaling.codec import CODECS, choose_codec
from nexus_signaling.connection import CLOSE_TIMEOUT_SECONDS, Connection, Services
from nexus_signaling.origins import OriginPolicy
from nexus_signaling.web_socket import RtcWebSocket

log = structlog.get_logger()


class Gateway:
    def __init__(self, services: Services, origins: OriginPolicy, max_connections: int, life: Life) -> None:
        self._services = services
        self._origins = origins
        self._max_connections = max_connections
        self._connections: set[Connection] = set()
        self._life = life

    @property
    def connections(self) -> int:
        return len(self._connections)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """`GET /v1/rtc`."""
        offered = _offered_subprotocols(request.headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, []))
        codec = choose_codec(offered)
        refusal = self._refusal(request, codec is not None)
        if refusal is not None:
            return refusal
        assert codec is not None
        socket = RtcWebSocket(
            protocols=[codec.subprotocol],
            timeout=CLOSE_TIMEOUT_SECONDS,
            autoping=False,
            max_msg_size=self._services.limits.max_message_bytes,
        )
        if not socket.can_prepare(request):
            return _refuse(400, RpcError(ErrorCode.INVALID_MESSAGE, "This endpoint requires a WebSocket."))
        await socket.prepare(request)
        transport = request.transport
        connection = Connection(
            socket, transport.abort if transport is not None else _nothing, codec, self._services
        )
        self._connections.add(connection)
        self._services.metrics.connections.set(len(self._connections))
        if self._life.stopping:
            connection.end(media_pb2.DISCONNECT_REASON_SERVER_SHUTDOWN, "the server shuts down")
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)
            self._services.metrics.connections.set(len(self._connections))
        return socket

    def _refusal(self, request: web.Request, subprotocol_known: bool) -> web.Response | None:
        if not self._origins.permits(request.headers.get(hdrs.ORIGIN), request.host):
            message = "Pages of this origin may not join; see NEXUS_SIGNALING_ORIGINS."
            return self._refuse(403, RpcError(ErrorCode.PERMISSION_DENIED, message))
        if not subprotocol_known:
            supported = ", ".join(CODECS)
            message = "The client must offer a subprotocol that this server supports."
            return self._refuse(
                400, RpcError(ErrorCode.UNSUPPORTED_SUBPROTOCOL, message, details={"supported": supported})
            )
        if self._life.draining or len(self._connections) >= self._max_connections:
            message = "This server accepts no more sessions at the moment."
            return self._refuse(503, RpcError(ErrorCode.SERVICE_UNAVAILABLE, message, retry_after_ms=2000))
        return None

    def _refuse(self, status: int, refused: RpcError) -> web.Response:
        self._services.metrics.handshakes_refused.labels(ErrorCode.Name(refused.code)).inc()
        return _refuse(status, refused)

    def node_gone(self, node_id: str) -> None:
        """Makes sessions on that node check whether their room still exists."""
        for connection in list(self._connections):
            if connection.node_id == node_id:
                connection.events_may_be_missing()

    async def shut_down(self, timeout_ms: int) -> None:
        """Ends all sessions because the service stops, and waits until they are closed."""
        log.info("sessions_ending", connections=len(self._connections))
        for connection in list(self._connections):
            connection.end(media_pb2.DISCONNECT_REASON_SERVER_SHUTDOWN, "the server shuts down")
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                while self._connections:  # noqa: ASYNC110 - a short wait, only at shutdown
                    await asyncio.sleep(0.02)
        except TimeoutError:
            log.warning("sessions_aborted", connections=len(self._connections))


def _offered_subprotocols(headers: Iterable[str]) -> list[str]:
    return [name.strip() for header in headers for name in header.split(",")]


def _refuse(status: int, refused: RpcError) -> web.Response:
    headers = {hdrs.CACHE_CONTROL: "no-store"}
    if refused.retry_after_ms:
        headers[hdrs.RETRY_AFTER] = str(-(-refused.retry_after_ms // 1000))
    body = json_format.MessageToJson(refused.to_wire(fatal=True), indent=None)
    return web.Response(status=status, text=body, content_type="application/json", headers=headers)


def _nothing() -> None:
    """Replaces `abort` when the transport is already closed."""
