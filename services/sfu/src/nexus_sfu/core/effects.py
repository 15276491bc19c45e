"""What a room wants done: commands for the engine, in order, and events for everybody who listens.

Ids are ours (participant, track, mid); the engine port knows the engine's numbers.
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
    """Data channels for a transport; said again, their grants are changed."""

    participant_id: str
    offer: DataOffer
    # What receivers are told about who sent; empty: nobody.
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
    # Retransmissions come as RTX (RFC 4588), on an SSRC of their own.
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
    """What a subscriber shows in a slot, and how much it matters: bandwidth is shared by it."""

    # In device pixels; 0: not told.
    width: int = 0
    height: int = 0
    visible: bool = True
    pinned: bool = False
    # 1 to 255, the higher first.
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
