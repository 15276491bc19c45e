"""aiohttp's WebSocket with two additions: a callback before it closes because of an oversized message, and a
compression parameter that some clients require.

aiohttp refuses an oversized message while reading or inflating it, which limits a deflate bomb, and then
closes the connection. Without the callback, the client would receive the close code (1009) but not the limit.
"""

from collections.abc import Awaitable, Callable

from aiohttp import WSCloseCode, hdrs, web

CLIENT_NO_CONTEXT_TAKEOVER = "client_no_context_takeover"


class RtcWebSocket(web.WebSocketResponse):
    on_too_large: Callable[[], Awaitable[None]] | None = None

    async def close(self, *, code: int = WSCloseCode.OK, message: bytes = b"", drain: bool = True) -> bool:
        if code == WSCloseCode.MESSAGE_TOO_BIG and self.on_too_large is not None:
            report, self.on_too_large = self.on_too_large, None
            await report()
        return await super().close(code=code, message=message, drain=drain)


async def confirm_independent_messages(request: web.Request, response: web.StreamResponse) -> None:
    """Repeats `client_no_context_takeover` in the answer to an offer that has it.

    The server may do so (RFC 7692 section 7.1.1.2) but aiohttp does not, and clients that compress only in
    this way (gorilla/websocket, the most common one in Go) refuse a handshake without it. Such messages are
    inflated like all others; they only never refer to an earlier message. It is a handler for aiohttp's
    `on_response_prepare`.
    """
    agreed = response.headers.get(hdrs.SEC_WEBSOCKET_EXTENSIONS, "")
    offered = request.headers.getall(hdrs.SEC_WEBSOCKET_EXTENSIONS, [])
    words = {word.strip() for header in offered for offer in header.split(",") for word in offer.split(";")}
    if agreed and CLIENT_NO_CONTEXT_TAKEOVER in words:
        response.headers[hdrs.SEC_WEBSOCKET_EXTENSIONS] = f"{agreed}; {CLIENT_NO_CONTEXT_TAKEOVER}"
