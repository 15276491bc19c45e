"""What may happen to a room: requests from signaling, and what the engine reports."""

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
    # 0: the node's own limit alone.
    max_participants: int = 0


@dataclass(frozen=True, slots=True)
class Offer:
    participant_id: str
    media: MediaOffer


@dataclass(frozen=True, slots=True)
class Leave:
    """Idempotent."""

    participant_id: str
    reason: Reason = Reason.CLIENT_LEFT
    # In one sentence, where the reason does not say all.
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
    """Each view replaces the one of its track; those of tracks that are not here are passed over."""

    participant_id: str
    views: tuple[View, ...]


@dataclass(frozen=True, slots=True)
class SetMuted:
    """`participant_id` asks; empty: the service itself does."""

    participant_id: str
    track_id: str
    muted: bool


@dataclass(frozen=True, slots=True)
class Unpublish:
    participant_id: str
    track_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UpdateParticipant:
    """Only what is not None changes; an attribute with an empty value is removed."""

    participant_id: str
    name: str | None = None
    metadata: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Close:
    reason: Reason = Reason.ROOM_CLOSED


@dataclass(frozen=True, slots=True)
class MediaUp:
    """The engine: ICE and DTLS of this participant are up."""

    participant_id: str
    srtp_profile: str


@dataclass(frozen=True, slots=True)
class Speakers:
    """The engine: who speaks, loudest first, with the smoothed level in dBov."""

    speakers: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class LayerDemandChanged:
    """The engine: the highest layers of a track that anybody watches; None: nobody watches it."""

    track_id: str
    highest: LayerLimit | None


@dataclass(frozen=True, slots=True)
class SlotPaused:
    """The engine: a slot's bandwidth does not hold even the lowest layer, or does again."""

    participant_id: str
    mid: str
    paused: bool


@dataclass(frozen=True, slots=True)
class QualityChanged:
    """The measurements: how a participant's connection does."""

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
    | Close
    | MediaUp
    | Speakers
    | LayerDemandChanged
    | SlotPaused
    | QualityChanged
)
