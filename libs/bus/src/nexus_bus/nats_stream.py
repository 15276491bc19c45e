"""Durable streams on JetStream, as far as job queues and QoE samples need them."""

import nats.errors
import nats.js.errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, RetentionPolicy, StreamConfig

from nexus_bus.bus import DurableMessage, StreamSpec
from nexus_bus.matching import check_pattern, check_replicas
from nexus_bus.nats_errors import STREAM_NAME_IN_USE, translated

PUBLISH_TIMEOUT_SECONDS = 5.0


async def ensure_stream(js: JetStreamContext, spec: StreamSpec) -> None:
    config = StreamConfig(
        name=spec.name,
        subjects=list(spec.subjects),
        retention=RetentionPolicy.WORK_QUEUE if spec.work_queue else RetentionPolicy.LIMITS,
        max_age=spec.max_age_seconds,
        max_bytes=spec.max_bytes,
        duplicate_window=min(120.0, spec.max_age_seconds),
        num_replicas=check_replicas(spec.replicas),
    )
    with translated(f"stream {spec.name}"):
        try:
            await js.add_stream(config)
        except nats.js.errors.BadRequestError as error:
            if error.err_code != STREAM_NAME_IN_USE:
                raise
            await js.update_stream(config)


async def publish_durable(js: JetStreamContext, subject: str, payload: bytes, message_id: str | None) -> None:
    headers = {} if message_id is None else {"Nats-Msg-Id": message_id}
    with translated(subject):
        await js.publish(subject, payload, timeout=PUBLISH_TIMEOUT_SECONDS, headers=headers)


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
            except nats.errors.TimeoutError:
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
