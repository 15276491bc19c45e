"""What happens in a room, as values."""

from collections.abc import Sequence
from dataclasses import dataclass

from nexus_rtc.model import ConnectionQuality, Participant, PauseReason, Slot, Track


@dataclass(frozen=True, slots=True)
class ParticipantJoined:
    participant: Participant


@dataclass(frozen=True, slots=True)
class ParticipantLeft:
    participant: Participant


@dataclass(frozen=True, slots=True)
class ParticipantUpdated:
    participant: Participant


@dataclass(frozen=True, slots=True)
class TrackPublished:
    participant: Participant
    track: Track


@dataclass(frozen=True, slots=True)
class TrackUnpublished:
    participant: Participant
    track: Track


@dataclass(frozen=True, slots=True)
class TrackMuted:
    """Muted, or no longer: `track.muted`."""

    participant: Participant
    track: Track


@dataclass(frozen=True, slots=True)
class TrackUpdated:
    """Its publisher sends it in another way: the size of its pictures, its layers, its codec."""

    participant: Participant
    track: Track


@dataclass(frozen=True, slots=True)
class TrackPaused:
    """Nothing comes of a track that we asked for."""

    track_id: str
    reason: PauseReason = "bandwidth"


@dataclass(frozen=True, slots=True)
class TrackResumed:
    """What kept it away does so no longer."""

    track_id: str


@dataclass(frozen=True, slots=True)
class ConnectionQualityChanged:
    """Of somebody, or of us; `score` is 0 to 100."""

    participant_id: str
    quality: ConnectionQuality
    score: float


@dataclass(frozen=True, slots=True)
class Speaker:
    participant_id: str
    track_id: str
    level_dbov: float


@dataclass(frozen=True, slots=True)
class ActiveSpeakers:
    """Loudest first."""

    speakers: Sequence[Speaker]


@dataclass(frozen=True, slots=True)
class SlotsChanged:
    slots: Sequence[Slot]


@dataclass(frozen=True, slots=True)
class ReofferNeeded:
    """The server would like this many slots in all."""

    pairs: int
    audio_slots: int


@dataclass(frozen=True, slots=True)
class DataReceived:
    """A message on a data channel; text is a str."""

    payload: bytes | str
    participant: Participant | None
    """None for the server's own messages and those of hidden participants."""
    topic: str = ""
    from_server: bool = False
    directed: bool = False
    """To some only, us among them."""
    reliable: bool = True


@dataclass(frozen=True, slots=True)
class MediaConnected:
    """The server sees our ICE and DTLS up."""

    srtp_profile: str


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """Always the last event. `reason` is CLIENT_LEFT, REPLACED, REMOVED, SIGNALING_LOST, …"""

    reason: str
    message: str = ""
    can_rejoin: bool = False


Event = (
    ParticipantJoined
    | ParticipantLeft
    | ParticipantUpdated
    | TrackPublished
    | TrackUnpublished
    | TrackMuted
    | TrackUpdated
    | TrackPaused
    | TrackResumed
    | ConnectionQualityChanged
    | ActiveSpeakers
    | SlotsChanged
    | ReofferNeeded
    | DataReceived
    | MediaConnected
    | SessionEnded
)
