"""The SFU's metrics: its own counters, and the engine's last stats."""

from collections.abc import Iterable

from nexus_runtime import MetricSet
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from nexus_sfu.engine_port import EngineStats

# The engine's counters: field of its stats, which is also the metric's name → help text.
_COUNTERS = {
    "datagrams_in": "Datagrams received.",
    "bytes_in": "Bytes received.",
    "datagrams_out": "Datagrams sent.",
    "bytes_out": "Bytes sent.",
    "gso_runs": "Sends with more than one segment (UDP GSO).",
    "gso_segments": "Segments in these sends.",
    "gso_fallbacks": "Paths without GSO.",
    "tcp_accepted": "ICE-TCP connections accepted.",
    "tcp_refused": "ICE-TCP connections refused or closed: too many, no valid check, bad framing.",
    "events_dropped": "Engine events that did not fit into the ring.",
}


class Metrics:
    def __init__(self, metrics: MetricSet) -> None:
        counter, gauge = metrics.counter, metrics.gauge
        self.requests = counter("requests", "gRPC requests by method and outcome.", "method", "code")
        self.connected = counter("transports_connected", "Connected transports, by profile.", "srtp_profile")
        self.failed = counter("transports_failed", "Failed transports, by the engine's reason.", "reason")
        self.commands_rejected = counter(
            "engine_commands_rejected", "Commands that the engine rejected, by reason.", "reason"
        )
        self.engine_refusals = counter("engine_refusals", "Descriptions that the engine refused.")
        self.engine_event_failures = counter(
            "engine_event_failures", "Engine events whose handling failed in the service."
        )
        self.events_published = counter("room_events", "Room events published to NATS, by kind.", "event")
        self.events_dropped = counter("room_events_dropped", "Room events dropped from the full buffer.")
        self.undecodable = counter(
            "tracks_undecodable", "Notifications to subscribers that they cannot decode a track."
        )
        self.heartbeats_failed = counter("heartbeats_failed", "Heartbeats that NATS did not store.")
        self.stream_packets = counter("stream_packets", "Packets sent to readers of StreamTrack.")
        self.stream_packets_dropped = counter(
            "stream_packets_dropped", "Packets dropped because readers of StreamTrack were too slow."
        )
        self.tap_packets_dropped = counter(
            "tap_packets_dropped", "Packets that named taps dropped before they were acknowledged."
        )
        self.tap_retained_bytes = gauge("tap_retained_bytes", "Size of the records that named taps keep.")
        self.named_taps = gauge("named_taps", "Taps that outlive their readers.")
        self.streams = gauge("streams", "StreamTrack calls in progress.")
        self.rooms = gauge("rooms", "Rooms on this node.")
        self.participants = gauge("participants", "Participants on this node.")
        self.tracks = gauge("tracks", "Published tracks on this node.", "kind")
        self.engine = EngineCollector()
        metrics.add(self.engine)


class EngineCollector(Collector):
    """The engine's last stats. Its counters begin at the start of the process."""

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
        tcp = "Open ICE-TCP connections."
        yield GaugeMetricFamily("nexus_sfu_engine_tcp_connections", tcp, value=stats.tcp_connections)
        drops = CounterMetricFamily("nexus_sfu_engine_drops", "Packets dropped.", labels=["reason"])
        for reason, count in stats.drops.items():
            drops.add_metric([reason], count)
        yield drops
