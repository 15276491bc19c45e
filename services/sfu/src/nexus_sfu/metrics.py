"""What Prometheus reads: counts of what happened, and the engine's own stats as of the last read-out."""

from collections.abc import Iterable

from nexus_runtime import MetricSet
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from nexus_sfu.engine_port import EngineStats

# Engine counters: stats field → metric, help.
_COUNTERS = {
    "datagrams_in": "Datagrams received.",
    "bytes_in": "Bytes received.",
    "datagrams_out": "Datagrams sent.",
    "bytes_out": "Bytes sent.",
    "gso_runs": "Sends with more than one segment.",
    "gso_segments": "Segments in those sends.",
    "gso_fallbacks": "Paths that had no GSO.",
    "tcp_accepted": "ICE-TCP connections accepted.",
    "tcp_refused": "ICE-TCP connections refused or closed: too many, no valid check, bad framing.",
    "events_dropped": "Engine events that did not fit into the ring.",
}


class Metrics:
    def __init__(self, metrics: MetricSet) -> None:
        counter, gauge = metrics.counter, metrics.gauge
        self.requests = counter("requests", "gRPC requests by method and outcome.", "method", "code")
        self.connected = counter("transports_connected", "Transports up, by profile.", "srtp_profile")
        self.failed = counter("transports_failed", "Transports lost, by the engine's reason.", "reason")
        self.commands_rejected = counter("engine_commands_rejected", "Commands for ids gone.", "reason")
        self.engine_refusals = counter("engine_refusals", "Descriptions that the engine could not use.")
        self.engine_event_failures = counter("engine_event_failures", "Engine events that failed here.")
        self.events_published = counter("room_events", "Room events handed to NATS, by kind.", "event")
        self.events_dropped = counter("room_events_dropped", "Room events that did not fit the buffer.")
        self.undecodable = counter("tracks_undecodable", "Subscribers told that they cannot decode a track.")
        self.heartbeats_failed = counter("heartbeats_failed", "Heartbeats that NATS did not take.")
        self.stream_packets = counter("stream_packets", "Packets given to readers of StreamTrack.")
        self.stream_packets_dropped = counter(
            "stream_packets_dropped", "Packets that readers of StreamTrack were too slow for."
        )
        self.streams = gauge("streams", "StreamTrack calls under way.")
        self.rooms = gauge("rooms", "Rooms on this node.")
        self.participants = gauge("participants", "Participants on this node.")
        self.tracks = gauge("tracks", "Published tracks on this node.", "kind")
        self.engine = EngineCollector()
        metrics.add(self.engine)


class EngineCollector(Collector):
    """The last `EngineReport`. Counters are the engine's own, from the start of the process."""

    def __init__(self) -> None:
        self._stats: EngineStats | None = None

    def update(self, stats: EngineStats) -> None:
        self._stats = stats

    def collect(self) -> Iterable[Metric]:
        stats = self._stats
        if stats is None:
            return
        for field, text in _COUNTERS.items():
            value = float(getattr(stats, field))
            yield CounterMetricFamily(f"nexus_sfu_engine_{field}", text, value=value)
        cpu = "CPU time of the media threads."
        yield CounterMetricFamily("nexus_sfu_engine_cpu_seconds", cpu, value=stats.cpu_seconds)
        yield GaugeMetricFamily("nexus_sfu_engine_transports", "Transports.", value=stats.transports)
        tcp = "ICE-TCP connections that are open."
        yield GaugeMetricFamily("nexus_sfu_engine_tcp_connections", tcp, value=stats.tcp_connections)
        drops = CounterMetricFamily("nexus_sfu_engine_drops", "Packets dropped.", labels=["reason"])
        for reason, count in stats.drops.items():
            drops.add_metric([reason], count)
        yield drops
