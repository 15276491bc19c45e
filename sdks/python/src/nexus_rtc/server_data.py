"""Sends data to a room from an application's server: `POST /v1/data` (docs/reference/data.md). It joins no
room and loads no media stack.
"""

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import aiohttp
from google.protobuf import json_format
from nexus.types.v1.error_pb2 import Error

from nexus_rtc.data_envelope import MAX_PAYLOAD_BYTES
from nexus_rtc.errors import ConnectionFailed, LimitReached, from_wire

PATH: Final = "/v1/data"
_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


async def send_data(
    url: str,
    token: str,
    payload: bytes | str,
    *,
    topic: str = "",
    to: Iterable[str] = (),
    reliable: bool = True,
    ordered: bool | None = None,
    timeout_seconds: float = 10.0,
) -> None:
    """Sends a message to all participants in the token's room, or to some identities, as the server.

    `token` needs the grant `admin`. `payload` has at most 256 KiB; a str is received as text. `ordered` is as
    `reliable` unless said otherwise. Returns when the SFU has it. Raises NexusError; ValueError for what is
    no address.
    """
    content = payload.encode() if isinstance(payload, str) else payload
    if len(content) > MAX_PAYLOAD_BYTES:
        raise LimitReached("DATA_TOO_LARGE", f"a message has {MAX_PAYLOAD_BYTES} bytes at most")
    query = [("topic", topic)] if topic else []
    query += [("to", identity) for identity in to]
    query += [("reliable", "true" if reliable else "false")]
    query += [] if ordered is None else [("ordered", "true" if ordered else "false")]
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "text/plain; charset=utf-8"
        if isinstance(payload, str)
        else "application/octet-stream",
    }
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout_seconds)) as http,
            http.post(_address(url), params=query, data=content, headers=headers) as response,
        ):
            if response.status != 204:
                raise from_wire(_error(await response.text()))
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise ConnectionFailed("CONNECTION_FAILED", f"{url}: {error}") from error


def _address(url: str) -> str:
    """The HTTP address of signaling for an address with http(s) or ws(s)."""
    parts = urlsplit(url)
    scheme = _SCHEMES.get(parts.scheme)
    if scheme is None or not parts.netloc:
        raise ValueError(f"no server address: {url!r}")
    return urlunsplit((scheme, parts.netloc, parts.path.removesuffix("/v1/rtc").rstrip("/") + PATH, "", ""))


def _error(body: str) -> Error:
    """Reads the error of a response, which a proxy in front of signaling may have written."""
    try:
        return json_format.Parse(body, Error())
    except json_format.ParseError:
        return Error(message=body[:200])
