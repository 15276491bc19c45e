"""The headers of a webhook (Standard Webhooks 1.0, "Webhook headers")."""

from collections.abc import Sequence
from datetime import UTC, datetime

from standardwebhooks import Webhook

from nexus_webhooks.event import WebhookEvent


def signed_headers(event: WebhookEvent, secrets: Sequence[str], now_epoch_ms: int) -> dict[str, str]:
    """The headers of one attempt. `now_epoch_ms` is its time, which receivers compare with their clocks; the
    id is the same in every attempt."""
    seconds = now_epoch_ms // 1000
    body = event.body.decode()
    at = datetime.fromtimestamp(seconds, UTC)
    signatures = [Webhook(secret).sign(msg_id=event.id, timestamp=at, data=body) for secret in secrets]
    return {
        "webhook-id": event.id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(signatures),
    }
