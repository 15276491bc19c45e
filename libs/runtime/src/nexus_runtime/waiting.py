"""Waits for an event, at most for a time."""

import asyncio
from contextlib import suppress


async def is_set_within(event: asyncio.Event, seconds: float) -> bool:
    """Whether the event is set, at the latest after this time. `asyncio.wait_for` of Python 3.11 would lose a
    cancellation that comes together with the event."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()
