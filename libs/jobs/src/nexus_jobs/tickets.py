"""The work queues: one stream for each kind of job, one durable consumer for each class.

A ticket only says that a job needs an owner. The record decides, so a ticket may be delivered twice, late, or
(after a loss) published again.
"""

import asyncio
from dataclasses import dataclass

import structlog
from nexus_bus import Bus, BusError, DurableMessage, PullConsumer, RequestTimeout, StreamSpec, subjects

from nexus_jobs.config import JobsConfig
from nexus_jobs.metrics import JobMetrics
from nexus_jobs.wire import encode_ticket

log = structlog.get_logger()

# How long a replica may take to decide about a ticket, before another replica receives it. Both may then try
# to claim the job, which is harmless. A longer wait would delay a takeover if the replica died.
ACK_WAIT_SECONDS = 2.0
MAX_AGE_SECONDS = 24 * 3600.0
MAX_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class _Queue:
    kind: str
    job_class: str


class TicketOffice:
    """Publishes and fetches tickets. Streams and consumers are created at their first use, and again after a
    failure, because the broker may have lost its storage."""

    def __init__(self, bus: Bus, config: JobsConfig, metrics: JobMetrics) -> None:
        self._bus = bus
        self._config = config
        self._metrics = metrics
        self._streams: set[str] = set()
        self._consumers: dict[_Queue, PullConsumer] = {}

    async def offer(self, kind: str, job_class: str, job_id: str, queueings: int) -> bool:
        """Publishes a ticket; the broker stores each queueing of a job once within two minutes. Returns
        whether it was stored. A ticket that was not is published again by an observer."""
        subject = subjects.job_tickets(kind, job_class)
        try:
            async with asyncio.timeout(self._config.timing.operation_ms / 1000):
                await self._ensure_stream(kind)
                await self._bus.publish_durable(
                    subject, encode_ticket(job_id, queueings), f"{job_id}.{queueings}"
                )
        except (BusError, TimeoutError) as error:
            self._streams.discard(kind)
            self._metrics.tickets_failed.labels(kind).inc()
            log.warning("job_ticket_not_stored", job=job_id, kind=kind, error=repr(error))
            return False
        self._metrics.tickets_offered.labels(kind).inc()
        return True

    async def fetch(self, kind: str, job_class: str, wait_seconds: float) -> DurableMessage | None:
        """The next ticket of a queue, or None if none comes in time. Raises BusError."""
        queue = _Queue(kind, job_class)
        try:
            consumer = self._consumers.get(queue)
            if consumer is None:
                consumer = self._consumers[queue] = await self._open(queue)
            messages = await consumer.fetch(1, wait_seconds)
        except BusError:
            self._consumers.pop(queue, None)
            self._streams.discard(kind)
            raise
        return messages[0] if messages else None

    async def _open(self, queue: _Queue) -> PullConsumer:
        try:
            async with asyncio.timeout(self._config.timing.operation_ms / 1000):
                await self._ensure_stream(queue.kind)
                return await self._bus.pull(
                    subjects.job_stream(queue.kind),
                    subjects.job_consumer(queue.kind, queue.job_class),
                    ACK_WAIT_SECONDS,
                    subjects.job_tickets(queue.kind, queue.job_class),
                )
        except TimeoutError:
            raise RequestTimeout("the broker did not answer") from None

    async def _ensure_stream(self, kind: str) -> None:
        if kind in self._streams:
            return
        await self._bus.ensure_stream(
            StreamSpec(
                subjects.job_stream(kind),
                subjects.job_stream_subjects(kind),
                work_queue=True,
                max_age_seconds=MAX_AGE_SECONDS,
                max_bytes=MAX_BYTES,
                replicas=self._config.replicas,
            )
        )
        self._streams.add(kind)
