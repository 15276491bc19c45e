"""Requests and answers of signaling's plain HTTP methods: the bearer token, errors as JSON, and CORS."""

from collections.abc import Mapping
from typing import Final

from aiohttp import hdrs, web
from google.protobuf import json_format
from google.protobuf.message import Message
from nexus_rpc import RpcError

from nexus_signaling.errors import http_status
from nexus_signaling.origins import OriginPolicy

NOT_STORED: Final[Mapping[str, str]] = {hdrs.CACHE_CONTROL: "no-store"}


def bearer(request: web.Request) -> str:
    """The bearer token (RFC 6750 section 2.1); empty without one."""
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def refusal(error: RpcError, headers: Mapping[str, str] = NOT_STORED) -> web.Response:
    """The answer to a request that failed: the `Error` as JSON, with the status of its code."""
    given = dict(headers)
    if error.retry_after_ms:
        given[hdrs.RETRY_AFTER] = str(-(-error.retry_after_ms // 1000))
    return web.Response(
        status=http_status(error.code),
        text=json_format.MessageToJson(error.to_wire(), indent=None),
        content_type="application/json",
        headers=given,
    )


def answer(message: Message, headers: Mapping[str, str] = NOT_STORED) -> web.Response:
    """The canonical JSON of a message."""
    text = json_format.MessageToJson(message, indent=None)
    return web.Response(text=text, content_type="application/json", headers=headers)


def cors(origins: OriginPolicy, request: web.Request) -> dict[str, str]:
    """The CORS headers. Raises HTTPForbidden for a page whose origin may not join."""
    origin = request.headers.get(hdrs.ORIGIN)
    if not origins.permits(origin, request.host):
        raise web.HTTPForbidden(text="Pages of this origin may not use this server.")
    return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"} if origin is not None else {}


def preflight(origins: OriginPolicy, request: web.Request, methods: str, headers: str) -> web.Response:
    """The answer to a CORS preflight. Raises HTTPForbidden."""
    allowed = {
        "Access-Control-Allow-Methods": methods,
        "Access-Control-Allow-Headers": headers,
        "Access-Control-Max-Age": "600",
    }
    return web.Response(status=204, headers=cors(origins, request) | allowed)
