"""The bus on NATS, through nats-py. It reconnects without limit; the `Bus` interface documents what callers
observe during an outage."""

import asyncio
import weakref
from collections.abc import Callable, Mapping
from typing import Self

import nats
import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription

from nexus_bus.bus import (
    ConnectionListener,
    KeyValue,
    Message,
    NotConnected,
    PayloadTooLarge,
    PullConsumer,
    StreamSpec,
    Subscription,
)
from nexus_bus.mailbox import Mailbox
from nexus_bus.matching import check_bucket, check_pattern, check_subject
from nexus_bus.nats_errors import translated
from nexus_bus.nats_kv import NatsKeyValue, open_bucket
from nexus_bus.nats_publisher import NatsPublisher
from nexus_bus.nats_reader import NatsStreamReader, bounds
from nexus_bus.nats_stream import (
    describe_stream,
    ensure_stream,
    next_message,
    open_pull,
    publish_headers,
)
from nexus_bus.nats_watch import NatsWatch
from nexus_bus.stream_reader import StoredMessage, StreamBounds, StreamReader

log = structlog.get_logger()

MAX_BUFFERED_BYTES = 8 << 20
RECONNECT_WAIT_SECONDS = 1
# Interval between pings; a dead link is detected after two of them go unanswered.
PING_INTERVAL_SECONDS = 10
JETSTREAM_TIMEOUT_SECONDS = 5.0


