"""Durable streams in memory, the twin of JetStream for `MemoryBus`."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from nexus_bus.bus import BusError, DurableMessage, SequenceMismatch, StreamSpec
from nexus_bus.matching import matches, overlap
from nexus_bus.stream_reader import StoredMessage, StreamBounds

Clock = Callable[[], float]


@dataclass(slots=True)
class _Lease:
    """One consumer's state of a stored message, which may be delivered again from `free_at_seconds` on."""

    stored: StoredMessage
    free_at_seconds: float = 0.0
    deliveries: int = 0


@dataclass(slots=True)
class _Consumer:
    ack_wait_seconds: float
    filter_subject: str
    leases: dict[int, _Lease] = field(default_factory=dict)


class StreamListener(Protocol):
    """A reader, as its stream sees it."""

    def stored(self) -> None: ...

    def dropped(self, message: StoredMessage) -> None: ...

    def deleted(self) -> None: ...


class Stream:
    """The messages of one stream and the positions of its consumers. Above `max_bytes` the oldest messages
    are dropped, as in JetStream. `identity` distinguishes it from an earlier stream of the same name."""

    def __init__(self, spec: StreamSpec, identity: str, clock: Clock) -> None:
        self.spec = spec
        self.identity = identity
        self._clock = clock
        self._messages: dict[int, StoredMessage] = {}
        self._last_of: dict[str, int] = {}
        self._ends: dict[int, float] = {}
        self._bytes = 0
        self._sequence = 0
        self._ids: dict[str, int] = {}
        self._consumers: dict[str, _Consumer] = {}
        self.readers: list[StreamListener] = []
        self.arrived = asyncio.Event()

    def takes(self, subject: str) -> bool:
        return any(matches(pattern, subject) for pattern in self.spec.subjects)

    @property
    def next_sequence(self) -> int:
        return self._sequence + 1

    def append(
        self,
        subject: str,
        payload: bytes,
        message_id: str | None = None,
        expected_last_sequence: int | None = None,
        expected_subject: str | None = None,
        headers: Mapping[str, str] | None = None,
        ttl_seconds: int | None = None,
    ) -> int:
        """Stores a message and returns its sequence. Raises SequenceMismatch, and BusError if the stream does
        not allow a lifetime."""
        if ttl_seconds is not None and not self.spec.message_ttl:
            raise BusError(f"stream {self.spec.name} has no lifetimes of single messages")
        self.expire()
        if message_id is not None and message_id in self._ids:
            return self._ids[message_id]
        if expected_last_sequence is not None:
            compared = subject if expected_subject is None else expected_subject
            if self._last_of.get(compared, 0) != expected_last_sequence:
                raise SequenceMismatch(compared)
        elif expected_subject is not None:
            raise ValueError("an expected subject needs an expected sequence")
        self._sequence += 1
        if message_id is not None:
            self._ids[message_id] = self._sequence
        stored_at_ms = round(self._clock() * 1000)
        stored = StoredMessage(subject, payload, self._sequence, stored_at_ms, dict(headers or {}))
        self._messages[self._sequence] = stored
        self._last_of[subject] = self._sequence
        if ttl_seconds is not None:
            self._ends[self._sequence] = self._clock() + ttl_seconds
        self._bytes += len(payload)
        self._keep_within_limits(subject)
        for consumer in self._consumers.values():
            if matches(consumer.filter_subject, subject):
                consumer.leases[stored.sequence] = _Lease(stored)
        self.arrived.set()
        for reader in self.readers:
            reader.stored()
        return stored.sequence

    def _keep_within_limits(self, subject: str) -> None:
        while self._bytes > self.spec.max_bytes >= 0:
            self._forget(next(iter(self._messages)), unread=True)
        limit = self.spec.max_messages_per_subject
        if limit is not None:
            of_subject = [number for number, stored in self._messages.items() if stored.subject == subject]
            for sequence in of_subject[:-limit]:
                self._forget(sequence)

    def expire(self) -> None:
        """Drops the messages whose own lifetime has ended."""
        if self._ends:
            now = self._clock()
            for sequence in [sequence for sequence, end in self._ends.items() if end <= now]:
                self._forget(sequence)

    def _forget(self, sequence: int, *, unread: bool = False) -> None:
        """Removes a message. With `unread`, readers that have not received it report it."""
        self._ends.pop(sequence, None)
        stored = self._messages.pop(sequence, None)
        if stored is None:
            return
        self._bytes -= len(stored.payload)
        if self._last_of.get(stored.subject) == sequence:
            del self._last_of[stored.subject]
        for consumer in self._consumers.values():
            consumer.leases.pop(sequence, None)
        if unread:
            for reader in self.readers:
                reader.dropped(stored)

    def bounds(self, pattern: str) -> StreamBounds:
        self.expire()
        matching = [number for number, stored in self._messages.items() if matches(pattern, stored.subject)]
        oldest = next(iter(self._messages), self.next_sequence)
        first, last = (matching[0], matching[-1]) if matching else (0, 0)
        return StreamBounds(first, last, oldest, self.next_sequence, self.identity)

    def next_message(self, from_sequence: int, pattern: str) -> StoredMessage | None:
        self.expire()
        for sequence, stored in self._messages.items():
            if sequence >= from_sequence and matches(pattern, stored.subject):
                return stored
        return None

    def message(self, sequence: int) -> StoredMessage | None:
        return self._messages.get(sequence)

    def consumer(self, name: str, ack_wait_seconds: float, filter_subject: str) -> None:
        if name in self._consumers:
            return
        if self.spec.work_queue and any(
            overlap(filter_subject, consumer.filter_subject) for consumer in self._consumers.values()
        ):
            raise BusError(f"two consumers of the work queue {self.spec.name} have the same subjects")
        leases = {
            sequence: _Lease(stored)
            for sequence, stored in self._messages.items()
            if matches(filter_subject, stored.subject)
        }
        self._consumers[name] = _Consumer(ack_wait_seconds, filter_subject, leases)

    def take(self, name: str, batch: int, now: float) -> list[_Lease]:
        consumer = self._consumers[name]
        free = [lease for lease in consumer.leases.values() if lease.free_at_seconds <= now][:batch]
        for lease in free:
            lease.deliveries += 1
            lease.free_at_seconds = now + consumer.ack_wait_seconds
        return free

    def next_free_seconds(self, name: str) -> float | None:
        return min((lease.free_at_seconds for lease in self._consumers[name].leases.values()), default=None)

    def ack(self, name: str, sequence: int) -> None:
        if self.spec.work_queue:
            self._forget(sequence)
        else:
            self._consumers[name].leases.pop(sequence, None)

    def release(self, name: str, sequence: int, free_at_seconds: float) -> None:
        lease = self._consumers[name].leases.get(sequence)
        if lease is not None:
            lease.free_at_seconds = free_at_seconds
            self.arrived.set()

    def extend(self, name: str, sequence: int, now: float) -> None:
        self.release(name, sequence, now + self._consumers[name].ack_wait_seconds)


