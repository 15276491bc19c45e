"""aiohttp's WebSocket with one thing more: a last word before it closes over a message that is too large.

aiohttp refuses such a message while it is being read or inflated, which is what keeps a deflate bomb small,
and then closes by itself; a client would learn the close code (1009) but never the limit.
"""

from collections.abc import Awaitable, Callable

from aiohttp import WSCloseCode, web


class RtcWebSocket(web.WebSocketResponse):
    on_too_large: Callable[[], Awaitable[None]] | None = None

    async def close(self, *, code: int = WSCloseCode.OK, message: bytes = b"", drain: bool = True) -> bool:
        if code == WSCloseCode.MESSAGE_TOO_BIG and self.on_too_large is not None:
            say, self.on_too_large = self.on_too_large, None
            await say()
        return await super().close(code=code, message=message, drain=drain)
