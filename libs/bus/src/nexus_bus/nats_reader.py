"""A reader of a JetStream stream that survives outages and notices what it missed.

Each reader has an ephemeral pull consumer without acks. The consumer is lost with its server, and messages
can be lost between it and the client. One task therefore attaches a new one at the reader's position when
the old one is stale: after a reconnect, a gap in the consumer's own sequence, or silence.

JetStream says nothing when it drops messages that a consumer has not delivered yet. With several subjects
in a stream, holes in its sequences are normal too. The reader therefore compares: if the stream's oldest
message lies behind a hole, the hole may contain dropped messages. While it is caught up, its position
follows the end of the stream, so that a quiet subject in a busy stream looks like what it is.
"""

import asyncio
import itertools
import json
from collections.abc import Callable
from typing import Self

import nats.js.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, StreamInfo

from nexus_bus.arrivals import Arrivals
from nexus_bus.bus import BusError, NotConnected, StreamMissing
from nexus_bus.nats_errors import translated
from nexus_bus.stream_reader import MessagesDropped, StoredMessage, StreamBounds, StreamRecreated

log = structlog.get_logger()

HEARTBEAT_SECONDS = 5.0
# Silence after which the consumer counts as gone: two heartbeats may be late, three may not.
SILENCE_SECONDS = 3 * HEARTBEAT_SECONDS
# How often the reader compares its position with the stream.
CHECK_SECONDS = 5.0
RETRY_SECONDS = 0.5
# How long one request for messages stays open.
REQUEST_SECONDS = 30.0
# Maximum number and size of the messages of one request. The size exceeds that of any one message.
REQUEST_MESSAGES = 256
REQUEST_BYTES = 4 << 20
MAX_BUFFERED_BYTES = 16 << 20
# How often in a row the stream must be shorter than what was received, before it counts as another stream: a
# new leader of a cluster may be behind for a moment.
TOO_SHORT_ATTEMPTS = 3
PENDING_MESSAGES = "Nats-Pending-Messages"


async def stream_info(js: JetStreamContext, stream: str) -> StreamInfo:
    """Raises StreamMissing."""
    with translated(f"stream {stream}"):
        try:
            return await js.stream_info(stream)
        except nats.js.errors.NotFoundError as error:
            raise StreamMissing(stream) from error


def identity(info: StreamInfo) -> str:
    return "" if info.created is None else info.created.isoformat()


async def bounds(js: JetStreamContext, stream: str, filter_subject: str) -> StreamBounds:
    info = await stream_info(js, stream)

    async def sequence(*, first: bool) -> int:
        with translated(f"stream {stream}"):
            try:
                # From the stream's leader, not from a replica, so that a writer reads its own writes.
                message = await js.get_msg(
                    stream, seq=1 if first else None, subject=filter_subject, next=first, direct=False
                )
            except nats.js.errors.NotFoundError:
                return 0
        return message.seq or 0

    first, last = await sequence(first=True), await sequence(first=False)
    return StreamBounds(first, last, info.state.first_seq, info.state.last_seq + 1, identity(info))


