"""Signaling's metrics. The values of labels are closed sets: no name that a client chose ever becomes one."""

from nexus_runtime import MetricSet


class Metrics:
    def __init__(self, metrics: MetricSet) -> None:
        counter, gauge, histogram = metrics.counter, metrics.gauge, metrics.histogram
        self.connections = gauge("connections", "Open WebSockets.")
        self.sessions = gauge("sessions", "Joined sessions.")
        self.nodes = gauge("sfu_nodes", "SFU nodes with a fresh heartbeat.")
        self.handshakes_refused = counter("handshakes_refused", "WebSocket handshakes refused.", "code")
        self.joins = counter("joins", "Joins by result: ok or an error code.", "result")
        self.join_seconds = histogram("join_seconds", "Time from a join request to its answer.")
        self.messages_in = counter("messages_in", "Frames received from clients.")
        self.messages_out = counter("messages_out", "Frames sent to clients.")
        self.bytes_in = counter("bytes_in", "Bytes of frames from clients, after inflation.")
        self.bytes_out = counter("bytes_out", "Bytes of frames to clients, before deflation.")
        self.errors = counter("errors", "Errors sent to clients.", "code")
        self.closes = counter("closes", "WebSockets that the server closed, by close code.", "code")
        self.outbox_dropped = counter(
            "outbox_dropped", "Messages dropped because their client did not read them."
        )
        self.snapshots = counter("snapshots", "Snapshots fetched after missed events.", "result")
        self.recording_requests = counter(
            "recording_requests", "Requests about recordings by result: ok or an error code.", "result"
        )
        self.data_requests = counter(
            "data_requests", "Messages from applications' servers by result: ok or an error code.", "result"
        )
        self.leaves_failed = counter("leaves_failed", "Departures that could not be reported to the SFU.")
