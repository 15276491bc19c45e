"""Waits until calls are possible: signaling is ready, and the broker has an SFU node that accepts rooms. If
there is a recorder, it must answer too."""

import asyncio
from typing import Final

import aiohttp

from nexus_cli.dev.supervisor import Environment, NeverReady
from nexus_cli.known_nodes import broker, known_nodes

POLL_SECONDS: Final = 0.05


async def wait_until_ready(
    url: str,
    environment: Environment,
    *,
    started_at: float,
    timeout_seconds: float,
    recorder_port: int | None = None,
) -> None:
    """Returns when calls are possible. `started_at` is in seconds since the Unix epoch; older heartbeats do
    not count. Raises NeverReady, which names the missing part."""
    missing = f"signaling ({url}/readyz)"
    try:
        async with asyncio.timeout(timeout_seconds):
            await _signaling(url)
            missing = "an SFU node in the bucket `nodes`"
            await _node(environment["NEXUS_NATS_URL"], started_at * 1000)
            if recorder_port is not None:
                missing = f"the recorder (port {recorder_port})"
                await _listener(recorder_port)
    except TimeoutError:
        raise NeverReady(f"waited {timeout_seconds:g} s for {missing}") from None


async def _signaling(url: str) -> None:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as http:
        while True:
            try:
                async with http.get(f"{url}/readyz") as response:
                    if response.status == 200:
                        return
            except (aiohttp.ClientError, TimeoutError, OSError):
                pass
            await asyncio.sleep(POLL_SECONDS)


async def _listener(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(POLL_SECONDS)
            continue
        writer.close()
        return


async def _node(nats_url: str, since_ms: float) -> None:
    async with broker(nats_url) as stream:
        while True:
            nodes = await known_nodes(stream)
            if any(not node.draining and node.heartbeat_at_ms >= since_ms for node in nodes):
                return
            await asyncio.sleep(POLL_SECONDS)
