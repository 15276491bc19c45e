"""The engine's Python interface: commands in, events out. No packets pass through it, except in a tap's
batches.

Every call returns at once, after it was queued to the shard's thread; its outcome arrives as an event. Calls
raise `ValueError` for invalid arguments (such as ids that were never issued) and `RuntimeError` after
`close()` or when a bound is reached (too many transports, a full command queue). A command for an id that no
longer exists (for example of a transport that has failed meanwhile) is not an error: it is counted and
reported as `CommandRejected`.
"""

from collections.abc import Sequence
from enum import Enum

class Kind(Enum):
    AUDIO = 1
    VIDEO = 2

class Codec(Enum):
    OPUS = 1
    VP8 = 2
    VP9 = 3
    H264 = 4
    AV1 = 5

class HeaderExtension(Enum):
    """RTP header extensions (RFC 8285) that the engine reads or writes."""

    AUDIO_LEVEL = 1  # RFC 6464
    ABS_SEND_TIME = 2
    TRANSPORT_WIDE_CC = 3
    MID = 4  # RFC 9143
    RTP_STREAM_ID = 5  # RFC 8852
    REPAIRED_RTP_STREAM_ID = 6
    DEPENDENCY_DESCRIPTOR = 7
    VIDEO_ORIENTATION = 8

class TransportState(Enum):
    NEW = 0
    CONNECTED = 1  # ICE and DTLS are up
    DISCONNECTED = 2  # neither checks nor media for a while; may recover
    FAILED = 3
    CLOSED = 4

class GcmLibraryUnavailable(ValueError):
    """The library was not built in, or this processor lacks the instructions it needs."""

class EngineConfig:
    def __init__(
        self,
        *,
        shards: int = 1,
        bind_addresses: Sequence[str] = ("0.0.0.0", "::"),  # noqa: S104 - a media server listens everywhere
        port: int = 0,
        announced_addresses: Sequence[str] = (),
        audio_loudest: int = 6,
        consent_timeout_ms: int = 30_000,
        strict_consent: bool = False,
        connect_timeout_ms: int = 30_000,
        speaker_interval_ms: int = 300,
        max_transports: int = 20_000,
        srtp_profiles: Sequence[str] = ("AEAD_AES_128_GCM", "AES_CM_128_HMAC_SHA1_80"),
        udp_gso: bool = True,
        udp_gro: bool = True,
        tcp: bool = True,
        red_distance: int = 1,
        start_bitrate_bps: int = 500_000,
        min_bitrate_bps: int = 50_000,
        max_bitrate_bps: int = 100_000_000,
        room_share: int = 0,
        gcm_library: str = "auto",
        tap_memory_bytes: int = 512 * 1024 * 1024,
    ) -> None:
        """Shard k listens on UDP `port + k` (0: any free port). `announced_addresses` replace the bound ones
        in candidates (the node's public addresses). `bind_addresses`: at most one of each family.
        `audio_loudest`: the maximum number of a room's audio sources that are forwarded. `strict_consent`:
        only ICE checks count as consent to send (RFC 7675); otherwise authenticated packets from the selected
        address count, too. `red_distance`: how many earlier packets are repeated for a subscriber with
        redundant audio (RFC 2198), 0 to 2; 0 strips it.
        `start_bitrate_bps`: the estimate of each subscriber's path until it is measured; `min_bitrate_bps`
        and `max_bitrate_bps`: the bounds of the estimate.
        `room_share`: the maximum number of a room's transports on one shard before the room is spread to
        another shard; 0: a room stays on its shard.
        `gcm_library`: the library for AES-GCM, "openssl" or "intel-ipsec-mb"; "auto": the fastest available
        one. Raises GcmLibraryUnavailable.
        `tap_memory_bytes`: maximum size of the records that all named taps keep."""

class CodecBinding:
    def __init__(
        self,
        *,
        payload_type: int,
        codec: Codec,
        clock_rate: int,
        rtx_payload_type: int | None = None,
        h264_profile_level_id: int | None = None,
        h264_packetization_mode: int = 0,
        vp9_profile: int = 0,
        red_payload_type: int | None = None,
    ) -> None:
        """`red_payload_type`: the payload type of redundant audio around this one (RFC 2198), for Opus."""

