"""`POST /v1/data`: an application's server sends a message to all or some participants of a room, over their
data channels. The token names app and room and needs the grant `admin`; the body is the payload.
"""

from dataclasses import dataclass
from typing import Final

import structlog
from aiohttp import web
from nexus.sfu.v1 import sfu_pb2
from nexus.types.v1.error_pb2 import ErrorCode
from nexus_bus import BusError
from nexus_rooms import Sfu
from nexus_rpc import RpcError
from nexus_runtime import Clock

from nexus_signaling.core.data_budget import DataBudget
from nexus_signaling.core.sfu_requests import permitted
from nexus_signaling.core.texts import is_name, utf8_size
from nexus_signaling.http_answers import NOT_STORED, bearer, refusal
from nexus_signaling.metrics import Metrics
from nexus_signaling.room_directory import RoomDirectory
from nexus_signaling.tokens import Claims, TokenVerifier

log = structlog.get_logger()

# The SFU's limits (docs/reference/data.md), checked here so that signaling reads no more than can be sent.
MAX_PAYLOAD_BYTES: Final = 256 * 1024
MAX_TOPIC_BYTES: Final = 128
MAX_IDENTITIES: Final = 256
_PARAMETERS: Final = frozenset(("topic", "to", "reliable", "ordered"))
_TRUTHS: Final = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class DataEndpoint:
    verifier: TokenVerifier
    rooms: RoomDirectory
    sfu: Sfu
    budget: DataBudget
    metrics: Metrics
    clock: Clock

    async def handle(self, request: web.Request) -> web.Response:
        try:
            await self._send(request)
        except RpcError as refused:
            self.metrics.data_requests.labels(ErrorCode.Name(refused.code)).inc()
            return refusal(refused)
        self.metrics.data_requests.labels("ok").inc()
        return web.Response(status=204, headers=NOT_STORED)

    async def _send(self, request: web.Request) -> None:
        """Raises RpcError."""
        # Checked before the body is read, so that refused requests cost little.
        claims = await self.verifier.verify(bearer(request), app_id="", room=None)
        permitted(claims.grants.admin, "admin")
        self.budget.take_message(claims.app, self.clock.monotonic_ms())
        message = _message(request, claims)
        message.payload = await _payload(request)
        self.budget.take_bytes(claims.app, self.clock.monotonic_ms(), len(message.payload))
        if message.text and not _is_utf8(message.payload):
            raise RpcError(ErrorCode.INVALID_ARGUMENT, "The text is not UTF-8.", details={"field": "payload"})
        try:
            placed = await self.rooms.resolve(claims.app, claims.room, may_create=False)
        except BusError as error:
            raise RpcError(
                ErrorCode.SERVICE_UNAVAILABLE, "Rooms cannot be looked up at the moment.", retry_after_ms=1000
            ) from error
        await self.sfu.send_data(placed.address, message)
        log.info(
            "data_sent",
            app=claims.app,
            room=claims.room,
            by=claims.identity,
            bytes=len(message.payload),
            to=len(message.identities),
        )


def _message(request: web.Request, claims: Claims) -> sfu_pb2.SendDataRequest:
    """The request to the SFU, without the payload."""
    query = request.query
    unknown = next((name for name in query if name not in _PARAMETERS), None)
    if unknown is not None:
        raise _invalid(unknown, "Unknown parameter.")
    topic = query.get("topic", "")
    if (utf8_size(topic) or 0) > MAX_TOPIC_BYTES:
        raise RpcError(
            ErrorCode.INVALID_ARGUMENT,
            "The topic is too long.",
            details={"field": "topic", "limit_bytes": MAX_TOPIC_BYTES},
        )
    identities = query.getall("to", [])
    if len(identities) > MAX_IDENTITIES or not all(is_name(identity) for identity in identities):
        raise _invalid("to", f"`to` allows at most {MAX_IDENTITIES} identities of 1 to 256 bytes each.")
    reliable = _truth(request, "reliable", default=True)
    return sfu_pb2.SendDataRequest(
        room=sfu_pb2.RoomKey(app=claims.app, room=claims.room),
        identities=identities,
        topic=topic,
        text=request.content_type.startswith("text/"),
        lossy=not reliable,
        unordered=not _truth(request, "ordered", default=reliable),
    )


def _truth(request: web.Request, name: str, *, default: bool) -> bool:
    word = request.query.get(name)
    if word is None:
        return default
    if word not in _TRUTHS:
        raise _invalid(name, f"`{name}` must be true or false.")
    return _TRUTHS[word]


async def _payload(request: web.Request) -> bytes:
    payload = bytearray()
    # The received bytes count, not the header's length.
    async for chunk in request.content.iter_any():
        payload += chunk
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise RpcError(
                ErrorCode.DATA_TOO_LARGE, "The message is too large.", details={"limit": MAX_PAYLOAD_BYTES}
            )
    return bytes(payload)


def _is_utf8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


def _invalid(field: str, message: str) -> RpcError:
    return RpcError(ErrorCode.INVALID_ARGUMENT, message, details={"field": field[:64]})
