"""aiohttp's WebSocket with two things more: a last word before it closes over a message that is too large,
and a parameter of compression that some clients insist on.

aiohttp refuses such a message while it is being read or inflated, which is what keeps a deflate bomb small,
and then closes by itself; a client would learn the close code (1009) but never the limit.
"""

from collections.abc import Awaitable, Callable

from aiohttp import WSCloseCode, hdrs, web

CLIENT_NO_CONTEXT_TAKEOVER = "client_no_context_takeover"


class RtcWebSocket(web.WebSocketResponse):
    on_too_large: Callable[[], Awaitable[None]] | None = None

    async def close(self, *, code: int = WSCloseCode.OK, message: bytes = b"", drain: bool = True) -> bool:
        if code == WSCloseCode.MESSAGE_TOO_BIG and self.on_too_large is not None:
            say, self.on_too_large = self.on_too_large, None
            await say()
        return await super().close(code=code, message=message, drain=drain)


async def confirm_independent_messages(request: web.Request, response: web.StreamResponse) -> None:
    """Repeats `client_no_context_takeover` in the answer to an offer that has it.

    The server may do so (RFC 7692 section 7.1.1.2), aiohttp does not, and clients that cannot compress in any
    other way (gorilla/websocket, the most common one in Go) refuse a handshake without it. Such messages are
    inflated as all others are: they merely never refer to the message before. A handler for aiohttp's
    `on_response_prepare`.
    """
    agreed = response.headers.get(hdrs.SEC_WEBSOCKET_EXTENSIONS, "")
    offered = request.headers.getall(hdrs.SEC_WEBSOCKET_EXTENSIONS, [])
    words = {word.strip() for header in offered for offer in header.split(",") for word in offer.split(";")}
    if agreed and CLIENT_NO_CONTEXT_TAKEOVER in words:
        response.headers[hdrs.SEC_WEBSOCKET_EXTENSIONS] = f"{agreed}; {CLIENT_NO_CONTEXT_TAKEOVER}"
