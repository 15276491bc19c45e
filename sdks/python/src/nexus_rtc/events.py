"""The events of a room, as values."""

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
    """A track was muted or unmuted; see `track.muted`."""

    participant: Participant
    track: Track


@dataclass(frozen=True, slots=True)
class TrackUpdated:
    """A track's description has changed: its video size, its layers or its codec."""

    participant: Participant
    track: Track


@dataclass(frozen=True, slots=True)
class TrackPaused:
    """The server sends nothing of a requested track."""

    track_id: str
    reason: PauseReason = "bandwidth"


@dataclass(frozen=True, slots=True)
class TrackResumed:
    """The server sends a paused track again."""

    track_id: str


@dataclass(frozen=True, slots=True)
class ConnectionQualityChanged:
    """The connection quality of a remote or the local participant; `score` is 0 to 100."""

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
    """The participants who speak now, loudest first."""

    speakers: Sequence[Speaker]


@dataclass(frozen=True, slots=True)
class RecordingChanged:
    """The recording of the room has started or resumed, or it has paused or stopped."""

    recording: bool


@dataclass(frozen=True, slots=True)
class TranscribingChanged:
    """The transcription of the room has started or stopped."""

    transcribing: bool


@dataclass(frozen=True, slots=True)
class SlotsChanged:
    slots: Sequence[Slot]


@dataclass(frozen=True, slots=True)
class ReofferNeeded:
    """The server requests a re-offer with this many slots in total."""

    pairs: int
    audio_slots: int


@dataclass(frozen=True, slots=True)
class DataReceived:
    """A message on a data channel; a text is a str."""

    payload: bytes | str
    participant: Participant | None
    """None for messages of the server and of hidden participants."""
    topic: str = ""
    from_server: bool = False
    directed: bool = False
    """Addressed to some participants, not to the whole room."""
    reliable: bool = True


@dataclass(frozen=True, slots=True)
class MediaConnected:
    """ICE and DTLS of the local participant are up."""

    srtp_profile: str


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The session has ended; always the last event. `reason` is CLIENT_LEFT, REPLACED, REMOVED,
    SIGNALING_LOST, …"""

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
    | RecordingChanged
    | TranscribingChanged
    | SlotsChanged
    | ReofferNeeded
    | DataReceived
    | MediaConnected
    | SessionEnded
)
