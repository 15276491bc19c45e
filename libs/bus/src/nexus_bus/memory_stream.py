"""Durable streams in memory, the twin of JetStream for `MemoryBus`."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from nexus_bus.bus import BusError, DurableMessage, StreamSpec
from nexus_bus.matching import matches, overlap

Clock = Callable[[], float]


@dataclass(slots=True)
class _Stored:
    sequence: int
    subject: str
    payload: bytes


@dataclass(slots=True)
class _Lease:
    """One consumer's state of a stored message, which may be delivered again from `free_at_seconds` on."""

    stored: _Stored
    free_at_seconds: float = 0.0
    deliveries: int = 0


@dataclass(slots=True)
class _Consumer:
    ack_wait_seconds: float
    filter_subject: str
    leases: dict[int, _Lease] = field(default_factory=dict)


class Stream:
    """The messages of one stream and the positions of its consumers. Above `max_bytes` the oldest messages
    are dropped, as in JetStream."""

    def __init__(self, spec: StreamSpec) -> None:
        self.spec = spec
        self._messages: dict[int, _Stored] = {}
        self._bytes = 0
        self._sequence = 0
        self._ids: set[str] = set()
        self._consumers: dict[str, _Consumer] = {}
        self.arrived = asyncio.Event()

    def takes(self, subject: str) -> bool:
        return any(matches(pattern, subject) for pattern in self.spec.subjects)

    def append(self, subject: str, payload: bytes, message_id: str | None) -> None:
        if message_id is not None:
            if message_id in self._ids:
                return
            self._ids.add(message_id)
        self._sequence += 1
        stored = _Stored(self._sequence, subject, payload)
        self._messages[self._sequence] = stored
        self._bytes += len(payload)
        while self._bytes > self.spec.max_bytes:
            self._forget(next(iter(self._messages)))
        for consumer in self._consumers.values():
            if matches(consumer.filter_subject, subject):
                consumer.leases[stored.sequence] = _Lease(stored)
        self.arrived.set()

    def _forget(self, sequence: int) -> None:
        stored = self._messages.pop(sequence, None)
        if stored is not None:
            self._bytes -= len(stored.payload)
        for consumer in self._consumers.values():
            consumer.leases.pop(sequence, None)

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
