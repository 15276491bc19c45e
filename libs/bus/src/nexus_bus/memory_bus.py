"""The bus in memory, for tests, and as a readable reference of the bus's guarantees.

One `MemoryBroker` stands for the NATS server; each `MemoryBus(broker)` is one service's connection to it.
`set_connected(False)` simulates an outage of that connection. Messages are delivered in order of publication,
within the call that publishes them.
"""

import asyncio
import itertools
import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nexus_bus.bus import (
    MAX_PAYLOAD_BYTES,
    BusError,
    ConnectionListener,
    KeyValue,
    Message,
    NoResponder,
    NotConnected,
    PayloadTooLarge,
    PullConsumer,
    RequestTimeout,
    StreamMissing,
    StreamSpec,
    Subscription,
)
from nexus_bus.mailbox import Mailbox
from nexus_bus.matching import (
    check_bucket,
    check_pattern,
    check_replicas,
    check_subject,
    check_ttl,
    matches,
    overlap,
)
from nexus_bus.memory_kv import Bucket, Clock, MemoryKeyValue
from nexus_bus.memory_reader import MemoryStreamReader
from nexus_bus.memory_stream import MemoryPullConsumer, Stream
from nexus_bus.stream_reader import StoredMessage, StreamBounds, StreamReader

MAX_BUFFERED_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class _Reader:
    pattern: str
    queue: str | None
    mailbox: Mailbox
    owner: "MemoryBus"


class MemoryBroker:
    """The state that connections share. With a `clock` (a `ManualClock`), keys expire only when `expire()` is
    called. `servers` is the number of servers that it stands for, which limits replicas."""

    def __init__(
        self, clock: Clock | None = None, choose: random.Random | None = None, servers: int = 1
    ) -> None:
        self._servers = servers
        self._clock = clock
        self._choose = choose or random.Random(0)
        self._inboxes = itertools.count(1)
        self._identities = itertools.count(1)
        self.readers: list[_Reader] = []
        self.buckets: dict[str, Bucket] = {}
        self.streams: dict[str, Stream] = {}

    def now(self) -> float:
        return self._clock() if self._clock is not None else asyncio.get_running_loop().time()

    def expire(self) -> None:
        for bucket in self.buckets.values():
            bucket.expire()

    def bucket(self, name: str, ttl_seconds: float | None) -> Bucket:
        if name not in self.buckets:
            self.buckets[name] = Bucket(ttl_seconds, self._clock)
        bucket = self.buckets[name]
        if ttl_seconds is not None:
            bucket.ttl_seconds = ttl_seconds
        return bucket

    def check_replicas(self, replicas: int) -> None:
        if check_replicas(replicas) > self._servers:
            raise BusError(f"{replicas} replicas need as many servers")

    def ensure_stream(self, spec: StreamSpec) -> None:
        self.check_replicas(spec.replicas)
        for other in self.streams.values():
            if other.spec.name != spec.name and any(
                overlap(mine, theirs) for mine in spec.subjects for theirs in other.spec.subjects
            ):
                raise BusError(f"stream {other.spec.name} stores some subjects of {spec.name}")
        if spec.name in self.streams:
            self.streams[spec.name].spec = spec
        else:
            identity = str(next(self._identities))
            self.streams[spec.name] = Stream(spec, identity, self.now)

    def delete_stream(self, name: str) -> None:
        """Deletes a stream with its messages, as an operator could."""
        for reader in self.stream(name).readers:
            reader.deleted()
        del self.streams[name]

    def stream(self, name: str) -> Stream:
        """Raises StreamMissing."""
        if name not in self.streams:
            raise StreamMissing(name)
        return self.streams[name]

    def new_inbox(self) -> str:
        return f"_INBOX.{next(self._inboxes)}"

    def stream_for(self, subject: str) -> Stream | None:
        return next((stream for stream in self.streams.values() if stream.takes(subject)), None)

    def deliver(self, message: Message, *, stored: bool = False) -> int:
        """Delivers to every matching subscription, and to one of each queue group; returns their number. The
        stream that stores the subject stores the message, unless it is `stored` already."""
        stream = self.stream_for(message.subject)
        if stream is not None and not stored:
            stream.append(message.subject, message.payload)
        groups: dict[tuple[str, str], list[Mailbox]] = {}
        chosen: list[Mailbox] = []
        for reader in self.readers:
            if not reader.owner.connected or not matches(reader.pattern, message.subject):
                continue
            if reader.queue is None:
                chosen.append(reader.mailbox)
            else:
                groups.setdefault((reader.pattern, reader.queue), []).append(reader.mailbox)
        chosen += [self._choose.choice(members) for members in groups.values()]
        for mailbox in chosen:
            mailbox.deliver(message)
        return len(chosen)


