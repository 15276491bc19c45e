"""The `Runtime` of a service that a test runs in its own process."""

from nexus_bus import Bus, MemoryBus
from nexus_runtime import Clock, Life, MetricSet, Runtime
from prometheus_client import CollectorRegistry


def make_runtime(service: str, bus: Bus | None = None, clock: Clock | None = None) -> Runtime:
    """A runtime with its own metrics registry; `bus` defaults to one in memory."""
    metrics = MetricSet(service, CollectorRegistry())
    return Runtime.around(service, bus or MemoryBus(), metrics, Life(), clock)
