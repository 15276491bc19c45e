"""Delivers the webhooks of all apps. The replicas of a service share the endpoints among each other.

Each endpoint has a job, whose owner delivers for it: one process at a time, and another one within seconds
after a death. What is delivered is in the record of the endpoint and outlives the job.
"""

import asyncio
import random
import secrets
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from nexus_bus import Bus, BusError, KeyExists, StreamRecreated
from nexus_jobs import (
    RETURNED,
    Capacity,
    JobError,
    JobMetrics,
    JobQueue,
    JobRecords,
    JobRequest,
    JobsConfig,
    JobWorker,
    Lease,
    Outcome,
    Returned,
    Work,
)
from nexus_runtime import Clock, MetricSet

from nexus_webhooks.core.endpoint_queue import QueueLimits, QueueState
from nexus_webhooks.core.schedule import Schedule
from nexus_webhooks.endpoint_run import EndpointRun, RunParts, Superseded, last_sequence
from nexus_webhooks.endpoints import Endpoint
from nexus_webhooks.event import EventSource
from nexus_webhooks.metrics import WebhookMetrics
from nexus_webhooks.overview import EndpointOverview
from nexus_webhooks.records import EndpointRecords, RecordUnreadable
from nexus_webhooks.sender import Sender, SenderConfig

log = structlog.get_logger()

KIND: Final = "webhook"
JOB_CLASS: Final = "endpoint"
# Outcome of the job of an endpoint that its owner does not know. Replicas that know it create another job.
NOT_CONFIGURED: Final = "NOT_CONFIGURED"
COST: Final = Capacity(cpu_millicores=10)
# Maximum number of endpoints of one replica.
MAX_ENDPOINTS: Final = 1_000
# How often a replica makes sure that its endpoints have jobs.
ENSURE_SECONDS: Final = 30.0
RETRY_SECONDS: Final = 1.0
# How long a job waits for a replica. It is created again by the next one that starts.
QUEUE_TIMEOUT_MS: Final = 24 * 3600 * 1000


def default_jobs() -> JobsConfig:
    """A job that has ended is forgotten at once, so that it can be created again."""
    return JobsConfig(keep_ended_ms=1_000)


@dataclass(frozen=True, slots=True)
class DelivererConfig:
    sender: SenderConfig = field(default_factory=SenderConfig)
    limits: QueueLimits = field(default_factory=QueueLimits)
    schedule: Schedule = field(default_factory=Schedule)
    jobs: JobsConfig = field(default_factory=default_jobs)


class WebhookDeliverer:
    """`replica` names this process. Without endpoints it does nothing."""

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        sources: Sequence[EventSource],
        config: DelivererConfig,
        bus: Bus,
        clock: Clock,
        metrics: MetricSet,
        *,
        replica: str,
        version: str,
        random_source: random.Random,
    ) -> None:
        self._endpoints = {endpoint.id: endpoint for endpoint in endpoints}
        # The endpoints that may have no record yet.
        self._new = set(self._endpoints)
        self._sender = Sender(config.sender, clock, f"nexus-webhooks/{version}")
        records = EndpointRecords(bus, config.jobs.replicas)
        self.overview = EndpointOverview(endpoints, records)
        self._parts = RunParts(
            bus=bus,
            clock=clock,
            records=records,
            sources=tuple(sources),
            post=self._sender.post,
            turns=asyncio.Semaphore(config.sender.max_connections),
            random_source=random_source,
            metrics=WebhookMetrics(metrics),
            schedule=config.schedule,
            limits=config.limits,
        )
        self._job_records = JobRecords(bus, clock, config.jobs, [KIND], JobMetrics(metrics))
        self._job_queue = JobQueue(self._job_records)
        capacity = Capacity(cpu_millicores=COST.cpu_millicores * MAX_ENDPOINTS)
        work = Work(KIND, JOB_CLASS, COST, self._deliver)
        self._worker = JobWorker(self._job_records, replica, secrets.token_hex(4), capacity, [work])

    def set_accepting(self, accepting: bool) -> None:
        """Takes endpoints or not; those that run here continue."""
        self._worker.set_accepting(accepting)

    def has_begun(self) -> bool:
        """Whether every event from now on reaches every endpoint that wants it."""
        return not self._new

    def work(self) -> Mapping[str, Coroutine[Any, Any, None]]:
        """The tasks of this replica, by name."""
        if not self._endpoints:
            return {}
        self._sender.open()
        return {
            "webhook-jobs": self._job_records.run(),
            "webhook-worker": self._worker.run(),
            "webhook-endpoints": self._ensure_forever(),
        }

    async def drain(self, timeout_ms: int) -> None:
        """Finishes the attempts that are being made, and leaves the endpoints to other replicas."""
        await self._worker.drain(timeout_ms)

    async def close(self) -> None:
        await self._worker.close()
        await self._sender.close()

    def abandon(self) -> None:
        """Stops at once and writes nothing, as the death of the process would."""
        self._worker.abandon()

    async def _ensure_forever(self) -> None:
        while True:
            complete = True
            for endpoint in self._endpoints.values():
                try:
                    if endpoint.id in self._new:
                        await self._begin(endpoint)
                        self._new.discard(endpoint.id)
                    await self._job_queue.create(_request(endpoint))
                except (BusError, JobError) as error:
                    complete = False
                    log.debug("webhook_job_not_created", endpoint=endpoint.id, error=repr(error))
            await asyncio.sleep(ENSURE_SECONDS if complete else RETRY_SECONDS)

    async def _begin(self, endpoint: Endpoint) -> None:
        """Writes the first record of a new endpoint. It gets what happens from now on, although its job may
        be taken later."""
        try:
            if (await self._parts.records.read(endpoint)).revision:
                return
        except RecordUnreadable:
            log.error("webhook_record_unreadable", endpoint=endpoint.id)
            return
        streams = [source.stream for source in self._parts.sources]
        positions = {stream: await last_sequence(self._parts.bus, stream) for stream in streams}
        with suppress(KeyExists):  # another replica was faster
            await self._parts.records.write(endpoint, 0, QueueState(positions), 0)

    async def _deliver(self, lease: Lease) -> Outcome | Returned:
        """The handler of a job."""
        endpoint = self._endpoints.get(lease.job.payload.decode(errors="replace"))
        if endpoint is None:
            return Outcome(NOT_CONFIGURED)
        log.info("webhook_endpoint_taken", endpoint=endpoint.id, app=endpoint.app, host=endpoint.host)
        run = EndpointRun(endpoint, self._parts, lease.confirmed)
        reasons: list[str] = []
        try:
            await run.run(_returned(lease))
        except* (Superseded, StreamRecreated) as interrupted:
            reasons += [type(error).__name__ for error in interrupted.exceptions]
        log.info("webhook_endpoint_left", endpoint=endpoint.id, reasons=reasons)
        return RETURNED


async def _returned(lease: Lease) -> None:
    """Returns when the owner is to leave the job."""
    while not lease.return_requested and not lease.stop_requested:
        await lease.changed()


def _request(endpoint: Endpoint) -> JobRequest:
    return JobRequest(
        app=endpoint.app,
        kind=KIND,
        job_class=JOB_CLASS,
        cost=COST,
        queue_timeout_ms=QUEUE_TIMEOUT_MS,
        payload=endpoint.id.encode(),
        request_id=endpoint.id,
    )