class MemoryDurableMessage:
    def __init__(self, stream: Stream, consumer: str, lease: _Lease, clock: Clock) -> None:
        self._stream = stream
        self._consumer = consumer
        self._sequence = lease.stored.sequence
        self._clock = clock
        self.subject = lease.stored.subject
        self.payload = lease.stored.payload
        self.deliveries = lease.deliveries

    async def ack(self) -> None:
        self._stream.ack(self._consumer, self._sequence)

    async def retry(self, delay_seconds: float = 0.0) -> None:
        self._stream.release(self._consumer, self._sequence, self._clock() + delay_seconds)

    async def extend(self) -> None:
        self._stream.extend(self._consumer, self._sequence, self._clock())


class MemoryPullConsumer:
    def __init__(self, stream: Stream, name: str, clock: Clock, check_connected: Callable[[], None]) -> None:
        self._stream = stream
        self._name = name
        self._clock = clock
        self._check_connected = check_connected

    async def fetch(self, batch: int = 64, timeout_seconds: float = 1.0) -> list[DurableMessage]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_seconds
        while True:
            self._check_connected()
            self._stream.arrived.clear()
            if leases := self._stream.take(self._name, batch, self._clock()):
                return [
                    MemoryDurableMessage(self._stream, self._name, lease, self._clock) for lease in leases
                ]
            remaining = deadline - loop.time()
            if remaining <= 0:
                return []
            free_at = self._stream.next_free_seconds(self._name)
            wait = remaining if free_at is None else min(remaining, max(free_at - self._clock(), 0.001))
            try:
                # `wait_for` of Python 3.11 would lose a cancellation that comes together with a message.
                async with asyncio.timeout(wait):
                    await self._stream.arrived.wait()
            except TimeoutError:
                continue