class TransportOptions:
    def __init__(
        self,
        *,
        remote_ufrag: str,
        remote_pwd: str,
        fingerprints: Sequence[tuple[str, str]],
        codecs: Sequence[CodecBinding],
        extensions: dict[HeaderExtension, int],
        forward_descriptors: bool = False,
        reduced_size_rtcp: bool = True,
        dtls_client: bool = False,
    ) -> None:
        """`fingerprints`: (hash name as in SDP, "AA:BB:…"). `codecs`/`extensions`: as answered, for the whole
        BUNDLE group. `forward_descriptors`: every video slot has negotiated the dependency descriptor.
        `dtls_client`: the engine's side, for peers that offer `a=setup:passive`."""

class Candidate:
    @property
    def ip(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def tcp(self) -> bool: ...
    @property
    def priority(self) -> int: ...
    @property
    def foundation(self) -> str: ...

class TransportDescription:
    @property
    def transport(self) -> int: ...
    @property
    def ufrag(self) -> str: ...
    @property
    def pwd(self) -> str: ...
    @property
    def candidates(self) -> list[Candidate]: ...

class TrackOptions:
    def __init__(
        self,
        *,
        kind: Kind,
        number: int,
        mid: str,
        ssrcs: Sequence[int] = (),
        rtx_ssrcs: Sequence[int] = (),
        rids: Sequence[str] = (),
        group: int = 0,
        muted: bool = False,
        sizes: Sequence[tuple[int, int]] = (),
        payload_types: Sequence[int] = (),
        scalability_mode: str = "",
    ) -> None:
        """`number` is the CSRC of forwarded packets. `ssrcs` and `rtx_ssrcs` pair up by position; without
        them packets are found by MID (and RID), or by a payload type that no other track of the transport has
        among its `payload_types` (RFC 9143 section 9.2). `group`: tracks of one transport with the same group
        belong together (camera with microphone 0, screen with screen audio 1): audio is placed into the pair
        that shows its group's video. `sizes`: width and height of each encoding or spatial layer, low to
        high, as far as the publisher reports them ((0, 0): unknown); sizes in keyframes take precedence."""

class TapOptions:
    def __init__(
        self,
        *,
        patience_ms: int = 1_500,
        batch_ms: int = 50,
        backlog_bytes: int = 4 * 1024 * 1024,
        retain_ms: int = 0,
        first_position: int = 0,
        keyframe_interval_ms: int = 0,
        max_width: int = 0,
        max_height: int = 0,
    ) -> None:
        """`patience_ms`: how long to wait for a missing packet (0 to 10,000). `batch_ms`: how long to collect
        records for a batch (0 to 1,000). `backlog_bytes`: bound of the backlog of a slow reader (64 KiB to 64
        MiB). `retain_ms`: how long a named tap keeps records that are not acknowledged (0 to 60,000; 0: the
        tap has no name); `first_position`: the position after which its records are numbered; then a gap
        comes first. `keyframe_interval_ms`: a keyframe is requested at least this often (0 to 60,000; 0: only
        where one is needed). `max_width`, `max_height`: the tap follows the lowest encoding of that size; 0:
        the highest."""

class TapBatch:
    @property
    def records(self) -> bytes:
        """A serialised nexus.sfu.v1.StreamTrackResponse; may be empty."""
    @property
    def packets(self) -> int: ...
    @property
    def packets_dropped(self) -> int:
        """Number of packets dropped because the reader was slow; the records contain the gap."""
    @property
    def ended(self) -> bool:
        """The track has ended (or did not exist), and the tap with it."""

class TapState:
    """What a named tap keeps."""

    @property
    def bytes(self) -> int: ...
    @property
    def records(self) -> int: ...
    @property
    def position(self) -> int:
        """Number of the last record."""
    @property
    def ended(self) -> bool:
        """The track that feeds the tap has ended."""

class RetainedTotals:
    """What all named taps keep."""

    @property
    def bytes(self) -> int: ...
    @property
    def packets_dropped(self) -> int:
        """Packets that were dropped before they were acknowledged, since the start."""

class SlotDescription:
    @property
    def slot(self) -> int: ...
    @property
    def ssrc(self) -> int: ...
    @property
    def rtx_ssrc(self) -> int | None: ...

class Engine:
    def __init__(self, config: EngineConfig) -> None:
        """Binds the sockets and starts the shards. OSError when an address or port cannot be bound."""
    @property
    def event_fd(self) -> int:
        """Readable while events are queued; for `loop.add_reader`."""
    @property
    def fingerprint(self) -> str:
        """SHA-256 of the DTLS certificate, "AA:BB:…"."""
    @property
    def gcm_library(self) -> str:
        """The library that computes AES-GCM: "openssl" or "intel-ipsec-mb"."""
    @property
    def ports(self) -> list[int]:
        """UDP port of each shard."""
    def poll_events(self, limit: int = 1024) -> list[Event]:
        """At most `limit` queued events, oldest first. The queue is bounded: see `events_dropped`."""
    def close(self) -> None:
        """Stops the shards and frees everything; idempotent. DTLS close_notify is sent to connected peers."""

    def create_room(self) -> int: ...
    def close_room(self, room: int) -> None: ...
    def create_transport(self, room: int, options: TransportOptions) -> TransportDescription: ...
    def update_transport(
        self,
        transport: int,
        codecs: Sequence[CodecBinding],
        extensions: dict[HeaderExtension, int],
        forward_descriptors: bool = False,
    ) -> None: ...
    def restart_ice(self, transport: int, remote_ufrag: str, remote_pwd: str) -> TransportDescription: ...
    def close_transport(self, transport: int) -> None:
        """Ends with `TransportChanged(CLOSED)`; its tracks and slots are removed with it."""
    def add_track(self, transport: int, options: TrackOptions) -> int: ...
    def remove_track(self, track: int) -> None: ...
    def set_track_muted(self, track: int, muted: bool) -> None:
        """A muted track's packets are dropped and it takes no part in speaker detection."""
    def set_track_sizes(self, track: int, sizes: Sequence[tuple[int, int]]) -> None:
        """As `TrackOptions.sizes`, from now on."""
    def request_keyframe(self, track: int) -> None: ...
    def add_slot(
        self, transport: int, kind: Kind, pair: int = -1, msid: str = "", rtx: bool = True
    ) -> SlotDescription:
        """`rtx`: a video slot has an SSRC for retransmissions (RFC 4588)."""
    def remove_slot(self, slot: int) -> None: ...
    def bind_slot(self, slot: int, track: int) -> None:
        """Video only (audio is placed by the engine). Rebinding is the same call; the old source is shown
        until the new one's first keyframe."""
    def unbind_slot(self, slot: int) -> None: ...
    def set_subscribed(self, transport: int, track: int, subscribed: bool) -> None:
        """Whether an audio track may be placed into this transport's slots (default: yes)."""
    def set_slot_view(
        self,
        slot: int,
        *,
        width: int = 0,
        height: int = 0,
        priority: int = 0,
        pinned: bool = False,
        visible: bool = True,
        max_spatial: int | None = None,
        max_temporal: int | None = None,
    ) -> None:
        """How the subscriber shows a video slot; replaces the previous view. `width` and `height`:
        pixels on its screen, above which no layer is sent; 0: unknown. `priority`: 0 to 255, the higher is
        served first. Not `visible`: nothing is sent. `max_spatial` and `max_temporal`: the highest layer
        wanted, from 0 (both or none)."""
    @property
    def tap_fd(self) -> int:
        """Readable while a tap has records that `ready_taps` has not reported."""
    def add_tap(self, track: int, options: TapOptions) -> int:
        """Raises RuntimeError above 4,096 taps."""
    def remove_tap(self, tap: int) -> None:
        """Discards the tap and its records. Also valid for a tap that has ended."""
    def ready_taps(self) -> list[int]:
        """Taps that have received records since the last call."""
    def read_tap(self, tap: int, limit: int = 1024 * 1024) -> TapBatch:
        """The records queued for a tap, in whole batches, up to about `limit` bytes; empty if there are
        none."""
    def continue_tap(self, tap: int, track: int, options: TapOptions) -> None:
        """Lets another track feed a named tap whose own track has ended."""
    def finish_tap(self, tap: int, record: bytes) -> None:
        """Appends the last record of a named tap, a serialised StreamTrackResponse."""
    def resume_tap(self, tap: int, position: int) -> None:
        """A reader of a named tap begins after this position."""
    def acknowledge_tap(self, tap: int, position: int) -> None:
        """Frees the records of a named tap up to this position."""
    def update_tap(
        self, tap: int, *, keyframe_interval_ms: int = 0, max_width: int = 0, max_height: int = 0
    ) -> None:
        """Replaces what the tap asks of the publisher (TapOptions)."""
    def request_tap_keyframe(self, tap: int) -> None:
        """Requests one keyframe, together with the requests of subscribers."""
    def expire_taps(self) -> None:
        """Drops what named taps have kept for longer than their retention; to be called once a second."""
    def tap_state(self, tap: int) -> TapState: ...
    @property
    def retained(self) -> RetainedTotals: ...
    def configure_data(
        self,
        transport: int,
        *,
        remote_port: int = 5000,
        max_message_size: int = 65_536,
        participant: str = "",
        publish: bool = True,
        receive: bool = True,
    ) -> None:
        """Enables data channels for this transport, as its description offers them (RFC 8841); a further call
        changes its rights. `participant`: the sender's name for receivers, at most 64 bytes; empty: no
        name."""
    def send_data(
        self,
        room: int,
        payload: bytes,
        *,
        to: Sequence[int] = (),
        topic: str = "",
        text: bool = False,
        reliable: bool = True,
        ordered: bool = True,
    ) -> None:
        """Sends a message from the server to these transports, or to all of the room. ValueError if payload
        (256 KiB) or topic (128 bytes) is too long."""
    def request_stats(self, room: int | None = None, details: bool = True) -> int:
        """Requests statistics and returns the `request` number of its `StatsReady`, which merges all shards.
        Without details it has only the engine's counters: no transports, tracks or slots."""

class TransportChanged:
    @property
    def transport(self) -> int: ...
    @property
    def state(self) -> TransportState: ...
    @property
    def reason(self) -> str:
        """Empty or a stable snake_case word: consent_lost, connect_timeout, dtls_fingerprint_mismatch,
        dtls_alert, dtls_timeout, dtls_protocol, peer_closed, closed, room_closed."""
    @property
    def srtp_profile(self) -> str: ...
    @property
    def remote_address(self) -> str: ...

class TrackStarted:
    """The first packet of a track has arrived."""

    @property
    def track(self) -> int: ...
    @property
    def codec(self) -> Codec: ...

class SlotChanged:
    """The track that a slot now sends (including audio placement); None: nothing."""

    @property
    def slot(self) -> int: ...
    @property
    def track(self) -> int | None: ...

class SlotPaused:
    """The subscriber's bandwidth has become too low for the lowest layer of the slot's track, or sufficient
    again."""

    @property
    def slot(self) -> int: ...
    @property
    def paused(self) -> bool: ...

class LayerDemandChanged:
    """The highest layer of a video track that any subscriber wants has changed; None: no subscriber wants
    any. It rises at once and falls after some seconds. A publisher sends all layers until the first such
    event."""

    @property
    def track(self) -> int: ...
    @property
    def highest(self) -> tuple[int, int] | None:
        """(spatial, temporal)"""

class SpeakersChanged:
    @property
    def room(self) -> int: ...
    @property
    def speakers(self) -> list[tuple[int, float]]:
        """(track, smoothed level in dBov), loudest first; empty: silence."""

class CommandRejected:
    @property
    def command(self) -> str: ...
    @property
    def id(self) -> int: ...
    @property
    def reason(self) -> str: ...

class TransportStats:
    """The counters that code reads by name are listed; `__getattr__` stands for the others, which have the
    names of `nexus.sfu.v1.TransportStats`. The other classes of statistics are alike."""

    transport: int
    state: str  # "new", "connected", "disconnected", "failed" or "closed"
    rtt_ms: float
    def __getattr__(self, name: str) -> int | float | str: ...

class TrackStats:
    track: int
    packets: int
    packets_lost: int
    jitter_ms: float
    @property
    def layer_bitrates(self) -> list[list[int]]:
        """Bits per second of forwarding up to layer [spatial][temporal], 4 by 4; 0: no such layer."""
    def __getattr__(self, name: str) -> int | float: ...

class SlotStats:
    slot: int
    track: int | None
    packets: int
    fraction_lost: float
    @property
    def target(self) -> tuple[int, int] | None:
        """(spatial, temporal): the highest layer to send; None: paused."""
    @property
    def layer(self) -> tuple[int, int] | None:
        """(spatial, temporal): the layer that is sent; None: nothing is sent."""
    def __getattr__(self, name: str) -> int | float: ...

class EngineStats:
    datagrams_in: int
    datagrams_out: int
    tcp_connections: int
    drops: dict[str, int]
    cpu_seconds: float
    transports: int
    def __getattr__(self, name: str) -> int | float: ...

class StatsReady:
    @property
    def request(self) -> int: ...
    @property
    def engine(self) -> EngineStats: ...
    @property
    def transports(self) -> list[TransportStats]: ...
    @property
    def tracks(self) -> list[TrackStats]: ...
    @property
    def slots(self) -> list[SlotStats]: ...

Event = (
    TransportChanged
    | TrackStarted
    | SlotChanged
    | SlotPaused
    | LayerDemandChanged
    | SpeakersChanged
    | CommandRejected
    | StatsReady
)
