"""The I/O of a session: the WebSocket (aiohttp) and the peer connection (aiortc)."""
