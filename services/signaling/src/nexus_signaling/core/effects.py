"""The effects of a session, which its connection performs."""

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

    `catch_up` marks messages that bring the client up to date: a join's answer, a snapshot, and the events
    that were held until then. Their size says nothing about how fast the client reads.
    """

    outgoing: Outgoing
    catch_up: bool = False


@dataclass(frozen=True, slots=True)
class StartJoin:
    """Verify the token, find the room and call the SFU. The result is always `JoinAccepted` or `JoinRefused`,
    even if the session has ended meanwhile."""

    request: session_pb2.JoinRequest


@dataclass(frozen=True, slots=True)
class CallSfu:
    """Call the SFU; the result is `SfuAnswered`. At most one call is in progress."""

    request: ParticipantRequest


@dataclass(frozen=True, slots=True)
class FetchSnapshot:
    """Fetch the room's state; the result is `SnapshotFetched`. At most one fetch is in progress."""


@dataclass(frozen=True, slots=True)
class LeaveRoom:
    """Notify the SFU that the participant has left."""

    seat: Seat
    reason: media_pb2.DisconnectReason.ValueType


@dataclass(frozen=True, slots=True)
class Close:
    """Close the WebSocket; with `flush`, after the messages sent before."""

    code: CloseCode
    reason: str
    flush: bool = True


Effect = Send | StartJoin | CallSfu | FetchSnapshot | LeaveRoom | Close
