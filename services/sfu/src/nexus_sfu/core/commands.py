"""What may happen to a room: requests from signaling, and what the engine reports."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from nexus_sfu.core.model import Grants, MediaOffer, Reason


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


Command = (
    Join
    | Offer
    | Leave
    | UpdateSlots
    | UpdateSubscriptions
    | SetMuted
    | Unpublish
    | UpdateParticipant
    | Close
    | MediaUp
    | Speakers
)
