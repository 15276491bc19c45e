"""What every service needs to live: configuration, logs, health, life cycle, errors."""

from nexus_runtime.config import ConfigError, ServiceConfig, describe, service_settings, setting
from nexus_runtime.errors import ClientError, InternalError, NexusError, PeerError
from nexus_runtime.health import Health, HealthServer
from nexus_runtime.lifecycle import Life, run
from nexus_runtime.logs import configure_logs

__all__ = [
    "ClientError",
    "ConfigError",
    "Health",
    "HealthServer",
    "InternalError",
    "Life",
    "NexusError",
    "PeerError",
    "ServiceConfig",
    "configure_logs",
    "describe",
    "run",
    "service_settings",
    "setting",
]
