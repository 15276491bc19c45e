"""The errors of this package, by how a program would react. `code` is a stable name of
docs/reference/errors.md."""

from typing import Final

from nexus.types.v1.error_pb2 import Error, ErrorCode
from nexus.types.v1.media_pb2 import DisconnectReason


class NexusError(Exception):
    """The base of the errors that this package raises."""

    def __init__(
        self, code: str, message: str, *, details: dict[str, str] | None = None, retry_after_ms: int = 0
    ) -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code
        self.message = message
        self.details = details or {}
        self.retry_after_ms = retry_after_ms


class TokenRejected(NexusError):
    """The token is missing, invalid, expired, or of another app or room: request a new one."""


class PermissionDenied(NexusError):
    """The token does not grant this."""


class NotFound(NexusError):
    """No such room, participant, track, recording or store."""


class LimitReached(NexusError):
    """A limit was exceeded; `retry_after_ms` says whether waiting helps."""


class RequestInvalid(NexusError):
    """The server could not understand the request."""


class ServerUnavailable(NexusError):
    """The server or one of its dependencies is unavailable: retrying may help."""


class ConnectionFailed(NexusError):
    """There is no WebSocket to the server (code CONNECTION_FAILED), or no answer in time
    (REQUEST_TIMEOUT)."""


class MediaFailed(NexusError):
    """Signaling works and media does not: ICE_FAILED, DTLS_FAILED."""


class Disconnected(NexusError):
    """The session is over; `code` is the reason without its prefix, such as REPLACED or CLIENT_LEFT."""


_TOKEN: Final = frozenset(range(ErrorCode.TOKEN_MISSING, ErrorCode.PERMISSION_DENIED))
_NOT_FOUND: Final = frozenset(
    (
        ErrorCode.ROOM_NOT_FOUND,
        ErrorCode.PARTICIPANT_NOT_FOUND,
        ErrorCode.TRACK_NOT_FOUND,
        ErrorCode.RECORDING_NOT_FOUND,
        ErrorCode.STORE_NOT_FOUND,
    )
)
_LIMITS: Final = frozenset(
    (
        ErrorCode.MESSAGE_TOO_LARGE,
        ErrorCode.DATA_TOO_LARGE,
        ErrorCode.RATE_LIMITED,
        ErrorCode.SLOTS_EXHAUSTED,
        ErrorCode.ROOM_FULL,
        ErrorCode.TOO_MANY_ROOMS,
        ErrorCode.TOO_MANY_TRACKS,
    )
)
_FIRST_OF_OURS: Final = 60


def from_wire(error: Error) -> NexusError:
    """The exception of an error that the server sent. A code that this version does not know is kept by its
    number."""
    name = ErrorCode.Name(error.code) if error.code in ErrorCode.values() else f"ERROR_{error.code}"
    return _kind(error.code)(
        name, error.message, details=dict(error.details), retry_after_ms=error.retry_after_ms
    )


def disconnected(reason: DisconnectReason.ValueType, message: str) -> Disconnected:
    known = reason in DisconnectReason.values()
    name = DisconnectReason.Name(reason).removeprefix("DISCONNECT_REASON_") if known else f"REASON_{reason}"
    return Disconnected(name, message)


def _kind(code: int) -> type[NexusError]:
    if code in _TOKEN:
        return TokenRejected
    if code == ErrorCode.PERMISSION_DENIED:
        return PermissionDenied
    if code in _NOT_FOUND:
        return NotFound
    if code in _LIMITS:
        return LimitReached
    return ServerUnavailable if code >= _FIRST_OF_OURS else RequestInvalid
