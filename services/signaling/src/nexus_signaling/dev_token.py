"""`POST /v1/dev/token`: tokens for the demo page, only in development. In production the app's own server
mints them."""

import json
import secrets
from dataclasses import dataclass
from typing import Any, Final

import jwt
from aiohttp import hdrs, web
from nexus_runtime import Clock

from nexus_signaling.core.texts import is_name
from nexus_signaling.http_answers import cors, preflight
from nexus_signaling.keys import App
from nexus_signaling.origins import OriginPolicy

LIFETIME_SECONDS: Final = 6 * 3600
MAX_BODY_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Fields:
    """The body of a request."""

    room: str
    identity: str
    name: str
    record: bool


class DevTokens:
    """Mints tokens of `app`, which must have a secret."""

    def __init__(self, app: App, origins: OriginPolicy, public_url: str, clock: Clock) -> None:
        self._app = app
        self._origins = origins
        self._public_url = public_url
        self._clock = clock

    async def preflight(self, request: web.Request) -> web.Response:
        return preflight(self._origins, request, "POST", "content-type")

    async def mint(self, request: web.Request) -> web.Response:
        """`{"room", "identity", "name"?, "record"?}` -> `{"token", "app_id"}`. `record` adds that grant."""
        headers = cors(self._origins, request) | {hdrs.CACHE_CONTROL: "no-store"}
        fields = await _read_fields(request)
        if fields is None:
            error = "room and identity must be texts of 1 to 256 bytes, name a text, and record a boolean"
            body = {"error": error}
            return web.json_response(body, status=400, headers=headers)
        token = self._sign(fields, self._url_for(request))
        return web.json_response({"token": token, "app_id": self._app.app_id}, headers=headers)

    def _sign(self, fields: Fields, url: str) -> str:
        now = self._clock.epoch_ms() // 1000
        claims: dict[str, Any] = {
            "iss": self._app.app_id,
            "sub": fields.identity,
            "room": fields.room,
            "iat": now,
            "exp": now + LIFETIME_SECONDS,
            "jti": secrets.token_urlsafe(12),
            "grants": {"create": True, "publish": True, "subscribe": True, "data": True},
        }
        if fields.record:
            claims["grants"]["record"] = True
        if fields.name:
            claims["name"] = fields.name
        if url:
            claims["url"] = url
        assert self._app.secret is not None
        return jwt.encode(claims, self._app.secret, algorithm="HS256")

    def _url_for(self, request: web.Request) -> str:
        """The token's `url`. A page of the server's own origin needs none, and behind a proxy the guess would
        be wrong; a page of another origin needs it."""
        if self._public_url:
            return self._public_url
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None or origin.partition("://")[2] == request.host:
            return ""
        return f"{request.scheme}://{request.host}"


async def _read_fields(request: web.Request) -> Fields | None:
    # A page of another origin cannot send this type without a preflight, which checks its origin.
    if request.content_type != "application/json":
        return None
    body = await request.read()  # bounded by the application's `client_max_size`
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    room, identity, name = fields.get("room"), fields.get("identity"), fields.get("name") or ""
    record = fields.get("record", False)
    if not isinstance(room, str) or not isinstance(identity, str) or not isinstance(name, str):
        return None
    if not isinstance(record, bool):
        return None
    if not is_name(room) or not is_name(identity) or (name and not is_name(name)):
        return None
    return Fields(room, identity, name, record)
