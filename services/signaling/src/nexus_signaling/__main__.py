"""Runs signaling: `python -m nexus_signaling`, configured by `NEXUS_SIGNALING_*`."""

import sys

import structlog
from nexus_bus import NatsBus
from nexus_runtime import HealthServer, Life, configure_logs, run
from prometheus_client import REGISTRY

from nexus_signaling.config import SignalingConfig
from nexus_signaling.service import SignalingService

log = structlog.get_logger()


async def main(life: Life) -> None:
    config = SignalingConfig.load()
    bus = await NatsBus.connect(config.nats_url, "signaling")
    try:
        service = SignalingService(config, bus, REGISTRY)
        await service.start()
        life.supervise("nodes", service.follow_nodes())
        life.supervise("closed-rooms", service.follow_closed_rooms())
        life.supervise("sweep", service.sweep())
        async with HealthServer(service.health, config.health_host, config.health_port) as health:
            log.info("ready", port=service.port, health_port=health.port)
            await life.wait_until_stopping()
            await service.shut_down()
    finally:
        await bus.close()


if __name__ == "__main__":
    configure_logs("signaling")
    sys.exit(run(main))
