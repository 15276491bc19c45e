"""A reader of a stream in memory, the twin of `NatsStreamReader`. It knows exactly what was dropped
unread."""

from collections.abc import Callable
from typing import Self

from nexus_bus.arrivals import Arrivals
from nexus_bus.bus import StreamMissing
from nexus_bus.matching import matches
from nexus_bus.memory_stream import Stream
from nexus_bus.stream_reader import MessagesDropped, StoredMessage, StreamRecreated


class MemoryStreamReader:
    """A `StreamReader`. `find` returns the stream that now has the name, if there is one."""

    def __init__(
        self,
        find: Callable[[], Stream | None],
        stream: Stream,
        pattern: str,
        from_sequence: int,
        max_pending: int,
        on_arrival: Callable[[], None] | None,
        connected: Callable[[], bool],
    ) -> None:
        self._find = find
        self._stream = stream
        self._pattern = pattern
        self._max_pending = max_pending
        self._connected = connected
        self._arrivals = Arrivals(on_arrival)
        self._next = max(1, from_sequence)
        self._dropped: tuple[int, int] | None = None
        self._ended = False
        oldest = stream.bounds(">").oldest
        if self._next > stream.next_sequence:
            raise StreamRecreated(stream.spec.name)
        if from_sequence > 1 and oldest > self._next and stream.spec.max_messages_per_subject is None:
            self._dropped = (self._next, oldest - 1)
        stream.readers.append(self)
        self.stored()

    @property
    def position(self) -> int:
        first = self._arrivals.first
        return self._next if first is None else first

    @property
    def identity(self) -> str:
        return self._stream.identity

    def stored(self) -> None:
        """Receives what the stream has, as far as there is room and a connection."""
        if self._ended or not self._connected():
            return
        current = self._find()
        if current is not None and current is not self._stream:
            self._ended = True
            self._arrivals.fail(StreamRecreated(self._stream.spec.name))
            return
        while self._next < self._stream.next_sequence and len(self._arrivals) < self._max_pending:
            message = self._stream.message(self._next)
            if message is not None and matches(self._pattern, message.subject):
                if self._dropped is not None:
                    self._arrivals.fail(MessagesDropped(self._stream.spec.name, *self._dropped))
                    self._dropped = None
                self._arrivals.add(message)
            self._next += 1
        if self._dropped is not None and self._next == self._stream.next_sequence:
            self._arrivals.fail(MessagesDropped(self._stream.spec.name, *self._dropped))
            self._dropped = None

    def dropped(self, message: StoredMessage) -> None:
        if message.sequence >= self._next and matches(self._pattern, message.subject):
            first = message.sequence if self._dropped is None else self._dropped[0]
            self._dropped = (first, message.sequence)

    def deleted(self) -> None:
        self._arrivals.fail(StreamMissing(self._stream.spec.name))

    def take(self, limit: int = 256) -> list[StoredMessage]:
        try:
            return self._arrivals.take(limit)
        finally:
            self.stored()

    async def read(self, limit: int = 256, timeout_seconds: float = 1.0) -> list[StoredMessage]:
        self.stored()
        await self._arrivals.wait(timeout_seconds)
        return self.take(limit)

    async def close(self) -> None:
        self._ended = True
        if self in self._stream.readers:
            self._stream.readers.remove(self)
        self._arrivals.end()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()
