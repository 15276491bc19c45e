"""Replicas in one process, for tests of jobs on any bus."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from nexus_bus import Bus
from nexus_runtime import Clock, MetricSet, SystemClock
from prometheus_client import CollectorRegistry

from nexus_jobs.config import JobsConfig
from nexus_jobs.core.job import STOPPED, Capacity, Job, Outcome
from nexus_jobs.core.timing import Timing
from nexus_jobs.lease import Lease
from nexus_jobs.metrics import JobMetrics
from nexus_jobs.queue import JobQueue, JobRequest
from nexus_jobs.records import JobRecords
from nexus_jobs.worker import RETURNED, Handler, JobWorker, Returned, Work

# Short enough for tests, and long enough for a loaded machine.
TIMING: Final = Timing(
    heartbeat_ms=200,
    retry_ms=100,
    hold_ms=1_200,
    expiry_ms=1_500,
    operation_ms=1_000,
    report_waiting_ms=200,
    avoid_ms=300,
)
CONFIG: Final = JobsConfig(timing=TIMING)
ONE: Final = Capacity(cpu_millicores=100)
TEN: Final = Capacity(cpu_millicores=1_000)


async def until_told(lease: Lease) -> Outcome | Returned:
    """A handler that works until it is asked to stop or to return its job."""
    while not lease.stop_requested and not lease.return_requested:
        await lease.changed()
    return Outcome(STOPPED) if lease.stop_requested else RETURNED


@dataclass
class Replica:
    """One process: records, a queue, and a worker of class "small"."""

    name: str
    bus: Bus
    records: JobRecords
    queue: JobQueue
    worker: JobWorker
    metrics: MetricSet
    waiting: list[Job]
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def value(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"nexus_test_{name}", labels) or 0.0

    def die(self) -> None:
        """Stops everything at once, without any farewell to the broker."""
        for task in self.tasks:
            task.cancel()
        self.worker.abandon()

    async def close(self) -> None:
        self.die()
        await asyncio.gather(*self.tasks, return_exceptions=True)


@dataclass
class Site:
    """The replicas of one test, around one broker. `kind` is unique, because tests share the NATS server."""

    connect: Callable[[], Awaitable[Bus]]
    kind: str
    replicas: list[Replica] = field(default_factory=list)

    async def replica(
        self,
        handler: Handler = until_told,
        capacity: Capacity = TEN,
        *,
        config: JobsConfig = CONFIG,
        take: bool = True,
        clock: Clock | None = None,
        background: bool = True,
    ) -> Replica:
        """Starts a replica. Without `take` it takes no jobs; without `background` the test does every step
        itself, by `records.tick`, `worker.take_one` and `lease.step`."""
        bus = await self.connect()
        metrics = MetricSet("test", CollectorRegistry())
        waiting: list[Job] = []
        name = f"r{len(self.replicas)}"
        records = JobRecords(
            bus, clock or SystemClock(), config, [self.kind], JobMetrics(metrics), waiting.append
        )
        works = [Work(self.kind, "small", ONE, handler)]
        worker = JobWorker(records, name, "a", capacity, works)
        replica = Replica(name, bus, records, JobQueue(records), worker, metrics, waiting)
        if background:
            replica.tasks.append(asyncio.create_task(records.run()))
        if take and background:
            replica.tasks.append(asyncio.create_task(worker.run()))
        self.replicas.append(replica)
        return replica

    def request(self, **changes: Any) -> JobRequest:
        fields: dict[str, Any] = {
            "app": "app",
            "kind": self.kind,
            "job_class": "small",
            "cost": ONE,
            "queue_timeout_ms": 60_000,
        }
        return JobRequest(**fields | changes)
