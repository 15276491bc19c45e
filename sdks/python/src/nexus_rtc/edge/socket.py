"""The WebSocket to signaling, on aiohttp: one message per frame."""

import os
from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import aiohttp
from nexus.signaling.v1.session_pb2 import ClientMessage, ServerMessage

from nexus_rtc.errors import ConnectionFailed
from nexus_rtc.wire import Subprotocol, decode, encode

PATH: Final = "/v1/rtc"
# Maximum size of a message from the server. The state of a full room whose participants use all that the
# documented limits allow takes about 20 MiB in binary, and more in JSON, which escapes characters.
LARGEST_MESSAGE: Final = 64 * 1024 * 1024
_SCHEMES: Final = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


def socket_url(url: str) -> str:
    """The WebSocket's address for an address with http(s) or ws(s), with or without the path. Raises
    ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise ValueError(f"{url!r} is no server address: write http://host:port or wss://host")
    path = parts.path.rstrip("/")
    path = path if path.endswith(PATH) else path + PATH
    return urlunsplit((_SCHEMES[parts.scheme], parts.netloc, path, "", ""))


class Socket:
    """One open WebSocket."""

    def __init__(self, http: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._http = http
        self._socket = socket
        self._subprotocol: Subprotocol = "nexus.v1.json" if socket.protocol == "nexus.v1.json" else "nexus.v1"

    @classmethod
    async def open(cls, url: str, subprotocol: Subprotocol, timeout_seconds: float) -> "Socket":
        """Raises ConnectionFailed."""
        http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout_seconds))
        try:
            socket = await http.ws_connect(
                socket_url(url), protocols=[subprotocol], compress=15, max_msg_size=LARGEST_MESSAGE
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            await http.close()
            raise ConnectionFailed("CONNECTION_FAILED", f"{url}: {_why(error)}") from error
        if socket.protocol != subprotocol:
            await socket.close()
            await http.close()
            raise ConnectionFailed("CONNECTION_FAILED", f"{url} does not speak {subprotocol}")
        return cls(http, socket)

    async def send(self, message: ClientMessage) -> None:
        """Sends a message. Raises ConnectionFailed if the WebSocket is closed."""
        frame = encode(message, self._subprotocol)
        try:
            if isinstance(frame, bytes):
                await self._socket.send_bytes(frame)
            else:
                await self._socket.send_str(frame)
        except (ConnectionError, aiohttp.ClientError) as error:
            raise ConnectionFailed("CONNECTION_FAILED", "the WebSocket is closed") from error

    async def messages(self) -> AsyncIterator[ServerMessage]:
        """Yields messages until the WebSocket closes. Raises ValueError for an invalid message."""
        async for frame in self._socket:
            if frame.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT):
                yield decode(frame.data)
            else:
                return

    @property
    def close_code(self) -> int | None:
        return self._socket.close_code

    async def close(self) -> None:
        await self._socket.close()
        await self._http.close()


def _why(error: aiohttp.ClientError | OSError) -> str:
    if isinstance(error, aiohttp.WSServerHandshakeError):
        return f"HTTP {error.status} instead of a WebSocket"
    if isinstance(error, aiohttp.ClientConnectorError):
        # A failure of all addresses has no text of its own; that of an unknown host has.
        number = error.os_error.errno
        return (
            os.strerror(number)
            if number is not None and number > 0
            else error.os_error.strerror or str(error)
        )
    return str(error) or "no answer in time"
