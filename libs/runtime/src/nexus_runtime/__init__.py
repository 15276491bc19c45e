"""The frame of every service: configuration, logs, health, metrics, life cycle, clock and errors."""

from nexus_runtime.background import Background
from nexus_runtime.cancelling import cancel_all, run_together
from nexus_runtime.clock import Clock, Now, SystemClock
from nexus_runtime.config import ConfigError, ServiceConfig, TextList, describe, service_settings, setting
from nexus_runtime.errors import ClientError, NexusError
from nexus_runtime.health import Health, HealthServer
from nexus_runtime.identity import name_of_process
from nexus_runtime.lifecycle import Life, run
from nexus_runtime.logs import configure_logs
from nexus_runtime.metrics import MetricSet
from nexus_runtime.service import Runtime, Service, run_service
from nexus_runtime.waiting import is_set_within

__all__ = [
    "Background",
    "ClientError",
    "Clock",
    "ConfigError",
    "Health",
    "HealthServer",
    "Life",
    "MetricSet",
    "NexusError",
    "Now",
    "Runtime",
    "Service",
    "ServiceConfig",
    "SystemClock",
    "TextList",
    "cancel_all",
    "configure_logs",
    "describe",
    "is_set_within",
    "name_of_process",
    "run",
    "run_service",
    "run_together",
    "service_settings",
    "setting",
]
