"""Deliverers and publishers of recordings' events, for tests on any bus."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from nexus.recorder.v1 import recording_pb2
from nexus_bus import Bus, StreamSpec, subjects
from nexus_jobs import JobsConfig
from nexus_jobs.testing import TIMING
from nexus_runtime import Clock, MetricSet, SystemClock, cancel_all
from nexus_webhooks import (
    RECORDINGS,
    DelivererConfig,
    Endpoint,
    EndpointRules,
    Schedule,
    SenderConfig,
    WebhookDeliverer,
    parse_endpoints,
)
from prometheus_client import CollectorRegistry

from libs.webhooks.tests.receiver import SECRET

APP = "shop"
STREAM = StreamSpec(subjects.RECORDINGS_STREAM, subjects.RECORDINGS_STREAM_SUBJECTS)
RULES = EndpointRules(RECORDINGS.types, allow_http=True)
# Retries that a test can wait for.
FAST = Schedule(delays_ms=(50, 100, 200, 400) + (500,) * 100)


def endpoint(url: str, **fields: Any) -> Endpoint:
    entry = {"url": url, "secret": SECRET} | fields
    (found,), faults = parse_endpoints(APP, [entry], RULES)
    assert not faults
    return found


def event(room: str, number: int, kind: str = "paused", app: str = APP) -> recording_pb2.RecordingEvent:
    made = recording_pb2.RecordingEvent(
        app=app, room=room, recording_id=f"RC_{room}", number=number, at_ms=1_770_000_000_000 + number
    )
    getattr(made, kind).SetInParent()
    return made


async def publish(bus: Bus, made: recording_pb2.RecordingEvent) -> None:
    await bus.publish_durable(subjects.recording_events(made.app, made.room), made.SerializeToString())


@dataclass
class Replica:
    deliverer: WebhookDeliverer
    metrics: MetricSet
    tasks: list[asyncio.Task[None]]

    def value(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"nexus_test_{name}", labels) or 0.0

    def die(self) -> None:
        for task in self.tasks:
            task.cancel()
        self.deliverer.abandon()


def make_deliverer(
    bus: Bus,
    endpoints: list[Endpoint],
    metrics: MetricSet,
    *,
    schedule: Schedule = FAST,
    clock: Clock | None = None,
    sender: SenderConfig | None = None,
    replica: str = "a",
) -> WebhookDeliverer:
    config = DelivererConfig(
        sender=sender or SenderConfig(allow_private=True, timeout_ms=1_000),
        schedule=schedule,
        jobs=JobsConfig(timing=TIMING, keep_ended_ms=1_000),
    )
    return WebhookDeliverer(
        endpoints,
        [RECORDINGS],
        config,
        bus,
        clock or SystemClock(),
        metrics,
        replica=replica,
        version="0",
        random_source=random.Random(1),
    )


@asynccontextmanager
async def delivering(bus: Bus, *endpoints: Endpoint, **options: Any) -> AsyncIterator[Replica]:
    """A running replica."""
    metrics = MetricSet("test", CollectorRegistry())
    deliverer = make_deliverer(bus, list(endpoints), metrics, **options)
    tasks = [asyncio.create_task(work) for work in deliverer.work().values()]
    replica = Replica(deliverer, metrics, tasks)
    try:
        yield replica
    finally:
        await cancel_all(tasks)
        await deliverer.close()