class MemoryBus:
    """A `Bus`. Without `broker` it creates its own."""

    def __init__(self, broker: MemoryBroker | None = None) -> None:
        self._broker = broker or MemoryBroker()
        self._connected = True
        self._closed = False
        self._listeners: list[ConnectionListener] = []
        self._buffer: deque[tuple[str, bytes]] = deque()
        self._buffered_bytes = 0
        self._publishes_dropped = 0
        self._opened: list[MemoryKeyValue] = []
        self._readers: list[MemoryStreamReader] = []

    @property
    def broker(self) -> MemoryBroker:
        return self._broker

    @property
    def connected(self) -> bool:
        return self._connected and not self._closed

    @property
    def publishes_dropped(self) -> int:
        return self._publishes_dropped

    def on_connection(self, listener: ConnectionListener) -> None:
        self._listeners.append(listener)

    def set_connected(self, connected: bool) -> None:
        """Begins or ends an outage."""
        if connected == self._connected:
            return
        self._connected = connected
        for opened in self._opened:
            opened.on_connection(connected)
        for reader in self._readers:
            reader.stored()
        while connected and self._buffer:
            subject, payload = self._buffer.popleft()
            self._buffered_bytes -= len(payload)
            self._broker.deliver(Message(subject, payload))
        for listener in self._listeners:
            listener(connected)

    def _check_connected(self) -> None:
        if not self.connected:
            raise NotConnected("no server is reachable")

    async def publish(self, subject: str, payload: bytes) -> None:
        _check_payload(check_subject(subject), payload)
        if self.connected:
            self._broker.deliver(Message(subject, payload))
        elif not self._closed and self._buffered_bytes + len(payload) <= MAX_BUFFERED_BYTES:
            self._buffer.append((subject, payload))
            self._buffered_bytes += len(payload)
        else:
            self._publishes_dropped += 1

    async def subscribe(
        self, subject: str, queue: str | None = None, max_pending: int = 4096
    ) -> Subscription:
        self._check_connected()
        check_pattern(subject)

        async def leave() -> None:
            self._broker.readers.remove(reader)

        reader = _Reader(subject, queue, Mailbox(max_pending, leave), self)
        self._broker.readers.append(reader)
        return reader.mailbox

    async def request(self, subject: str, payload: bytes, timeout_seconds: float = 2.0) -> bytes:
        self._check_connected()
        _check_payload(check_subject(subject), payload)
        inbox = self._broker.new_inbox()
        async with await self.subscribe(inbox) as answers:
            if self._broker.deliver(Message(subject, payload, reply=inbox)) == 0:
                raise NoResponder(subject)
            try:
                async with asyncio.timeout(timeout_seconds):
                    answer = await anext(answers)
            except TimeoutError:
                raise RequestTimeout(subject) from None
            except StopAsyncIteration:
                raise NotConnected("closed while waiting for an answer") from None
            return answer.payload

    async def kv(
        self, bucket: str, ttl_seconds: float | None = None, replicas: int | None = None
    ) -> KeyValue:
        self._check_connected()
        self._broker.check_replicas(1 if replicas is None else replicas)
        opened = MemoryKeyValue(self._broker.bucket(check_bucket(bucket), ttl_seconds), self._check_connected)
        self._opened.append(opened)
        return opened

    async def ensure_stream(self, stream: StreamSpec) -> None:
        self._check_connected()
        self._broker.ensure_stream(stream)

    async def describe_stream(self, stream: str) -> StreamSpec:
        self._check_connected()
        return self._broker.stream(check_bucket(stream)).spec

    async def publish_durable(
        self,
        subject: str,
        payload: bytes,
        message_id: str | None = None,
        *,
        expected_last_sequence: int | None = None,
        expected_subject: str | None = None,
        headers: Mapping[str, str] | None = None,
        ttl_seconds: int | None = None,
    ) -> int:
        self._check_connected()
        _check_payload(check_subject(subject), payload)
        check_ttl(ttl_seconds)
        stream = self._broker.stream_for(subject)
        if stream is None:
            raise NoResponder(subject)
        before = stream.next_sequence
        sequence = stream.append(
            subject, payload, message_id, expected_last_sequence, expected_subject, headers, ttl_seconds
        )
        if sequence >= before:
            self._broker.deliver(Message(subject, payload), stored=True)
        return sequence

    async def send_durable(
        self,
        subject: str,
        payload: bytes,
        message_id: str | None = None,
        *,
        expected_last_sequence: int | None = None,
        expected_subject: str | None = None,
        headers: Mapping[str, str] | None = None,
        ttl_seconds: int | None = None,
    ) -> asyncio.Future[int]:
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        try:
            sequence = await self.publish_durable(
                subject,
                payload,
                message_id,
                expected_last_sequence=expected_last_sequence,
                expected_subject=expected_subject,
                headers=headers,
                ttl_seconds=ttl_seconds,
            )
        except (NotConnected, PayloadTooLarge):
            raise
        except BusError as error:
            answer.set_exception(error)
        else:
            answer.set_result(sequence)
        return answer

    async def bounds(self, stream: str, filter_subject: str = ">") -> StreamBounds:
        self._check_connected()
        return self._broker.stream(check_bucket(stream)).bounds(check_pattern(filter_subject))

    async def next_message(
        self, stream: str, from_sequence: int, filter_subject: str = ">"
    ) -> StoredMessage | None:
        self._check_connected()
        check_pattern(filter_subject)
        return self._broker.stream(check_bucket(stream)).next_message(from_sequence, filter_subject)

    async def read_stream(
        self,
        stream: str,
        filter_subject: str = ">",
        from_sequence: int = 1,
        *,
        max_pending: int = 1024,
        on_arrival: Callable[[], None] | None = None,
    ) -> StreamReader:
        self._check_connected()
        if max_pending < 1:
            raise ValueError("a reader buffers at least one message")
        check_pattern(filter_subject)
        reader = MemoryStreamReader(
            lambda: self._broker.streams.get(stream),
            self._broker.stream(check_bucket(stream)),
            filter_subject,
            from_sequence,
            max_pending,
            on_arrival,
            lambda: self.connected,
        )
        self._readers.append(reader)
        return reader

    async def pull(
        self,
        stream: str,
        consumer: str,
        ack_wait_seconds: float = 30.0,
        filter_subject: str | None = None,
    ) -> PullConsumer:
        self._check_connected()
        pattern = ">" if filter_subject is None else check_pattern(filter_subject)
        if stream not in self._broker.streams:
            raise BusError(f"no stream {stream!r}")
        self._broker.streams[stream].consumer(consumer, ack_wait_seconds, pattern)
        return MemoryPullConsumer(
            self._broker.streams[stream], consumer, self._broker.now, self._check_connected
        )

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for reader in [reader for reader in self._broker.readers if reader.owner is self]:
            self._broker.readers.remove(reader)
            reader.mailbox.end()
        for opened in self._opened:
            opened.end()
        self._opened.clear()
        for stream_reader in self._readers:
            await stream_reader.close()
        self._readers.clear()


def _check_payload(subject: str, payload: bytes) -> None:
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise PayloadTooLarge(f"{len(payload)} bytes to {subject}")
