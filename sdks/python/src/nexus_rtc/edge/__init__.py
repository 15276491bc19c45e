"""Where the session meets the world: the WebSocket (aiohttp) and the peer connection (aiortc)."""
