"""A watch on a KV bucket that survives outages.

NATS delivers a watch through an ephemeral consumer. It ends with the server, may drop messages to a slow
client, and does not report what changed in between. So each watch has one task that attaches (lists the keys
that exist, then follows changes), detects that it is stale (a reconnect, a gap in the consumer's sequence, no
heartbeat), and attaches again. `Changes` delivers only what is new, including keys deleted in between.
"""

import asyncio
import itertools

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from nexus_bus.bus import BusError, NotConnected
from nexus_bus.mailbox import Changes
from nexus_bus.nats_errors import translated

log = structlog.get_logger()

HEARTBEAT_SECONDS = 5.0
# Silence after which the consumer counts as gone: two heartbeats may be late, three may not.
SILENCE_SECONDS = 3 * HEARTBEAT_SECONDS
RETRY_SECONDS = 0.5
MAX_PENDING = 65_536

OPERATION = "KV-Operation"
# Header that the server sets on the marker of an expired key (nats-server 2.11, ADR-43).
MARKER_REASON = "Nats-Marker-Reason"
LAST_CONSUMER_SEQUENCE = "Nats-Last-Consumer"


def is_tombstone(headers: dict[str, str] | None) -> bool:
    return headers is not None and (headers.get(OPERATION) in ("DEL", "PURGE") or MARKER_REASON in headers)


class NatsWatch:
    """Feeds one `Changes`. `start` returns once the first listing has been requested."""

    def __init__(self, client: Client, js: JetStreamContext, stream: str, prefix: str, pattern: str) -> None:
        self._client = client
        self._js = js
        self._stream = stream
        self._prefix = prefix
        self._pattern = pattern
        self.changes = Changes(self.close)
        self._attempts = itertools.count(1)
        self._attempt = 0
        self._subscription: NatsSubscription | None = None
        self._sequence = 0
        self._listing = False
        self._stale = asyncio.Event()
        self._heard = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    async def start(self) -> None:
        try:
            await self._attach()
        except BaseException:
            await self.close()
            raise
        self._task = asyncio.create_task(self._follow(), name=f"watch {self._prefix}{self._pattern}")

    def reconnected(self) -> None:
        self._stale.set()

    async def close(self) -> None:
        self._closing = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._detach()
        self.changes.end()

    async def _follow(self) -> None:
        # `wait_for` of Python 3.11, which nats-py uses, loses a cancellation that comes together with an
        # answer.
        while not self._closing:
            await self._until_stale()
            try:
                await self._attach()
            except BusError as error:
                log.debug("watch_not_attached", stream=self._stream, pattern=self._pattern, error=repr(error))
                self._stale.set()
                await asyncio.sleep(RETRY_SECONDS)

    async def _until_stale(self) -> None:
        while not self._stale.is_set() and not self._closing:
            self._heard.clear()
            heard = asyncio.create_task(self._heard.wait())
            stale = asyncio.create_task(self._stale.wait())
            try:
                done, _ = await asyncio.wait(
                    {heard, stale}, timeout=SILENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )
            finally:
                heard.cancel()
                stale.cancel()
            if not done and self._client.is_connected:
                log.warning("watch_silent", stream=self._stream, pattern=self._pattern)
                return

    async def _attach(self) -> None:
        await self._detach()
        if not self._client.is_connected:
            raise NotConnected(self._stream)  # `_follow` attaches again after the reconnect
        self._attempt = next(self._attempts)
        attempt = self._attempt
        self._stale.clear()
        self._sequence = 0
        self._listing = True
        self.changes.begin_listing()
        inbox = self._client.new_inbox()

        async def receive(message: Msg) -> None:
            # Messages of an earlier consumer that are still in transit are not part of this listing.
            if attempt == self._attempt:
                self._receive(message)

        with translated(f"watch {self._stream}"):
            self._subscription = await self._client.subscribe(
                inbox, cb=receive, pending_msgs_limit=MAX_PENDING
            )
            consumer = await self._js.add_consumer(
                self._stream,
                ConsumerConfig(
                    deliver_subject=inbox,
                    deliver_policy=DeliverPolicy.LAST_PER_SUBJECT,
                    ack_policy=AckPolicy.NONE,
                    filter_subject=f"{self._prefix}{self._pattern}",
                    idle_heartbeat=HEARTBEAT_SECONDS,
                    inactive_threshold=SILENCE_SECONDS,
                    mem_storage=True,
                    num_replicas=1,
                    max_deliver=1,
                ),
            )
        # With nothing to list, no message comes that could mark the end of the listing.
        if consumer.num_pending == 0 and self._sequence == 0:
            self._listed()

    async def _detach(self) -> None:
        subscription, self._subscription = self._subscription, None
        self._attempt = 0
        if subscription is not None and not self._client.is_closed:
            with translated("unsubscribe"):
                await subscription.unsubscribe()

    def _receive(self, message: Msg) -> None:
        self._heard.set()
        headers = message.headers
        if headers is not None and headers.get("Status") is not None:
            self._heartbeat(headers)
            return
        metadata = message.metadata
        if metadata.sequence.consumer != self._sequence + 1:
            self._stale.set()  # a message was lost; a new listing contains its state
            return
        self._sequence = metadata.sequence.consumer
        key = message.subject[len(self._prefix) :]
        value = None if is_tombstone(headers) else message.data
        self.changes.observe(key, value, metadata.sequence.stream)
        if self._listing and metadata.num_pending == 0:
            self._listed()

    def _heartbeat(self, headers: dict[str, str]) -> None:
        if int(headers.get(LAST_CONSUMER_SEQUENCE, self._sequence)) != self._sequence:
            self._stale.set()

    def _listed(self) -> None:
        self._listing = False
        self.changes.synced()
