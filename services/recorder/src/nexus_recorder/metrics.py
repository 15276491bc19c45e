"""The recorder's metrics. The values of labels are closed sets: no name that a client chose becomes one."""

from nexus_runtime import MetricSet


class Metrics:
    def __init__(self, metrics: MetricSet) -> None:
        counter, gauge = metrics.counter, metrics.gauge
        self.requests = counter("requests", "gRPC requests by method and outcome.", "method", "code")
        self.recordings = gauge("recordings", "Recordings that exist, of all apps and in every state.")
        self.refused = counter("starts_refused", "Starts refused because there are too many recordings.")
        self.conflicts = counter("record_conflicts", "Changes of a record that another writer preceded.")
        self.events_delayed = counter("events_delayed", "Publications of events that are tried again.")
        self.segments_unreported = counter(
            "segments_unreported", "Segments without an event, because too many events waited."
        )
        self.indications_failed = counter(
            "indications_failed", "Calls that should have set `Room.recording` and failed."
        )
        self.segments_dropped = counter(
            "segment_reports_dropped", "Reports of segments dropped while the broker was unreachable."
        )
        self.runs_ended = counter("runs_ended", "Runs ended by this replica, by conclusion.", "conclusion")
        self.rule_starts = counter("rule_starts", "Starts by rules, by result.", "result")
