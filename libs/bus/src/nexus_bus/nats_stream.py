"""Durable streams on JetStream, as far as job queues and QoE samples need them."""

from collections.abc import Mapping
from typing import Final

import nats.js.errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, RetentionPolicy, StreamConfig

from nexus_bus.bus import DurableMessage, StreamMissing, StreamSpec
from nexus_bus.matching import check_pattern, check_replicas, check_subject, check_ttl
from nexus_bus.nats_errors import NO_MESSAGE, STREAM_NAME_IN_USE, translated
from nexus_bus.nats_kv import EXPECTED_LAST, TTL
from nexus_bus.nats_reader import stream_info
from nexus_bus.stream_reader import StoredMessage

DUPLICATE_WINDOW_SECONDS: Final = 120.0
# Header with the subject whose last sequence is expected (seen to work with nats-server 2.15).
EXPECTED_SUBJECT: Final = "Nats-Expected-Last-Subject-Sequence-Subject"
# Prefix of the metadata that the server adds itself.
SERVER_METADATA: Final = "_nats."


async def ensure_stream(js: JetStreamContext, spec: StreamSpec) -> None:
    config = StreamConfig(
        name=spec.name,
        subjects=list(spec.subjects),
        retention=RetentionPolicy.WORK_QUEUE if spec.work_queue else RetentionPolicy.LIMITS,
        max_age=spec.max_age_seconds,
        max_bytes=spec.max_bytes,
        max_msgs_per_subject=spec.max_messages_per_subject or -1,
        duplicate_window=min(DUPLICATE_WINDOW_SECONDS, spec.max_age_seconds or DUPLICATE_WINDOW_SECONDS),
        num_replicas=check_replicas(spec.replicas),
        allow_msg_ttl=spec.message_ttl or None,
        metadata=dict(spec.metadata) or None,
    )
    with translated(f"stream {spec.name}"):
        try:
            await js.add_stream(config)
        except nats.js.errors.BadRequestError as error:
            if error.err_code != STREAM_NAME_IN_USE:
                raise
            await js.update_stream(config)


async def describe_stream(js: JetStreamContext, stream: str) -> StreamSpec:
    config = (await stream_info(js, stream)).config
    metadata = config.metadata or {}
    return StreamSpec(
        name=stream,
        subjects=tuple(config.subjects or ()),
        work_queue=config.retention == RetentionPolicy.WORK_QUEUE,
        max_age_seconds=config.max_age or None,
        max_bytes=-1 if config.max_bytes is None else config.max_bytes,
        replicas=config.num_replicas or 1,
        max_messages_per_subject=config.max_msgs_per_subject if config.max_msgs_per_subject > 0 else None,
        message_ttl=bool(config.allow_msg_ttl),
        metadata={key: value for key, value in metadata.items() if not key.startswith(SERVER_METADATA)},
    )


def publish_headers(
    message_id: str | None,
    expected_last_sequence: int | None,
    expected_subject: str | None,
    headers: Mapping[str, str] | None,
    ttl_seconds: int | None,
) -> dict[str, str]:
    """The headers of a durable publish. Raises ValueError for a lifetime of less than a second, and for a
    subject without a sequence."""
    sent = {} if headers is None else dict(headers)
    if message_id is not None:
        sent["Nats-Msg-Id"] = message_id
    if expected_last_sequence is not None:
        sent[EXPECTED_LAST] = str(expected_last_sequence)
    if expected_subject is not None:
        if expected_last_sequence is None:
            raise ValueError("an expected subject needs an expected sequence")
        sent[EXPECTED_SUBJECT] = check_subject(expected_subject)
    if check_ttl(ttl_seconds) is not None:
        sent[TTL] = f"{ttl_seconds}s"
    return sent


async def next_message(
    js: JetStreamContext, stream: str, from_sequence: int, filter_subject: str
) -> StoredMessage | None:
    with translated(f"stream {stream}"):
        try:
            found = await js.get_msg(stream, max(1, from_sequence), subject=filter_subject, next=True)
        except nats.js.errors.NotFoundError as error:
            if error.err_code == NO_MESSAGE:
                return None
            raise StreamMissing(stream) from error
    stored_at_ms = 0 if found.time is None else round(found.time.timestamp() * 1000)
    return StoredMessage(
        found.subject or "", found.data or b"", found.seq or 0, stored_at_ms, found.headers or {}
    )


class NatsDurableMessage:
    def __init__(self, message: Msg) -> None:
        self._message = message
        self.subject = message.subject
        self.payload = message.data
        self.deliveries = message.metadata.num_delivered or 1

    async def ack(self) -> None:
        with translated(self.subject):
            await self._message.ack()

    async def retry(self, delay_seconds: float = 0.0) -> None:
        with translated(self.subject):
            await self._message.nak(delay=delay_seconds or None)

    async def extend(self) -> None:
        with translated(self.subject):
            await self._message.in_progress()


class NatsPullConsumer:
    def __init__(self, subscription: JetStreamContext.PullSubscription, name: str) -> None:
        self._subscription = subscription
        self._name = name

    async def fetch(self, batch: int = 64, timeout_seconds: float = 1.0) -> list[DurableMessage]:
        with translated(f"consumer {self._name}"):
            try:
                messages = await self._subscription.fetch(batch, timeout=timeout_seconds)
            except TimeoutError:
                # nats-py raises its own, which derives from this, or asyncio's, depending on the moment.
                return []
        return [NatsDurableMessage(message) for message in messages]


async def open_pull(
    js: JetStreamContext, stream: str, consumer: str, ack_wait_seconds: float, filter_subject: str | None
) -> NatsPullConsumer:
    config = ConsumerConfig(
        durable_name=consumer,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ack_wait_seconds,
        filter_subject=None if filter_subject is None else check_pattern(filter_subject),
    )
    with translated(f"consumer {consumer} of {stream}"):
        await js.add_consumer(stream, config)
        # No subject is given: the consumer that is bound by name determines it.
        return NatsPullConsumer(await js.pull_subscribe_bind(consumer=consumer, stream=stream), consumer)