class NatsBus:
    """A `Bus`, created by `connect` or `open`."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._js = client.jetstream(timeout=JETSTREAM_TIMEOUT_SECONDS)
        self._publisher = NatsPublisher(client)
        self._listeners: list[ConnectionListener] = []
        self._mailboxes: dict[NatsSubscription, Mailbox] = {}
        self._watches: weakref.WeakSet[NatsWatch | NatsStreamReader] = weakref.WeakSet()
        self._publishes_dropped = 0
        self._last_error = ""
        self._closing = False
        self._connecting: asyncio.Task[None] | None = None

    @classmethod
    def open(cls, url: str, name: str) -> Self:
        """Returns at once and connects in the background, retrying without limit.

        Until it is connected, every method raises NotConnected, except `publish`, which drops and counts.
        Listeners are also called for the first connection.
        """
        bus = cls(Client())
        bus._connecting = asyncio.create_task(bus._connect_first(url, name), name="nats-connect")
        return bus

    async def _connect_first(self, url: str, name: str) -> None:
        while True:
            try:
                await self._connect(url, name)
                break
            except (TimeoutError, OSError, nats.errors.Error) as error:
                await self._on_error(error)
                await asyncio.sleep(RECONNECT_WAIT_SECONDS)
        self._notify(True)

    @classmethod
    async def connect(cls, url: str, name: str, timeout_seconds: float | None = 30.0) -> Self:
        """Connects, retrying for `timeout_seconds` (None: without limit). `url` may list several servers,
        separated by commas; the server's monitoring shows `name`. Raises NotConnected."""
        bus = cls(Client())
        try:
            async with asyncio.timeout(timeout_seconds):
                await bus._connect(url, name)
        except (TimeoutError, OSError, nats.errors.Error) as error:
            await bus.close()
            raise NotConnected(f"no NATS server is reachable at {url}") from error
        return bus

    async def _connect(self, url: str, name: str) -> None:
        await self._client.connect(
            servers=url.split(","),
            name=name,
            allow_reconnect=True,
            max_reconnect_attempts=-1,
            reconnect_time_wait=RECONNECT_WAIT_SECONDS,
            ping_interval=PING_INTERVAL_SECONDS,
            pending_size=MAX_BUFFERED_BYTES,
            disconnected_cb=self._on_disconnected,
            reconnected_cb=self._on_reconnected,
            error_cb=self._on_error,
        )
        self._last_error = ""
        server = self._client.connected_url
        log.info("nats_connected", server=server.netloc if server else url)

    @property
    def connected(self) -> bool:
        return self._client.is_connected

    @property
    def publishes_dropped(self) -> int:
        return self._publishes_dropped

    def on_connection(self, listener: ConnectionListener) -> None:
        self._listeners.append(listener)

    async def _on_disconnected(self) -> None:
        if not self._closing:
            log.warning("nats_disconnected")
        self._notify(False)

    async def _on_reconnected(self) -> None:
        log.info("nats_reconnected")
        self._last_error = ""
        for watch in list(self._watches):
            watch.reconnected()
        self._notify(True)

    def _notify(self, connected: bool) -> None:
        for listener in self._listeners:
            listener(connected)

    async def _on_error(self, error: Exception) -> None:
        if isinstance(error, nats.errors.SlowConsumerError):
            mailbox = self._mailboxes.get(error.sub)
            if mailbox is not None:
                mailbox.count_dropped()
            return
        # Every attempt to reconnect fails in the same way, so each error is logged once.
        text = repr(error)
        if text != self._last_error:
            self._last_error = text
            log.warning("nats_error", error=text)

    def _check_connected(self) -> None:
        if not self._client.is_connected:
            raise NotConnected("no NATS server is reachable")

    async def publish(self, subject: str, payload: bytes) -> None:
        check_subject(subject)
        if self._connecting is not None and not self._connecting.done():
            self._publishes_dropped += 1
            return
        try:
            await self._client.publish(subject, payload)
        except nats.errors.MaxPayloadError:
            raise PayloadTooLarge(f"{len(payload)} bytes to {subject}") from None
        except nats.errors.Error:
            self._publishes_dropped += 1

    async def subscribe(
        self, subject: str, queue: str | None = None, max_pending: int = 4096
    ) -> Subscription:
        self._check_connected()
        check_pattern(subject)

        async def leave() -> None:
            self._mailboxes.pop(subscription, None)
            if not self._client.is_closed:
                with translated(subject):
                    await subscription.unsubscribe()

        async def receive(message: Msg) -> None:
            mailbox.deliver(Message(message.subject, message.data, message.reply or None))

        mailbox = Mailbox(max_pending, leave)
        with translated(subject):
            subscription = await self._client.subscribe(
                subject, queue=queue or "", cb=receive, pending_msgs_limit=max(max_pending, 1024)
            )
            self._mailboxes[subscription] = mailbox
            # Once the flush returns, the server knows the subscription: no later message is missed.
            await self._client.flush()
        return mailbox

    async def request(self, subject: str, payload: bytes, timeout_seconds: float = 2.0) -> bytes:
        self._check_connected()
        check_subject(subject)
        with translated(subject):
            answer: bytes = (await self._client.request(subject, payload, timeout=timeout_seconds)).data
        return answer

    async def kv(
        self, bucket: str, ttl_seconds: float | None = None, replicas: int | None = None
    ) -> KeyValue:
        self._check_connected()
        stream = await open_bucket(self._js, check_bucket(bucket), ttl_seconds, replicas)
        return NatsKeyValue(self._client, self._js, bucket, stream, self._watches.add)

    async def ensure_stream(self, stream: StreamSpec) -> None:
        self._check_connected()
        await ensure_stream(self._js, stream)

    async def describe_stream(self, stream: str) -> StreamSpec:
        self._check_connected()
        return await describe_stream(self._js, check_bucket(stream))

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
        answer = await self.send_durable(
            subject,
            payload,
            message_id,
            expected_last_sequence=expected_last_sequence,
            expected_subject=expected_subject,
            headers=headers,
            ttl_seconds=ttl_seconds,
        )
        return await answer

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
        self._check_connected()
        sent = publish_headers(message_id, expected_last_sequence, expected_subject, headers, ttl_seconds)
        return await self._publisher.send(check_subject(subject), payload, sent)

    async def bounds(self, stream: str, filter_subject: str = ">") -> StreamBounds:
        self._check_connected()
        return await bounds(self._js, check_bucket(stream), check_pattern(filter_subject))

    async def next_message(
        self, stream: str, from_sequence: int, filter_subject: str = ">"
    ) -> StoredMessage | None:
        self._check_connected()
        return await next_message(
            self._js, check_bucket(stream), from_sequence, check_pattern(filter_subject)
        )

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
        reader = NatsStreamReader(
            self._client,
            self._js,
            check_bucket(stream),
            check_pattern(filter_subject),
            from_sequence,
            max_pending,
            on_arrival,
        )
        self._watches.add(reader)
        await reader.start()
        return reader

    async def pull(
        self,
        stream: str,
        consumer: str,
        ack_wait_seconds: float = 30.0,
        filter_subject: str | None = None,
    ) -> PullConsumer:
        self._check_connected()
        return await open_pull(self._js, stream, consumer, ack_wait_seconds, filter_subject)

    async def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        for watch in list(self._watches):
            await watch.close()
        await self._publisher.close()
        if self._client.is_connected:
            try:
                await self._client.flush()
            except nats.errors.Error:
                log.warning("nats_not_flushed")
        await self._client.close()
        for mailbox in list(self._mailboxes.values()):
            mailbox.end()
        self._mailboxes.clear()
