"""Delivers events to listeners. Each has its own bounded queue and receives an error if it reads too
slowly."""

import asyncio
from typing import Final

from nexus_rtc.events import Event, SessionEnded

MOST_WAITING: Final = 4096


class EventStream:
    """``async for event in room.events():`` ends after `SessionEnded`."""

    def __init__(self) -> None:
        self.lost = 0
        self._queue: asyncio.Queue[Event] = asyncio.Queue()
        self._over = False

    def put(self, event: Event) -> None:
        if self._queue.qsize() >= MOST_WAITING:
            self._queue.get_nowait()
            self.lost += 1
        self._queue.put_nowait(event)

    def __aiter__(self) -> "EventStream":
        return self

    async def __anext__(self) -> Event:
        if self._over:
            raise StopAsyncIteration
        event = await self._queue.get()
        self._over = isinstance(event, SessionEnded)
        return event
