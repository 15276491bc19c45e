"""The effects of a room: commands for the engine, in order, and events for NATS.

They use the service's ids (participant, track, mid); `media` maps them to the engine's numbers.
"""

from dataclasses import dataclass

from nexus.events.v1 import room_pb2

from nexus_sfu.core.model import DataOffer, IceCredentials, Kind, LayerLimit, RoomKey, Track, TransportOffer


@dataclass(frozen=True, slots=True)
class OpenRoom:
    room: RoomKey


@dataclass(frozen=True, slots=True)
class ShutRoom:
    room: RoomKey


@dataclass(frozen=True, slots=True)
class OpenTransport:
    room: RoomKey
    participant_id: str
    offer: TransportOffer


@dataclass(frozen=True, slots=True)
class UpdateTransport:
    participant_id: str
    offer: TransportOffer


@dataclass(frozen=True, slots=True)
class RestartIce:
    participant_id: str
    ice: IceCredentials


@dataclass(frozen=True, slots=True)
class ConfigureData:
    """Configures the data channels of a transport; a repetition changes their grants."""

    participant_id: str
    offer: DataOffer
    # The sender's id for receivers; empty: none.
    sender: str
    publish: bool
    receive: bool


@dataclass(frozen=True, slots=True)
class CloseTransport:
    participant_id: str


@dataclass(frozen=True, slots=True)
class AddTrack:
    track: Track


@dataclass(frozen=True, slots=True)
class RemoveTrack:
    participant_id: str
    track_id: str


@dataclass(frozen=True, slots=True)
class MuteTrack:
    track_id: str
    muted: bool


@dataclass(frozen=True, slots=True)
class ResizeTrack:
    track_id: str
    # As `Track.sizes`.
    sizes: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class AddSlot:
    participant_id: str
    mid: str
    kind: Kind
    pair: int
    stream: str
    # Whether retransmissions have their own SSRC (RTX, RFC 4588).
    rtx: bool = True


@dataclass(frozen=True, slots=True)
class RemoveSlot:
    participant_id: str
    mid: str


@dataclass(frozen=True, slots=True)
class BindSlot:
    participant_id: str
    mid: str
    track_id: str


@dataclass(frozen=True, slots=True)
class UnbindSlot:
    participant_id: str
    mid: str


@dataclass(frozen=True, slots=True)
class SlotView:
    """How a subscriber shows the track in a slot, and its priority for the allocation of bandwidth."""

    # In device pixels; 0: unknown.
    width: int = 0
    height: int = 0
    visible: bool = True
    pinned: bool = False
    # 1 to 255; higher values come first.
    priority: int = 1
    highest: LayerLimit | None = None


@dataclass(frozen=True, slots=True)
class SetSlotView:
    participant_id: str
    mid: str
    view: SlotView


@dataclass(frozen=True, slots=True)
class SetSubscribed:
    participant_id: str
    track_id: str
    subscribed: bool


@dataclass(frozen=True, slots=True)
class Emit:
    event: room_pb2.RoomEvent


EngineEffect = (
    OpenRoom
    | ShutRoom
    | OpenTransport
    | UpdateTransport
    | RestartIce
    | ConfigureData
    | CloseTransport
    | AddTrack
    | RemoveTrack
    | MuteTrack
    | ResizeTrack
    | AddSlot
    | RemoveSlot
    | BindSlot
    | UnbindSlot
    | SetSlotView
    | SetSubscribed
)
Effect = EngineEffect | Emit
