"""The metrics of webhooks. The label `endpoint` has ids of endpoints that the operator has configured."""

from nexus_runtime import MetricSet


class WebhookMetrics:
    def __init__(self, metrics: MetricSet) -> None:
        counter, gauge = metrics.counter, metrics.gauge
        self.attempts = counter("webhook_attempts", "Attempts by result: ok or why they failed.", "result")
        self.attempt_seconds = metrics.histogram("webhook_attempt_seconds", "Duration of attempts.")
        self.delivered = counter("webhook_delivered", "Events delivered.", "endpoint")
        self.given_up = counter("webhook_given_up", "Events given up after the last attempt.", "endpoint")
        self.undeliverable = counter(
            "webhook_undeliverable", "Events not sent because their JSON is too large.", "endpoint"
        )
        self.dropped = counter(
            "webhook_dropped", "Gaps in streams: the broker dropped messages before they were read."
        )
        self.malformed = counter("webhook_malformed", "Messages of streams that are not events.")
        self.waiting = gauge("webhook_waiting_rooms", "Rooms with events to deliver.", "endpoint")
        self.waited = gauge(
            "webhook_waited_seconds", "How long the room that waits longest has waited.", "endpoint"
        )
        self.disabled = gauge("webhook_disabled", "1 while an endpoint is disabled (410).", "endpoint")
        self.running = gauge("webhook_endpoints_running", "Endpoints for which this replica delivers.")
        self.superseded = counter("webhook_superseded", "Runs that ended because another owner was found.")

    def forget(self, endpoint_id: str) -> None:
        """Removes the gauges of an endpoint for which another replica delivers now."""
        for each in (self.waiting, self.waited, self.disabled):
            each.remove(endpoint_id)