class NatsStreamReader:
    """A `StreamReader`. `start` returns once the consumer exists."""

    def __init__(
        self,
        client: Client,
        js: JetStreamContext,
        stream: str,
        filter_subject: str,
        from_sequence: int,
        max_pending: int,
        on_arrival: Callable[[], None] | None,
    ) -> None:
        self._client = client
        self._js = js
        self._stream = stream
        self._filter = filter_subject
        self._max_pending = max_pending
        self._arrivals = Arrivals(on_arrival)
        self._identity = ""
        self._received_to = max(1, from_sequence)  # the next sequence that may arrive
        self._from_start = from_sequence <= 1
        self._hole: int | None = None  # where the first hole since the last check began
        self._too_short = 0
        self._closing = False
        self._attempts = itertools.count(1)
        self._attempt = 0
        self._consumer = ""
        self._inbox = ""
        self._subscription: NatsSubscription | None = None
        self._consumer_sequence = 0
        self._requested = 0
        self._requests: set[asyncio.Task[None]] = set()
        self._stale = asyncio.Event()
        self._heard_at = 0.0
        self._missing_reported = False
        self._task: asyncio.Task[None] | None = None

    @property
    def position(self) -> int:
        first = self._arrivals.first
        return self._received_to if first is None else first

    @property
    def identity(self) -> str:
        return self._identity

    def take(self, limit: int = 256) -> list[StoredMessage]:
        taken = self._arrivals.take(limit)
        self._request()
        return taken

    async def read(self, limit: int = 256, timeout_seconds: float = 1.0) -> list[StoredMessage]:
        await self._arrivals.wait(timeout_seconds)
        return self.take(limit)

    async def start(self) -> None:
        try:
            await self._attach_first()
        except BaseException:
            await self.close()
            raise
        self._task = asyncio.create_task(self._follow(), name=f"read {self._stream} {self._filter}")

    async def _attach_first(self) -> None:
        while True:
            try:
                return await self._attach()
            except StreamRecreated:
                raise
            except BusError:
                if self._too_short == 0:
                    raise
                await asyncio.sleep(RETRY_SECONDS)

    def reconnected(self) -> None:
        self._stale.set()

    async def close(self) -> None:
        self._closing = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._detach()
        self._arrivals.end()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    # The task

    async def _follow(self) -> None:
        # `wait_for` of Python 3.11, which nats-py uses, loses a cancellation that comes together with an
        # answer.
        while not self._closing:
            try:
                if self._stale.is_set():
                    await self._attach()
                else:
                    await self._check()
                self._missing_reported = False
            except StreamRecreated as error:
                self._arrivals.fail(error)
                return
            except BusError as error:
                self._stale.set()
                if isinstance(error, StreamMissing) and not self._missing_reported:
                    self._missing_reported = True
                    self._arrivals.fail(error)
                log.debug("stream_not_read", stream=self._stream, filter=self._filter, error=repr(error))
                await asyncio.sleep(RETRY_SECONDS)
                continue
            except Exception:
                # Whatever nats-py raises besides its own errors, a reader that stops in silence is worse.
                self._stale.set()
                log.exception("stream_reader_failed", stream=self._stream, filter=self._filter)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            await self._wait()

    async def _wait(self) -> None:
        """Returns when the next check or attachment is due."""
        if self._closing:
            return
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await self._stale.wait()
        except TimeoutError:
            if self._client.is_connected and self._now() - self._heard_at > SILENCE_SECONDS:
                log.warning("reader_silent", stream=self._stream, filter=self._filter)
                self._stale.set()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def _attach(self) -> None:
        await self._detach()
        if not self._client.is_connected:
            raise NotConnected(self._stream)  # `_follow` attaches again after the reconnect
        attempt = self._attempt = next(self._attempts)
        self._stale.clear()
        info = await stream_info(self._js, self._stream)
        unseen = self._received_to if self._hole is None else self._hole
        self._compare(info, self._received_to, unseen)
        self._hole = None
        self._received_to = max(self._received_to, info.state.first_seq)
        self._consumer_sequence = 0
        self._requested = 0
        self._inbox = self._client.new_inbox()
        self._consumer = self._inbox.rsplit(".", 1)[-1]

        async def receive(message: Msg) -> None:
            # Messages of an earlier consumer that are still in transit come from the new one again.
            if attempt == self._attempt:
                self._receive(message)

        with translated(f"stream {self._stream}"):
            self._subscription = await self._client.subscribe(
                self._inbox, cb=receive, pending_msgs_limit=2 * self._max_pending + 64
            )
            await self._js.add_consumer(
                self._stream,
                ConsumerConfig(
                    name=self._consumer,
                    deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                    opt_start_seq=self._received_to,
                    ack_policy=AckPolicy.NONE,
                    filter_subject=None if self._filter == ">" else self._filter,
                    inactive_threshold=SILENCE_SECONDS + REQUEST_SECONDS,
                    mem_storage=True,
                    num_replicas=1,
                ),
            )
        self._heard_at = self._now()
        self._request()

    async def _detach(self) -> None:
        subscription, self._subscription = self._subscription, None
        self._attempt = 0
        for request in self._requests:
            request.cancel()
        if subscription is not None and not self._client.is_closed:
            try:
                with translated("unsubscribe"):
                    await subscription.unsubscribe()
                    if self._client.is_connected:  # otherwise the server removes it, being unused
                        await self._js.delete_consumer(self._stream, self._consumer)
            except BusError as error:
                log.debug("consumer_not_deleted", stream=self._stream, error=repr(error))

    # Dropped messages

    def _compare(self, info: StreamInfo, received_to: int, unseen: int | None) -> None:
        """Compares the stream with what had been received to before `info` was requested, and with the
        first sequence that was not seen. Raises StreamRecreated, and BusError if it is to be tried again."""
        now = identity(info)
        if self._identity and now != self._identity:
            raise StreamRecreated(self._stream)
        if received_to > info.state.last_seq + 1:
            self._too_short += 1
            if self._too_short >= TOO_SHORT_ATTEMPTS:
                raise StreamRecreated(self._stream)
            raise BusError(f"stream {self._stream} ends before the position")
        self._too_short = 0
        self._identity = now
        replaces = info.config.max_msgs_per_subject > 0
        oldest = info.state.first_seq
        if unseen is not None and oldest > unseen and not self._from_start and not replaces:
            self._arrivals.fail(MessagesDropped(self._stream, unseen, oldest - 1))
        self._from_start = False

    async def _check(self) -> None:
        attempt = self._attempt
        received_to, hole = self._received_to, self._hole
        self._hole = None  # a hole that is found from now on is compared by the next check
        try:
            info = await stream_info(self._js, self._stream)
            with translated(f"stream {self._stream}"):
                consumer = await self._js.consumer_info(self._stream, self._consumer)
        except BusError as error:
            self._hole = hole
            if isinstance(error.__cause__, nats.js.errors.NotFoundError):
                self._stale.set()
            raise
        if attempt != self._attempt:
            return
        self._compare(info, received_to, hole)
        delivered = 0 if consumer.delivered is None else consumer.delivered.consumer_seq
        if consumer.num_pending == 0 and delivered == self._consumer_sequence:
            # Everything that matched and was stored before `info` was requested has arrived.
            self._received_to = max(self._received_to, info.state.last_seq + 1)

    # Messages

    def _request(self) -> None:
        """Requests messages if there is room for them."""
        if self._subscription is None or self._stale.is_set():
            return
        if self._requested >= REQUEST_MESSAGES // 2 or self._arrivals.size_bytes > MAX_BUFFERED_BYTES:
            return
        count = min(REQUEST_MESSAGES, self._max_pending - len(self._arrivals) - self._requested)
        if count < min(REQUEST_MESSAGES // 2, self._max_pending // 2, self._max_pending - self._requested):
            return
        self._requested += count
        task = asyncio.ensure_future(self._send_request(count))
        self._requests.add(task)
        task.add_done_callback(self._requests.discard)

    async def _send_request(self, count: int) -> None:
        body = {
            "batch": count,
            "max_bytes": REQUEST_BYTES,
            "expires": int(REQUEST_SECONDS * 1e9),
            "idle_heartbeat": int(HEARTBEAT_SECONDS * 1e9),
        }
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._consumer}"
        try:
            with translated(self._stream):
                await self._client.publish(subject, json.dumps(body).encode(), reply=self._inbox)
        except BusError:
            self._stale.set()

    def _receive(self, message: Msg) -> None:
        self._heard_at = self._now()
        # "$JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time>.<pending>", with two
        # more tokens before the stream's name if the server has a domain (NATS ADR-15).
        fields = message.reply.split(".")
        if len(fields) < 9 or fields[1] != "ACK":
            self._status(message.headers or {})
            return
        place = 5 if len(fields) == 9 else 7
        sequence, consumer_sequence = int(fields[place]), int(fields[place + 1])
        if consumer_sequence != self._consumer_sequence + 1:
            self._stale.set()  # a message was lost; the next consumer delivers it again
            return
        self._consumer_sequence = consumer_sequence
        self._requested = max(0, self._requested - 1)
        if sequence > self._received_to and self._hole is None:
            self._hole = self._received_to
        self._received_to = sequence + 1
        stored_at_ms = int(fields[place + 2]) // 1_000_000
        self._arrivals.add(
            StoredMessage(message.subject, message.data, sequence, stored_at_ms, message.headers or {})
        )
        self._request()

    def _status(self, headers: dict[str, str]) -> None:
        status = headers.get("Status")
        if status == "100":
            return
        if status in ("404", "408", "409") and PENDING_MESSAGES in headers:
            # The request ended with this many messages undelivered: it expired, or reached its size.
            self._requested = max(0, self._requested - int(headers[PENDING_MESSAGES]))
            self._request()
            return
        self._stale.set()  # the consumer or its server is gone
