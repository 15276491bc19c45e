"""The interface of the media engine, in the service's own types.

`NativeEngine` implements it; `MemoryEngine` is its twin for tests. Ids are the engine's integers, which
`media.Media` maps to the service's ids.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from nexus_sfu.core.effects import SlotView
from nexus_sfu.core.model import DataOffer, IceCredentials, Kind, LayerLimit, Track, TransportOffer


@dataclass(frozen=True, slots=True)
class EngineCandidate:
    foundation: str
    priority: int
    ip: str
    port: int
    # Passive TCP (RFC 6544), otherwise UDP.
    tcp: bool = False


@dataclass(frozen=True, slots=True)
class OpenedTransport:
    transport: int
    ice: IceCredentials
    candidates: tuple[EngineCandidate, ...]


@dataclass(frozen=True, slots=True)
class OpenedSlot:
    slot: int
    ssrc: int
    rtx_ssrc: int | None


@dataclass(frozen=True, slots=True)
class TransportConnected:
    transport: int
    srtp_profile: str
    remote_address: str


@dataclass(frozen=True, slots=True)
class TransportDisconnected:
    """Neither ICE checks (RFC 7675) nor media have arrived for a while. The transport may recover."""

    transport: int


@dataclass(frozen=True, slots=True)
class TransportGone:
    """The transport has failed or is closed. `reason` is the engine's: consent_lost, dtls_alert, …"""

    transport: int
    reason: str


@dataclass(frozen=True, slots=True)
class TrackStarted:
    track: int


@dataclass(frozen=True, slots=True)
class SlotPaused:
    """The subscriber's bandwidth does not suffice for the lowest layer of a slot's track, or does so
    again."""

    slot: int
    paused: bool


@dataclass(frozen=True, slots=True)
class LayerDemandChanged:
    """The highest layers of a track that any slot aims for; None without such a slot."""

    track: int
    highest: LayerLimit | None


@dataclass(frozen=True, slots=True)
class SpeakersChanged:
    room: int
    speakers: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class CommandRejected:
    command: str
    id: int
    reason: str


@dataclass(frozen=True, slots=True)
class DataMessage:
    """A message of the server on data channels."""

    payload: bytes
    # Transports of the receivers; empty: all participants of the room.
    to: tuple[int, ...] = ()
    topic: str = ""
    text: bool = False
    reliable: bool = True
    ordered: bool = True


class EngineStats(Protocol):
    """The statistics that the service reads itself. All others have the field names of `sfu_pb2.EngineStats`,
    into which `stats` copies them. The classes below work the same way."""

    datagrams_in: int
    datagrams_out: int
    tcp_connections: int
    cpu_seconds: float
    transports: int

    @property
    def drops(self) -> Mapping[str, int]: ...


class TransportStats(Protocol):
    transport: int
    # "new", "connected", …
    state: str
    # 0: unknown.
    rtt_ms: float


class TrackStats(Protocol):
    track: int
    packets: int
    packets_lost: int
    jitter_ms: float

    @property
    def layer_bitrates(self) -> Sequence[Sequence[int]]:
        """Bits per second of forwarding up to [spatial][temporal]; 0: the layer is not sent."""


class SlotStats(Protocol):
    slot: int
    track: int | None
    packets: int
    fraction_lost: float

    @property
    def target(self) -> tuple[int, int] | None:
        """(spatial, temporal) that the slot aims for; None: paused."""

    @property
    def layer(self) -> tuple[int, int] | None:
        """(spatial, temporal) that is sent; None: nothing is sent."""


@dataclass(frozen=True, slots=True)
class StatsReady:
    request: int
    engine: EngineStats
    transports: Sequence[TransportStats]
    tracks: Sequence[TrackStats]
    slots: Sequence[SlotStats]


@dataclass(frozen=True, slots=True)
class TapDemand:
    """The needs of a tap, as the track's publisher is asked for them. 0: none, or the best size."""

    keyframe_interval_ms: int = 0
    max_width: int = 0
    max_height: int = 0


@dataclass(frozen=True, slots=True)
class TapOptions:
    # How long the engine waits for a missing packet.
    patience_ms: int
    # How long a record waits for others of its batch.
    batch_ms: int
    # Maximum size of the records buffered for a slow reader.
    backlog_bytes: int
    # How long the records of a named tap are kept until they are acknowledged; 0: the tap has no name.
    retain_ms: int = 0
    # Position after which the records of a named tap are numbered.
    first_position: int = 0
    demand: TapDemand = TapDemand()


