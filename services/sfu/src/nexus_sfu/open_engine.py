"""Opens the native engine with the service's configuration."""

import nexus_media as native
from nexus_runtime import ClientError

from nexus_sfu.config import SfuConfig
from nexus_sfu.engine_port import EnginePort
from nexus_sfu.native_engine import NativeEngine


def open_engine(config: SfuConfig) -> EnginePort:
    """Raises ClientError if the media port or address cannot be bound, or a cipher library is missing."""
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
                strict_consent=config.strict_consent,
                connect_timeout_ms=config.connect_timeout_ms,
                srtp_profiles=config.srtp_profiles,
                udp_gso=config.udp_gso,
                udp_gro=config.udp_gro,
                tcp=config.tcp,
                start_bitrate_bps=config.start_bitrate_bps,
                min_bitrate_bps=config.min_bitrate_bps,
                max_bitrate_bps=config.max_bitrate_bps,
                gcm_library=config.gcm_library,
                tap_memory_bytes=config.tap_memory_mb << 20,
            )
        )
    except native.GcmLibraryUnavailable as error:
        raise ClientError("GCM_LIBRARY_UNAVAILABLE", f"NEXUS_SFU_GCM_LIBRARY: {error}") from error
    except OSError as error:
        raise ClientError(
            "MEDIA_PORT_UNAVAILABLE",
            f"cannot listen for media: {error}",
            host=config.media_host or "any",
            port=config.media_port,
        ) from error
