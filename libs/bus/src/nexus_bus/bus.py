"""What a service may ask of the bus: the interface, its values and its errors.

`NatsBus` is the real one, `MemoryBus` its in-memory twin; one contract suite runs against both, so a service
tested on the twin meets no surprise on NATS. Payloads are bytes: which protobuf message they hold is the
subject's business.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

MAX_PAYLOAD_BYTES = 1 << 20  # nats-server's default max_payload


class BusError(Exception):
    """Something the bus could not do; the subclass says what."""


class NotConnected(BusError):
    """No server answers at the moment; the bus keeps reconnecting by itself."""


class NoResponder(BusError):
    """Nobody serves the requested subject."""


class RequestTimeout(BusError):
    """Nobody answered in time; whether the request was carried out is unknown."""


class PayloadTooLarge(BusError):
    """A message over `MAX_PAYLOAD_BYTES`; NATS would close the connection over it."""


class KeyExists(BusError):
    """`create` found the key taken."""


class RevisionMismatch(BusError):
    """`update` or `delete` came with a revision that is not the key's last: somebody else was faster; read
    and decide anew."""


@dataclass(frozen=True, slots=True)
class Message:
    """One delivery on a subscription. `reply` is set when the sender waits for `Bus.publish(message.reply,
    ...)`."""

    subject: str
    payload: bytes
    reply: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A key's value and its revision, which grows with every change in the bucket."""

    key: str
    value: bytes
    revision: int


@dataclass(frozen=True, slots=True)
class Change:
    """One step of a watch. `value` is None when the key was deleted or expired."""

    key: str
    value: bytes | None
    revision: int


@dataclass(frozen=True, slots=True)
class Synced:
    """A watch has now delivered every value that existed when it began; what follows are changes."""


WatchStep = Change | Synced


class Subscription(Protocol):
    """An async iterator of messages, ending at `close()` or when the bus closes. What its owner is too slow
    to take is dropped, oldest first, and counted."""

    @property
    def dropped(self) -> int: ...

    def __aiter__(self) -> AsyncIterator[Message]: ...

    async def __anext__(self) -> Message: ...

    async def close(self) -> None: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc_info: object) -> None: ...


class Watch(Protocol):
    """An async iterator of `Change` and one `Synced`, ending at `close()`.

    A watcher that is too slow never loses a key's last value: only steps that a later one made obsolete may
    be skipped.
    """

    def __aiter__(self) -> AsyncIterator[WatchStep]: ...

    async def __anext__(self) -> WatchStep: ...

    async def close(self) -> None: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc_info: object) -> None: ...


class KeyValue(Protocol):
    """Shared facts with compare-and-set. A bucket with a TTL forgets a key that is not written again in
    time."""

    async def get(self, key: str) -> Entry | None: ...

    async def create(self, key: str, value: bytes) -> int:
        """Writes a key that must not exist; its revision. Raises KeyExists."""
        ...

    async def update(self, key: str, value: bytes, revision: int) -> int:
        """Writes over exactly `revision`; the new one. Raises RevisionMismatch."""
        ...

    async def put(self, key: str, value: bytes) -> int:
        """Writes whatever was there before; the new revision."""
        ...

    async def delete(self, key: str, revision: int | None = None) -> None:
        """Deletes; a key that is not there is fine. With `revision`, raises RevisionMismatch if it is not the
        last."""
        ...

    async def keys(self, pattern: str = ">") -> list[str]:
        """Keys that match, sorted. `*` stands for one token, a closing `>` for one or more."""
        ...

    async def watch(self, pattern: str = ">") -> Watch: ...


ConnectionListener = Callable[[bool], None]


class Bus(Protocol):
    """Publish and subscribe, requests, and shared facts. Every method may raise NotConnected, save
    `publish`."""

    @property
    def connected(self) -> bool: ...

    def on_connection(self, listener: ConnectionListener) -> None:
        """Calls `listener(connected)` at every change from now on."""
        ...

    async def publish(self, subject: str, payload: bytes) -> None:
        """At most once. While no server answers, messages wait in a bounded buffer; what does not fit is
        dropped and counted in `publishes_dropped`; never raises for an outage: events must not stop media."""
        ...

    @property
    def publishes_dropped(self) -> int: ...

    async def subscribe(
        self, subject: str, queue: str | None = None, max_pending: int = 4096
    ) -> Subscription:
        """Every message on `subject` from now on; with `queue`, each goes to one member of that queue group
        only."""
        ...

    async def request(self, subject: str, payload: bytes, timeout_seconds: float = 2.0) -> bytes:
        """Raises NoResponder, RequestTimeout."""
        ...

    async def kv(self, bucket: str, ttl_seconds: float | None = None) -> KeyValue:
        """Opens a bucket, creating it if need be."""
        ...

    async def ensure_stream(self, stream: "StreamSpec") -> None:
        """Creates the stream, or changes it to what is asked."""
        ...

    async def publish_durable(self, subject: str, payload: bytes, message_id: str | None = None) -> None:
        """Returns once the stream has stored it. The same `message_id` within two minutes is stored once."""
        ...

    async def pull(self, stream: str, consumer: str, ack_wait_seconds: float = 30.0) -> "PullConsumer":
        """A durable consumer: shared by all who name it, each message to one of them until it is acked."""
        ...

    async def close(self) -> None:
        """Sends what waits, ends subscriptions and watches."""
        ...


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """A JetStream stream. `work_queue` deletes what has been acked; else messages stay for
    `max_age_seconds`."""

    name: str
    subjects: Sequence[str]
    work_queue: bool = False
    max_age_seconds: float = 7 * 24 * 3600
    max_bytes: int = 1 << 30


class DurableMessage(Protocol):
    """A message held for this consumer until one of the three is called or its ack wait passes."""

    @property
    def subject(self) -> str: ...

    @property
    def payload(self) -> bytes: ...

    @property
    def deliveries(self) -> int:
        """1 at first, more when it comes again."""
        ...

    async def ack(self) -> None: ...

    async def retry(self, delay_seconds: float = 0.0) -> None:
        """Not done: give it to somebody again, after the delay."""
        ...

    async def extend(self) -> None:
        """Still working: begin the ack wait anew."""
        ...


class PullConsumer(Protocol):
    async def fetch(self, batch: int = 64, timeout_seconds: float = 1.0) -> list[DurableMessage]:
        """Up to `batch` messages; empty when none came within the timeout."""
        ...
