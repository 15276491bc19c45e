"""The inputs of a room: requests from signaling and reports from the engine."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from nexus_sfu.core.model import Grants, LayerLimit, MediaOffer, Quality, Reason, View


@dataclass(frozen=True, slots=True)
class Join:
    identity: str
    grants: Grants
    media: MediaOffer
    name: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    bind_existing: bool = False
    # 0: only the node's own limit applies.
    max_participants: int = 0


@dataclass(frozen=True, slots=True)
class Offer:
    participant_id: str
    media: MediaOffer


@dataclass(frozen=True, slots=True)
class Leave:
    """Ends a participant's session. It is idempotent."""

    participant_id: str
    reason: Reason = Reason.CLIENT_LEFT
    # One sentence that explains the reason; may be empty.
    detail: str = ""


@dataclass(frozen=True, slots=True)
class UpdateSlots:
    participant_id: str
    bind: tuple[str, ...] = ()
    unbind: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UpdateSubscriptions:
    participant_id: str
    track_ids: tuple[str, ...]
    subscribed: bool


@dataclass(frozen=True, slots=True)
class UpdateView:
    """Each view replaces the one of its track; views of unknown tracks are ignored."""

    participant_id: str
    views: tuple[View, ...]


@dataclass(frozen=True, slots=True)
class SetMuted:
    """`participant_id` is the requesting participant; empty: the service itself."""

    participant_id: str
    track_id: str
    muted: bool


@dataclass(frozen=True, slots=True)
class Unpublish:
    participant_id: str
    track_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UpdateParticipant:
    """Changes only the fields that are not None; an attribute with an empty value is removed."""

    participant_id: str
    name: str | None = None
    metadata: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UpdateRoom:
    """Changes only the flags that are not None."""

    recording: bool | None = None
    transcribing: bool | None = None


@dataclass(frozen=True, slots=True)
class Close:
    reason: Reason = Reason.ROOM_CLOSED


@dataclass(frozen=True, slots=True)
class MediaUp:
    """Report of the engine: ICE and DTLS of this participant are connected."""

    participant_id: str
    srtp_profile: str


@dataclass(frozen=True, slots=True)
class Speakers:
    """Report of the engine: the speaking tracks, loudest first, with their smoothed level in dBov."""

    speakers: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class LayerDemandChanged:
    """Report of the engine: the highest layers of a track that any subscriber can use; None: no subscriber
    does."""

    track_id: str
    highest: LayerLimit | None


@dataclass(frozen=True, slots=True)
class SlotPaused:
    """Report of the engine: the bandwidth of a slot does not suffice for the lowest layer, or does so
    again."""

    participant_id: str
    mid: str
    paused: bool


@dataclass(frozen=True, slots=True)
class QualityChanged:
    """The rating of a participant's connection, from measurements."""

    participant_id: str
    quality: Quality
    score: float


Command = (
    Join
    | Offer
    | Leave
    | UpdateSlots
    | UpdateSubscriptions
    | UpdateView
    | SetMuted
    | Unpublish
    | UpdateParticipant
    | UpdateRoom
    | Close
    | MediaUp
    | Speakers
    | LayerDemandChanged
    | SlotPaused
    | QualityChanged
)
