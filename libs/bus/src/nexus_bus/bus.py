"""The interface of the message bus, with its values and its errors.

`NatsBus` implements it on NATS and `MemoryBus` in memory. One contract suite runs against both, so a service
tested on the twin behaves the same on NATS. Payloads are bytes; the subject determines which protobuf message
they hold.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from nexus_bus.stream_reader import StoredMessage, StreamBounds, StreamReader

MAX_PAYLOAD_BYTES = 1 << 20  # nats-server's default max_payload

# Maximum number and size of the durable messages that one connection has sent and not seen answered.
MAX_IN_FLIGHT = 1024
MAX_IN_FLIGHT_BYTES = 16 << 20


class BusError(Exception):
    """An operation of the bus failed; the subclass says why."""


class NotConnected(BusError):
    """No server is reachable; the bus keeps trying to reconnect."""


class NoResponder(BusError):
    """No subscriber serves the requested subject."""


class RequestTimeout(BusError):
    """No answer came in time; whether the request was carried out is unknown."""


class PayloadTooLarge(BusError):
    """A message is larger than `MAX_PAYLOAD_BYTES`; NATS would close the connection."""


class KeyExists(BusError):
    """`create` was called for a key that exists."""


class RevisionMismatch(BusError):
    """`update` or `delete` named a revision that is not the key's last: another writer was faster. Read the
    key and decide again."""


class SequenceMismatch(BusError):
    """A durable publish named a sequence that is not the last of its subject: another writer was faster."""


class StreamMissing(BusError):
    """No stream has the requested name."""


@dataclass(frozen=True, slots=True)
class Message:
    """One delivery on a subscription. `reply` is set for a request: answer with `Bus.publish(message.reply,
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
    """Marks that a watch has delivered every value that existed when it began; changes follow."""


WatchStep = Change | Synced


class Subscription(Protocol):
    """An async iterator of messages, ending at `close()` or when the bus closes. When its reader is too slow,
    the oldest messages are dropped and counted."""

    @property
    def dropped(self) -> int: ...

    def __aiter__(self) -> AsyncIterator[Message]: ...

    async def __anext__(self) -> Message: ...

    async def close(self) -> None: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc_info: object) -> None: ...


class Watch(Protocol):
    """An async iterator of `Change` and one `Synced`, ending at `close()`.

    A slow reader never loses a key's last value: a change is skipped only if a later one of the same key
    replaces it.
    """

    def __aiter__(self) -> AsyncIterator[WatchStep]: ...

    async def __anext__(self) -> WatchStep: ...

    async def close(self) -> None: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc_info: object) -> None: ...


class KeyValue(Protocol):
    """A bucket of keys with compare-and-set. With a TTL, a key expires unless it is written again in time."""

    async def get(self, key: str) -> Entry | None: ...

    async def create(self, key: str, value: bytes) -> int:
        """Writes a key that must not exist and returns its revision. Raises KeyExists."""
        ...

    async def update(self, key: str, value: bytes, revision: int, ttl_seconds: int | None = None) -> int:
        """Replaces the value of `revision` and returns the new revision. With `ttl_seconds` (1 or more), the
        key expires after that time unless it is written again. Raises RevisionMismatch."""
        ...

    async def put(self, key: str, value: bytes) -> int:
        """Writes the key, whether it exists or not, and returns the new revision."""
        ...

    async def delete(self, key: str, revision: int | None = None) -> None:
        """Deletes the key, if it exists. With `revision`, raises RevisionMismatch unless it is the last."""
        ...

    async def keys(self, pattern: str = ">") -> list[str]:
        """Keys that match, sorted. `*` matches one token, a final `>` one or more."""
        ...

    async def watch(self, pattern: str = ">") -> Watch: ...


ConnectionListener = Callable[[bool], None]


class Bus(Protocol):
    """Publish and subscribe, requests, key-value buckets and durable streams. Every method except `publish`
    may raise NotConnected."""

    @property
    def connected(self) -> bool: ...

    def on_connection(self, listener: ConnectionListener) -> None:
        """Calls `listener(connected)` at every change from now on."""
        ...

    async def publish(self, subject: str, payload: bytes) -> None:
        """Publishes at most once. While no server is reachable, messages wait in a bounded buffer; messages
        that do not fit are dropped and counted in `publishes_dropped`. An outage never raises, because events
        must not stop media."""
        ...

    @property
    def publishes_dropped(self) -> int: ...

    async def subscribe(
        self, subject: str, queue: str | None = None, max_pending: int = 4096
    ) -> Subscription:
        """Delivers every message on `subject` from now on; with `queue`, each message goes to only one member
        of that queue group."""
        ...

    async def request(self, subject: str, payload: bytes, timeout_seconds: float = 2.0) -> bytes:
        """Returns the answer's payload. Raises NoResponder, RequestTimeout."""
        ...

    async def kv(
        self, bucket: str, ttl_seconds: float | None = None, replicas: int | None = None
    ) -> KeyValue:
        """Opens a bucket, creating it if necessary.

        `replicas` is the number of servers that store it. None keeps the number of an existing bucket, and is
        1 for a new one. Raises BusError if there are fewer servers than replicas.
        """
        ...

    async def ensure_stream(self, stream: "StreamSpec") -> None:
        """Creates the stream, or updates it to this specification. Raises BusError if another stream stores
        some of its subjects, or if there are fewer servers than replicas."""
        ...

    async def describe_stream(self, stream: str) -> "StreamSpec":
        """Returns the specification of a stream. Raises StreamMissing."""
        ...

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
        """Returns the message's sequence once the stream has stored it.

        Within two minutes, a `message_id` is stored once; a repetition returns the sequence of the first.
        With `expected_last_sequence`, raises SequenceMismatch unless the last message on this subject has
        this sequence (0: unless there is none). `expected_subject` names another subject of the stream whose
        last sequence is compared instead, so that a writer can be fenced by a message that another writes.
        With `ttl_seconds` (1 or more), the stream drops the
        message after that time; its `StreamSpec.message_ttl` must be set. Raises NoResponder if no stream
        stores the subject, and RequestTimeout if it is unknown whether the message was stored.
        """
        ...

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
        """Does what `publish_durable` does, but returns as soon as the message is sent. The future has the
        sequence or the error.

        The stream stores the messages of one connection in the order of these calls. If one fails, later ones
        may still be stored. While `MAX_IN_FLIGHT` messages or `MAX_IN_FLIGHT_BYTES` are unanswered, the call
        waits. Only NotConnected, PayloadTooLarge and ValueError are raised by the call itself.
        """
        ...

    async def bounds(self, stream: str, filter_subject: str = ">") -> "StreamBounds":
        """Returns where the messages that match begin and end. Raises StreamMissing."""
        ...

    async def read_stream(
        self,
        stream: str,
        filter_subject: str = ">",
        from_sequence: int = 1,
        *,
        max_pending: int = 1024,
        on_arrival: Callable[[], None] | None = None,
    ) -> "StreamReader":
        """Reads the messages that match, from a sequence on and in order, without acks.

        A `from_sequence` of 1 or less begins at the first message that exists. At most `max_pending` messages
        are buffered. `on_arrival` is called when something can be taken. Raises StreamMissing; and
        StreamRecreated if the stream ends before `from_sequence`.
        """
        ...

    async def pull(
        self,
        stream: str,
        consumer: str,
        ack_wait_seconds: float = 30.0,
        filter_subject: str | None = None,
    ) -> "PullConsumer":
        """Opens a durable consumer. All callers that use one name share it: each message goes to one of them,
        and again to one of them until it is acked.

        With `filter_subject` (a pattern), it delivers only the messages on these subjects. The consumers of a
        work queue must have different subjects: otherwise raises BusError.
        """
        ...

    async def next_message(
        self, stream: str, from_sequence: int, filter_subject: str = ">"
    ) -> "StoredMessage | None":
        """Returns the first message that matches and whose sequence is `from_sequence` (1 or more) or later;
        None if there is none yet. For callers that read single messages here and there, where `read_stream`
        would be opened for each. Raises StreamMissing."""
        ...

    async def close(self) -> None:
        """Sends the buffered messages and ends subscriptions and watches."""
        ...


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """A JetStream stream. With `work_queue`, acked messages are deleted; otherwise messages stay for
    `max_age_seconds` (None: without limit), and for each subject the last `max_messages_per_subject`.

    `replicas` is the number of servers that store it: an odd number, at most 5. `message_ttl` allows single
    messages with an earlier end, and cannot be taken back. `metadata` is for those who use the stream; NATS
    only stores it.
    """

    name: str
    subjects: Sequence[str]
    work_queue: bool = False
    max_age_seconds: float | None = 7 * 24 * 3600
    max_bytes: int = 1 << 30
    replicas: int = 1
    max_messages_per_subject: int | None = None
    message_ttl: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)


class DurableMessage(Protocol):
    """A message leased to this consumer until one of the three methods is called or the ack wait passes."""

    @property
    def subject(self) -> str: ...

    @property
    def payload(self) -> bytes: ...

    @property
    def deliveries(self) -> int:
        """1 for the first delivery, more for repeated ones."""
        ...

    async def ack(self) -> None: ...

    async def retry(self, delay_seconds: float = 0.0) -> None:
        """Returns the message to the stream, to be delivered again after the delay."""
        ...

    async def extend(self) -> None:
        """Restarts the ack wait, for work that is still in progress."""
        ...


class PullConsumer(Protocol):
    async def fetch(self, batch: int = 64, timeout_seconds: float = 1.0) -> list[DurableMessage]:
        """Returns up to `batch` messages; none if none came within the timeout."""
        ...
