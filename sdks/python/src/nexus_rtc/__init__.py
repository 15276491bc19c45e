"""A small Python client: joins a room as any browser would, on aiortc."""
