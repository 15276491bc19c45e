"""Webhooks in the Standard Webhooks form: signed, in order for each room, retried for days."""

from nexus_webhooks.core.endpoint_queue import QueueLimits
from nexus_webhooks.core.schedule import Schedule
from nexus_webhooks.deliverer import DelivererConfig, WebhookDeliverer
from nexus_webhooks.endpoints import Endpoint, EndpointRules, parse_endpoints
from nexus_webhooks.event import EventSource, WebhookEvent, make_body
from nexus_webhooks.overview import EndpointOverview, UnknownEndpoint
from nexus_webhooks.recordings import RECORDINGS
from nexus_webhooks.sender import SenderConfig

__all__ = [
    "RECORDINGS",
    "DelivererConfig",
    "Endpoint",
    "EndpointOverview",
    "EndpointRules",
    "EventSource",
    "QueueLimits",
    "Schedule",
    "SenderConfig",
    "UnknownEndpoint",
    "WebhookDeliverer",
    "WebhookEvent",
    "make_body",
    "parse_endpoints",
]
