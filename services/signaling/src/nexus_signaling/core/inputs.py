"""The inputs of a session."""

from dataclasses import dataclass

from nexus.signaling.v1 import session_pb2
from nexus.types.v1 import media_pb2
from nexus_rooms import ParticipantResponse
from nexus_rpc import RpcError

from nexus_signaling.core.outbox import Frame
from nexus_signaling.core.seat import Seat
from nexus_signaling.outgoing import SharedEvent


@dataclass(frozen=True, slots=True)
class FrameReceived:
    frame: Frame


@dataclass(frozen=True, slots=True)
class ControlFrameReceived:
    """A WebSocket ping or pong (RFC 6455 §5.5), which shows that the client is alive and counts for its
    rate."""


@dataclass(frozen=True, slots=True)
class FrameTooLarge:
    """The WebSocket layer refused a message because of its size, before or after inflation."""


@dataclass(frozen=True, slots=True)
class JoinAccepted:
    seat: Seat
    response: session_pb2.JoinResponse


@dataclass(frozen=True, slots=True)
class JoinRefused:
    refused: RpcError


@dataclass(frozen=True, slots=True)
class SfuAnswered:
    """The answer to the last `CallSfu`."""

    answer: ParticipantResponse | RpcError


@dataclass(frozen=True, slots=True)
class RoomEventArrived:
    event: SharedEvent


@dataclass(frozen=True, slots=True)
class EventsMayBeMissing:
    """Events may have been lost, for example in an outage of the broker."""


@dataclass(frozen=True, slots=True)
class SnapshotFetched:
    """The answer to the last `FetchSnapshot`."""

    answer: session_pb2.RoomSnapshot | RpcError


@dataclass(frozen=True, slots=True)
class Ended:
    """The service ends the session, for example because the node is lost or the service stops."""

    reason: media_pb2.DisconnectReason.ValueType
    message: str


@dataclass(frozen=True, slots=True)
class Broken:
    """Handling this session failed because of a defect."""


@dataclass(frozen=True, slots=True)
class OutboxFull:
    """The client does not read its messages."""


@dataclass(frozen=True, slots=True)
class SocketClosed:
    """The WebSocket is closed. `code` is the client's close code, or None without one."""

    code: int | None


@dataclass(frozen=True, slots=True)
class TimePassed:
    """`next_deadline()` may have been reached."""


Input = (
    FrameReceived
    | ControlFrameReceived
    | FrameTooLarge
    | JoinAccepted
    | JoinRefused
    | SfuAnswered
    | RoomEventArrived
    | EventsMayBeMissing
    | SnapshotFetched
    | Ended
    | Broken
    | OutboxFull
    | SocketClosed
    | TimePassed
)