class TapState(Protocol):
    """The size of the records that a named tap keeps."""

    @property
    def bytes(self) -> int: ...

    @property
    def records(self) -> int: ...

    @property
    def position(self) -> int:
        """Number of the last record."""

    @property
    def ended(self) -> bool:
        """Whether the engine's track that feeds the tap has ended."""


class RetainedTotals(Protocol):
    """Sums over all named taps: the records they keep, and the packets they dropped unacknowledged."""

    @property
    def bytes(self) -> int: ...

    @property
    def packets_dropped(self) -> int: ...


class TapBatch(Protocol):
    @property
    def records(self) -> bytes:
        """A serialised `StreamTrackResponse`; empty without new records."""

    @property
    def packets(self) -> int: ...

    @property
    def packets_dropped(self) -> int:
        """Number of packets dropped because the reader was too slow."""

    @property
    def ended(self) -> bool:
        """Whether the engine's track has ended, and the tap with it."""


EngineEvent = (
    TransportConnected
    | TransportDisconnected
    | TransportGone
    | TrackStarted
    | SlotPaused
    | LayerDemandChanged
    | SpeakersChanged
    | CommandRejected
    | StatsReady
)


class EnginePort(Protocol):
    """The media engine. Calls do not block. They raise ValueError for invalid arguments and RuntimeError
    after `close`."""

    @property
    def event_fd(self) -> int: ...

    @property
    def fingerprint(self) -> str: ...

    @property
    def gcm_library(self) -> str:
        """The library that computes AES-GCM for SRTP."""
        ...

    @property
    def ports(self) -> Sequence[int]: ...

    def poll_events(self, limit: int = 1024) -> list[EngineEvent]: ...

    def close(self) -> None: ...

    def create_room(self) -> int: ...

    def close_room(self, room: int) -> None: ...

    def create_transport(self, room: int, offer: TransportOffer) -> OpenedTransport: ...

    def update_transport(self, transport: int, offer: TransportOffer) -> None: ...

    def restart_ice(self, transport: int, ice: IceCredentials) -> OpenedTransport: ...

    def configure_data(
        self, transport: int, offer: DataOffer, sender: str, publish: bool, receive: bool
    ) -> None: ...

    def send_data(self, room: int, message: DataMessage) -> None: ...

    def close_transport(self, transport: int) -> None: ...

    def add_track(self, transport: int, track: Track) -> int: ...

    def remove_track(self, track: int) -> None: ...

    def set_track_muted(self, track: int, muted: bool) -> None: ...

    def set_track_sizes(self, track: int, sizes: Sequence[tuple[int, int]]) -> None: ...

    def add_slot(self, transport: int, kind: Kind, pair: int, stream: str, rtx: bool = True) -> OpenedSlot:
        """Adds a slot. `rtx`: a video slot gets an SSRC for retransmissions (RFC 4588)."""
        ...

    def remove_slot(self, slot: int) -> None: ...

    def bind_slot(self, slot: int, track: int) -> None: ...

    def unbind_slot(self, slot: int) -> None: ...

    def set_slot_view(self, slot: int, view: SlotView) -> None: ...

    def set_subscribed(self, transport: int, track: int, subscribed: bool) -> None: ...

    @property
    def tap_fd(self) -> int:
        """A file descriptor that is readable when `ready_taps` has entries."""

    def add_tap(self, track: int, options: TapOptions) -> int: ...

    def remove_tap(self, tap: int) -> None:
        """Removes a tap. It is idempotent."""

    def ready_taps(self) -> Sequence[int]: ...

    def read_tap(self, tap: int, limit: int) -> TapBatch: ...

    # Named taps, which keep their records until they are acknowledged and outlive their track.

    def continue_tap(self, tap: int, track: int, options: TapOptions) -> None:
        """Lets another track feed the tap, whose own track has ended."""

    def finish_tap(self, tap: int, record: bytes) -> None:
        """Appends the last record, a serialised `StreamTrackResponse`."""

    def resume_tap(self, tap: int, position: int) -> None:
        """Delivers again what follows the position."""

    def acknowledge_tap(self, tap: int, position: int) -> None: ...

    def update_tap(self, tap: int, demand: TapDemand) -> None: ...

    def request_tap_keyframe(self, tap: int) -> None: ...

    def expire_taps(self) -> None:
        """Drops what was kept for longer than its retention. To be called about once a second."""

    def tap_state(self, tap: int) -> TapState: ...

    @property
    def retained(self) -> RetainedTotals: ...

    def request_stats(self, room: int | None, details: bool = True) -> int:
        """Requests `StatsReady`; without details, only the engine's own stats."""
