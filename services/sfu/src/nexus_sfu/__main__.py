"""`python -m nexus_sfu`: reads the environment, starts the engine, serves until told to stop."""

import asyncio
import sys

import structlog
from nexus_bus import NatsBus
from nexus_runtime import ClientError, ConfigError, Life, configure_logs, run
from prometheus_client import REGISTRY

from nexus_sfu.config import SfuConfig, default_node_id
from nexus_sfu.engine_port import EnginePort
from nexus_sfu.service import Service, assemble

log = structlog.get_logger()


def open_engine(config: SfuConfig) -> EnginePort:
    """Raises ClientError when the media port or address cannot be bound, or a cipher library is not there."""
    # Imported here, so that `--help`-like errors of configuration do not need the native module.
    import nexus_media as native

    from nexus_sfu.native_engine import NativeEngine

    hosts = (config.media_host,) if config.media_host else ("0.0.0.0", "::")  # noqa: S104 - media is public
    try:
        return NativeEngine(
            native.EngineConfig(
                shards=config.shards,
                room_share=config.room_shard_participants,
                bind_addresses=hosts,
                port=config.media_port,
                announced_addresses=config.media_addresses,
                audio_loudest=config.audio_loudest,
                red_distance=config.red_distance,
                consent_timeout_ms=config.consent_timeout_ms,
                connect_timeout_ms=config.connect_timeout_ms,
                srtp_profiles=config.srtp_profiles,
                udp_gso=config.udp_gso,
                udp_gro=config.udp_gro,
                tcp=config.tcp,
                start_bitrate_bps=config.start_bitrate_bps,
                min_bitrate_bps=config.min_bitrate_bps,
                max_bitrate_bps=config.max_bitrate_bps,
                gcm_library=config.gcm_library,
            )
        )
    except native.GcmLibraryUnavailable as error:
        raise ConfigError("GCM_LIBRARY_UNAVAILABLE", f"NEXUS_SFU_GCM_LIBRARY: {error}") from error
    except OSError as error:
        raise ClientError(
            "MEDIA_PORT_UNAVAILABLE",
            f"cannot listen for media: {error}",
            host=config.media_host or "any",
            port=config.media_port,
        ) from error


async def main(life: Life) -> None:
    configure_logs("sfu")  # for what is wrong with the configuration
    config = SfuConfig.from_env()
    config = config.model_copy(update={"node_id": config.node_id or default_node_id()})
    configure_logs("sfu", node=config.node_id)
    try:
        config.codec_order()
    except KeyError as error:
        raise ConfigError("CONFIG_INVALID", f"NEXUS_SFU_VIDEO_CODECS: no codec is called {error}") from None
    service = assemble(config, open_engine(config), REGISTRY)
    await service.start()
    connecting = asyncio.create_task(_connect(service, life))
    try:
        life.supervise("housekeeping", service.housekeeping())
        await life.wait_until_stopping()
        await service.drain()
    finally:
        bus = connecting.result() if connecting.done() and not connecting.cancelled() else None
        connecting.cancel()
        await service.close(bus)
        if bus is not None:
            await bus.close()


async def _connect(service: Service, life: Life) -> NatsBus:
    """However long it takes: rooms that signaling sends us work without."""
    bus = await NatsBus.connect(service.config.nats_url, service.node_id, timeout_seconds=None)
    life.supervise("heartbeat", service.heartbeat.run(bus))
    life.supervise("events", service.events.run(bus))
    return bus


if __name__ == "__main__":
    sys.exit(run(main))
