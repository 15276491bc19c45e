"""The metrics of one service: every name begins with `nexus_<service>_`.

The values of labels are closed sets: no name that a client chose ever becomes one.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.registry import Collector

# Bounds of the buckets in seconds, from a call on the same host to the longest wait of a client.
FAST_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class MetricSet:
    """Creates a service's metrics in one registry. `service` is its short name, such as ``sfu``."""

    def __init__(self, service: str, registry: CollectorRegistry) -> None:
        self.prefix = f"nexus_{service}_"
        self.registry = registry

    def counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(self.prefix + name, text, labels, registry=self.registry)

    def gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(self.prefix + name, text, labels, registry=self.registry)

    def histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(self.prefix + name, text, labels, registry=self.registry, buckets=FAST_BUCKETS)

    def add(self, collector: Collector) -> None:
        """Registers a collector that names its own metrics; the names must begin with `prefix`."""
        self.registry.register(collector)
