"""The service's configuration: NEXUS_SFU_*, read once by `__main__`."""

from collections.abc import Iterator
from typing import Literal

from nexus_rpc import RpcConfig
from nexus_runtime import TextList, name_of_process, service_settings, setting
from pydantic import field_validator

from nexus_sfu.core.limits import Limits
from nexus_sfu.core.model import Codec
from nexus_sfu.sdp.validate import Bounds


class SfuConfig(RpcConfig):
    model_config = service_settings("NEXUS_SFU_")

    node_id: str = setting(
        "", reason="unique in the cluster; empty: host name and process ID", pattern=r"^[A-Za-z0-9_-]{0,64}$"
    )
    region: str = setting("", reason="signaling prefers SFU nodes of its region", max_length=64)

    grpc_host: str = setting(
        "127.0.0.1", reason="only signaling may call it: without mTLS there is no authentication"
    )
    grpc_port: int = setting(0, unit="port", reason="0 takes a free port", ge=0, le=65_535)
    grpc_address: str = setting("", reason="host:port for signaling; empty: that of the listening socket")
    grpc_message_bytes: int = setting(
        2 << 20, unit="bytes", reason="an offer with 60 sections is 180 kB", ge=65_536
    )

    media_host: str = setting("", reason="address of the UDP sockets; empty: all of IPv4 and IPv6")
    media_port: int = setting(
        7882, unit="port", reason="shard k listens on this port plus k; 0 takes free ports", ge=0, le=65_535
    )
    media_addresses: TextList = setting(
        (), reason="public addresses for ICE candidates, separated by commas; empty: those of the sockets"
    )
    shards: int = setting(1, unit="threads", reason="one per core that media may use", ge=1, le=256)
    room_shard_participants: int = setting(
        100,
        unit="participants",
        reason="per room on one shard; then the room uses another shard; 0: no limit",
        ge=0,
    )
    udp_gso: bool = setting(True, reason="sends runs of packets in one system call, where the kernel can")
    udp_gro: bool = setting(True, reason="receives runs of packets in one system call")
    tcp: bool = setting(True, reason="ICE over TCP on the same port numbers, for networks without UDP")
    srtp_profiles: TextList = setting(
        ("AEAD_AES_128_GCM", "AES_CM_128_HMAC_SHA1_80"),
        reason="in the order of preference, separated by commas",
    )
    gcm_library: Literal["auto", "openssl", "intel-ipsec-mb"] = setting(
        "auto", reason="library for AES-GCM; auto: intel-ipsec-mb where it runs, otherwise OpenSSL"
    )
    audio_loudest: int = setting(
        6, unit="tracks", reason="audio tracks of a room that are forwarded at once", ge=1, le=64
    )
    red_distance: int = setting(
        1,
        unit="packets",
        reason="earlier audio packets repeated in each (RFC 2198), one more under heavy loss; 0: none",
        ge=0,
        le=2,
    )
    tap_memory_mb: int = setting(
        512,
        unit="MiB",
        reason="kept for recorders until they acknowledge it: a minute of 45 videos of 1.5 Mbit/s",
        ge=1,
        le=1 << 20,
    )
    start_bitrate_bps: int = setting(
        500_000, unit="bit/s", reason="first estimate of a subscriber's bandwidth", ge=10_000
    )
    min_bitrate_bps: int = setting(
        50_000, unit="bit/s", reason="minimum of the estimate: enough for one audio track", ge=10_000
    )
    max_bitrate_bps: int = setting(
        100_000_000, unit="bit/s", reason="maximum of the estimate and of probes", ge=10_000
    )
    consent_timeout_ms: int = setting(
        30_000, unit="ms", reason="RFC 7675 section 5.1: consent expires after 30 s", ge=1_000
    )
    strict_consent: bool = setting(
        False, reason="only ICE checks are consent to send; otherwise authenticated packets are, too"
    )
    connect_timeout_ms: int = setting(
        30_000, unit="ms", reason="how long ICE and DTLS may take to connect", ge=1_000
    )
    video_codecs: TextList = setting(
        ("vp8", "h264", "vp9", "av1"),
        reason="order of preference for publishers without one, separated by commas",
    )

    max_rooms: int = setting(1_000, unit="rooms", reason="limits memory", ge=1)
    max_participants: int = setting(
        0, unit="participants", reason="on this node before it gets no new rooms; 0: no limit", ge=0
    )
    max_participants_per_room: int = setting(
        200, unit="participants", reason="the benchmarks connect 200 participants to one node", ge=1
    )
    max_tracks_per_participant: int = setting(
        8, unit="tracks", reason="camera, screen and their audio, twice", ge=1
    )
    max_pairs: int = setting(25, unit="pairs", reason="more videos than a screen shows", ge=1, le=100)
    max_slots: int = setting(
        64, unit="slots", reason="of one participant: 25 pairs and audio slots without a pair", ge=1
    )
    max_sdp_bytes: int = setting(
        512 * 1024, unit="bytes", reason="three times the largest offer of browsers", ge=1
    )
    max_sections: int = setting(
        128, unit="sections", reason="of an offer: slots, publications and stopped sections", ge=1
    )
    empty_timeout_ms: int = setting(
        10_000, unit="ms", reason="how long an empty room stays open: a reload returns to it", ge=0
    )

    heartbeat_ms: int = setting(
        2_000, unit="ms", reason="interval at which the load in KV `nodes` is updated", ge=100
    )
    node_ttl_ms: int = setting(
        10_000, unit="ms", reason="time after which the record of a dead node expires", ge=1_000
    )
    event_buffer: int = setting(
        10_000, unit="events", reason="buffered without NATS; then the oldest are dropped", ge=1
    )
    drain_ms: int = setting(0, unit="ms", reason="how long SIGTERM waits for participants to leave", ge=0)

    @field_validator("node_id")
    @classmethod
    def _name_the_node(cls, node_id: str) -> str:
        return node_id or name_of_process("sfu")

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        for name in self.video_codecs:
            if name.upper() not in Codec.__members__:
                known = ", ".join(codec.lower() for codec in Codec.__members__)
                yield f"NEXUS_SFU_VIDEO_CODECS: {name!r} is not one of the codecs {known}"

    def log_fields(self) -> dict[str, str]:
        return {"node": self.node_id}

    def limits(self) -> Limits:
        return Limits(
            rooms=self.max_rooms,
            participants_per_room=self.max_participants_per_room,
            tracks_per_participant=self.max_tracks_per_participant,
            pairs=self.max_pairs,
            slots_per_participant=self.max_slots,
            empty_timeout_ms=self.empty_timeout_ms,
        )

    def bounds(self) -> Bounds:
        return Bounds(sdp_bytes=self.max_sdp_bytes, sections=self.max_sections)

    def codec_order(self) -> tuple[Codec, ...]:
        """The video codecs in the order of preference; `problems` has checked the names."""
        return tuple(Codec[name.upper()] for name in self.video_codecs)
