"""The buffer of a stream reader, shared by NATS and the in-memory twin."""

import asyncio
from collections import deque
from collections.abc import Callable

from nexus_bus.bus import BusError
from nexus_bus.stream_reader import StoredMessage, StreamRecreated


class Arrivals:
    """Messages that wait to be taken, with the errors between them. It belongs to one event loop.

    It does not bound itself: the reader requests no more than fits. Errors are few, because each one follows
    a message or ends the reader.
    """

    def __init__(self, on_arrival: Callable[[], None] | None) -> None:
        self._steps: deque[StoredMessage | BusError] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._on_arrival = on_arrival
        self._end: StreamRecreated | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._steps)

    @property
    def size_bytes(self) -> int:
        return self._bytes

    @property
    def first(self) -> int | None:
        """The sequence of the first message, unless none waits."""
        return next((step.sequence for step in self._steps if isinstance(step, StoredMessage)), None)

    def add(self, message: StoredMessage) -> None:
        self._steps.append(message)
        self._bytes += len(message.payload)
        self._woken()

    def fail(self, error: BusError) -> None:
        """Queues an error, which is raised once. After a StreamRecreated, nothing else is delivered."""
        if isinstance(error, StreamRecreated):
            self._end = error
        else:
            self._steps.append(error)
        self._woken()

    def _woken(self) -> None:
        self._wake.set()
        if self._on_arrival is not None:
            self._on_arrival()

    def take(self, limit: int) -> list[StoredMessage]:
        taken: list[StoredMessage] = []
        while self._steps and len(taken) < limit:
            step = self._steps[0]
            if isinstance(step, BusError):
                if taken:
                    return taken
                self._steps.popleft()
                raise step
            self._steps.popleft()
            self._bytes -= len(step.payload)
            taken.append(step)
        if not taken and limit > 0 and self._end is not None:
            raise self._end
        return taken

    async def wait(self, timeout_seconds: float) -> bool:
        """Returns whether something can be taken, at the latest after the timeout. Once closed, it returns at
        once."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_seconds
        while not self._steps and self._end is None and not self._closed:
            remaining = deadline - loop.time()
            if remaining <= 0:
                return False
            self._wake.clear()
            try:
                # `wait_for` of Python 3.11 would lose a cancellation that comes together with a message.
                async with asyncio.timeout(remaining):
                    await self._wake.wait()
            except TimeoutError:
                continue
        return bool(self._steps) or self._end is not None

    def end(self) -> None:
        self._closed = True
        self._wake.set()
