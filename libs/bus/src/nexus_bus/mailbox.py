"""The two queues between the bus and its readers, shared by NATS and the in-memory twin.

`Mailbox` keeps the newest messages and counts those it drops. `Changes` keeps only the newest change of each
key, so it is bounded by the number of keys and never loses a last value. Neither is thread-safe: both belong
to one event loop.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Self

from nexus_bus.bus import Change, Message, Synced, WatchStep

OnClose = Callable[[], Awaitable[None]]


async def _nothing() -> None:
    pass


class Mailbox:
    """A `Subscription`."""

    def __init__(self, max_pending: int, on_close: OnClose = _nothing) -> None:
        if max_pending < 1:
            raise ValueError("a mailbox holds at least one message")
        self._messages: deque[Message] = deque(maxlen=max_pending)
        self._wake = asyncio.Event()
        self._closed = False
        self._on_close = on_close
        self._dropped = 0

    @property
    def dropped(self) -> int:
        return self._dropped

    def deliver(self, message: Message) -> None:
        if self._closed:
            return
        if len(self._messages) == self._messages.maxlen:
            self._dropped += 1  # the deque drops its oldest message
        self._messages.append(message)
        self._wake.set()

    def count_dropped(self) -> None:
        """Counts a message that was lost before it reached this mailbox."""
        self._dropped += 1

    def end(self) -> None:
        """Accepts no more messages; those already queued can still be read."""
        self._closed = True
        self._wake.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        while not self._messages:
            if self._closed:
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        return self._messages.popleft()

    async def close(self) -> None:
        if not self._closed:
            self.end()
            await self._on_close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()


class Changes:
    """A `Watch`. The bus reports a key's state with `observe`, and the end of the initial or a repeated
    listing with `synced`."""

    def __init__(self, on_close: OnClose = _nothing) -> None:
        self._pending: dict[str | None, WatchStep] = {}
        self._known: dict[str, int] = {}
        self._listed: set[str] = set()
        self._listing = False
        self._synced_sent = False
        self._wake = asyncio.Event()
        self._closed = False
        self._on_close = on_close

    def begin_listing(self) -> None:
        """Begins a listing of every key that exists, which `synced` ends. The second and later listings
        follow an outage."""
        self._listing = True
        self._listed.clear()

    def observe(self, key: str, value: bytes | None, revision: int) -> None:
        """Takes a key's newest state. A state that is already known, as in a repeated listing, is skipped.

        A listing with a lower revision than the known one means that the broker lost its storage and counts
        from 1 again. Outside a listing, a lower revision is late and is skipped.
        """
        if self._closed:
            return
        self._listed.add(key)
        known = self._known.get(key, 0)
        if revision == known or (revision < known and not self._listing):
            return
        if value is None:
            was_there = self._known.pop(key, None) is not None
            if not was_there and key not in self._pending:
                return  # the key was deleted before this watch began
        else:
            self._known[key] = revision
        self._queue(key, Change(key, value, revision))

    def synced(self) -> None:
        """Ends a listing. Known keys that it does not contain were deleted during the outage."""
        for key in [key for key in self._known if key not in self._listed]:
            self._queue(key, Change(key, None, self._known.pop(key)))
        self._listing = False
        self._listed.clear()
        if not self._synced_sent:
            self._synced_sent = True
            self._queue(None, Synced())

    def _queue(self, key: str | None, step: WatchStep) -> None:
        # Removed first, so that steps stay in the order of their newest state, and Synced stays after every
        # initial value.
        self._pending.pop(key, None)
        self._pending[key] = step
        self._wake.set()

    def end(self) -> None:
        self._closed = True
        self._wake.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> WatchStep:
        while not self._pending:
            if self._closed:
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        return self._pending.pop(next(iter(self._pending)))

    async def close(self) -> None:
        if not self._closed:
            self.end()
            await self._on_close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()
