"""What a session wants done."""

from dataclasses import dataclass

from nexus.signaling.v1 import session_pb2
from nexus.types.v1 import media_pb2
from nexus_rooms import ParticipantRequest

from nexus_signaling.core.seat import Seat
from nexus_signaling.errors import CloseCode
from nexus_signaling.outgoing import Outgoing


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message.

    `catch_up` marks what brings the client up to date: a join's answer, a snapshot, and the events that were
    held back until then. Their size says nothing about how fast the client reads.
    """

    outgoing: Outgoing
    catch_up: bool = False


@dataclass(frozen=True, slots=True)
class StartJoin:
    """Verify the token, find the room, call the SFU; ends in `JoinAccepted` or `JoinRefused`, whatever
    happens meanwhile."""

    request: session_pb2.JoinRequest


@dataclass(frozen=True, slots=True)
class CallSfu:
    """Ends in `SfuAnswered`. At most one is under way."""

    request: ParticipantRequest


@dataclass(frozen=True, slots=True)
class FetchSnapshot:
    """Ends in `SnapshotFetched`. At most one is under way."""


@dataclass(frozen=True, slots=True)
class LeaveRoom:
    """Tell the SFU that the participant is gone."""

    seat: Seat
    reason: media_pb2.DisconnectReason.ValueType


@dataclass(frozen=True, slots=True)
class Close:
    """Close the WebSocket; with `flush`, after what has been sent before."""

    code: CloseCode
    reason: str
    flush: bool = True


Effect = Send | StartJoin | CallSfu | FetchSnapshot | LeaveRoom | Close
