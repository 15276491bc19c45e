"""The interface for reading a durable stream by sequence: without acks, from a position that the reader
keeps.

A pull consumer shares work among processes, and the broker remembers what is done. A reader is for those who
remember that themselves: each one sees every message that matches its filter, in order, once. What it cannot
deliver it reports as an error, because a reader that skips silently loses data.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, Self

from nexus_bus.bus import BusError


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message in a stream. `stored_at_ms` is the broker's clock, in milliseconds since the epoch."""

    subject: str
    payload: bytes
    sequence: int
    stored_at_ms: int
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StreamBounds:
    """The first and the last message of a stream.

    `first` and `last` are the sequences of the first and last message that exist and match the filter; both
    are 0 if there is none. `oldest` is the sequence of the stream's oldest message on any subject, and `next`
    follows its newest one: no message below `oldest` exists, and none from `next` on. `identity` changes when
    the stream is deleted and created again.
    """

    first: int
    last: int
    oldest: int
    next: int
    identity: str


class MessagesDropped(BusError):
    """The stream dropped messages from `first` to `last` before the reader received them: they were too old,
    or too many, or purged.

    Whether one of them matched the filter is not always known; the error is then raised too. The next read
    continues behind the gap. A reader that keeps up with its stream never gets this error.
    """

    def __init__(self, stream: str, first: int, last: int) -> None:
        super().__init__(f"stream {stream} dropped messages unread, from sequence {first} to {last}")
        self.stream = stream
        self.first = first
        self.last = last


class StreamRecreated(BusError):
    """The stream is not the one that the position belongs to: it was deleted and created again, or its
    storage was lost. Its sequences mean other messages now. A reader raises this at every read from then
    on."""

    def __init__(self, stream: str) -> None:
        super().__init__(f"stream {stream} was created again, so its sequences mean other messages")
        self.stream = stream


class StreamReader(Protocol):
    """Messages of one stream that match a filter, in order. It survives outages: it then delivers nothing,
    and continues where it was. For one task only."""

    @property
    def position(self) -> int:
        """The sequence from which another reader would continue: every message below it that matches was
        taken or reported as dropped. It also grows while only other messages arrive."""
        ...

    @property
    def identity(self) -> str:
        """`StreamBounds.identity` of the stream that is read."""
        ...

    def take(self, limit: int = 256) -> list[StoredMessage]:
        """Returns up to `limit` messages that have arrived, at once.

        Raises MessagesDropped (once for each gap; the next call continues), StreamRecreated (from then on),
        and StreamMissing if the stream was deleted. Messages before the error are returned first.
        """
        ...

    async def read(self, limit: int = 256, timeout_seconds: float = 1.0) -> list[StoredMessage]:
        """Returns up to `limit` messages; none if none arrived within the timeout. Raises what `take`
        raises."""
        ...

    async def close(self) -> None: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc_info: object) -> None: ...
