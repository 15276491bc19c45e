"""Requests to signaling's plain HTTP methods, for an application's server. They join no room and load no
media stack.
"""

from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import aiohttp
from google.protobuf import json_format
from nexus.types.v1.error_pb2 import Error

from nexus_rtc.errors import ConnectionFailed, from_wire

_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


async def send_request(
    url: str,
    method: str,
    path: str,
    token: str,
    *,
    query: Iterable[tuple[str, str]] = (),
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_seconds: float = 10.0,
) -> str:
    """Sends a request with a bearer token, and returns the body of the answer.

    `url` is the server's address with http(s) or ws(s). Raises NexusError; ValueError for what is no address.
    """
    given = {"Authorization": f"Bearer {token}", **(headers or {})}
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout_seconds)) as http,
            http.request(
                method, address(url, path), params=list(query), data=body, headers=given
            ) as response,
        ):
            text = await response.text()
            if not 200 <= response.status < 300:
                raise from_wire(_error(text))
            return text
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise ConnectionFailed("CONNECTION_FAILED", f"{url}: {error}") from error


def address(url: str, path: str) -> str:
    """The HTTP address of a path of signaling. Raises ValueError for what is no address."""
    parts = urlsplit(url)
    scheme = _SCHEMES.get(parts.scheme)
    if scheme is None or not parts.netloc:
        raise ValueError(f"no server address: {url!r}")
    return urlunsplit((scheme, parts.netloc, parts.path.removesuffix("/v1/rtc").rstrip("/") + path, "", ""))


def _error(body: str) -> Error:
    """Reads the error of an answer, which a proxy in front of signaling may have written."""
    try:
        return json_format.Parse(body, Error())
    except json_format.ParseError:
        return Error(message=body[:200])
