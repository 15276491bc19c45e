"""The error of a failed request, the same on both sides of a call.

A service raises `RpcError` anywhere; `RpcServer` sends it as a gRPC status with the whole error in the
trailing metadata, and `ChannelPool` raises an equal one at the caller. Its code is a value of
`nexus.types.v1.ErrorCode`, so a caller can act on it, and signaling passes it to clients unchanged.
"""

from collections.abc import Mapping
from typing import Final

import grpc
from google.protobuf.message import DecodeError
from nexus.types.v1 import error_pb2
from nexus.types.v1.error_pb2 import ErrorCode

ERROR_METADATA: Final = "nexus-error-bin"


class RpcError(Exception):
    """A failed request. `message` is one sentence for a developer, without internals. Clients receive
    `details` too."""

    def __init__(
        self,
        code: ErrorCode.ValueType,
        message: str,
        *,
        retry_after_ms: int = 0,
        details: Mapping[str, str | int] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after_ms = retry_after_ms
        self.details = {name: str(value) for name, value in (details or {}).items()}

    def __str__(self) -> str:
        return f"{self.name}: {self.message}"

    @property
    def name(self) -> str:
        """The name of the code; `UNKNOWN` for a code that only a newer peer knows."""
        return ErrorCode.Name(self.code) if self.code in ErrorCode.values() else "UNKNOWN"

    def to_wire(self, *, fatal: bool = False) -> error_pb2.Error:
        return error_pb2.Error(
            code=self.code,
            message=self.message,
            details=self.details,
            fatal=fatal,
            retry_after_ms=self.retry_after_ms,
        )

    @classmethod
    def from_wire(cls, error: error_pb2.Error) -> "RpcError":
        return cls(
            error.code, error.message, retry_after_ms=error.retry_after_ms, details=dict(error.details)
        )


def internal() -> RpcError:
    """The error of a defect in the server. The reason is only in the server's log."""
    return RpcError(ErrorCode.INTERNAL, "The server failed; its log has the reason.", retry_after_ms=1000)


_STATUS: Final[Mapping[ErrorCode.ValueType, grpc.StatusCode]] = {
    ErrorCode.INVALID_ARGUMENT: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.DATA_TOO_LARGE: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.INVALID_SDP: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.UNSUPPORTED_CODEC: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.PERMISSION_DENIED: grpc.StatusCode.PERMISSION_DENIED,
    ErrorCode.ROOM_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    ErrorCode.PARTICIPANT_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    ErrorCode.TRACK_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    ErrorCode.TAP_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    ErrorCode.RECORDING_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    ErrorCode.STORE_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    ErrorCode.RECORDING_ENDED: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorCode.STORAGE_REFUSED: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorCode.TAP_TAKEN: grpc.StatusCode.ABORTED,
    ErrorCode.NO_CAPACITY: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorCode.SLOTS_EXHAUSTED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorCode.ROOM_FULL: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorCode.TOO_MANY_ROOMS: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorCode.TOO_MANY_TRACKS: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorCode.RATE_LIMITED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorCode.NODE_DRAINING: grpc.StatusCode.UNAVAILABLE,
    ErrorCode.SERVICE_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
}


def status_of(code: ErrorCode.ValueType) -> grpc.StatusCode:
    """The gRPC status of a code, for callers that do not read the error metadata."""
    return _STATUS.get(code, grpc.StatusCode.INTERNAL)


def from_call(error: grpc.aio.AioRpcError, unreachable: RpcError) -> RpcError:
    """The error that the server sent, `unreachable` if no answer came, and INTERNAL for any other failure."""
    for name, value in error.trailing_metadata() or ():
        if name == ERROR_METADATA and isinstance(value, bytes):
            try:
                return RpcError.from_wire(error_pb2.Error.FromString(value))
            except DecodeError:
                return internal()
    if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        return RpcError.from_wire(unreachable.to_wire())
    return internal()
