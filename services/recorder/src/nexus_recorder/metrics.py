"""The recorder's metrics. The values of labels are closed sets: no name that a client chose ever becomes
one."""

from nexus_runtime import MetricSet


class Metrics:
    def __init__(self, metrics: MetricSet) -> None:
        self.requests = metrics.counter("requests", "gRPC requests by method and outcome.", "method", "code")
