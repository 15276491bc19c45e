"""The recorder's errors for clients, one function each, so that a code always has the same fields."""

from nexus.types.v1.error_pb2 import ErrorCode
from nexus_rpc import RpcError


def invalid_argument(field: str, message: str) -> RpcError:
    """`field` is the path of the field in the request, such as ``spec.segment_ms``."""
    return RpcError(ErrorCode.INVALID_ARGUMENT, f"{field}: {message}", details={"field": field})


def room_not_found(room: str) -> RpcError:
    return RpcError(ErrorCode.ROOM_NOT_FOUND, "the room does not exist", details={"room": room})


def track_not_found(track_id: str) -> RpcError:
    return RpcError(
        ErrorCode.TRACK_NOT_FOUND, "no track with this id is in the room", details={"track_id": track_id}
    )


def recording_not_found(recording_id: str) -> RpcError:
    return RpcError(
        ErrorCode.RECORDING_NOT_FOUND,
        "the app has no recording with this id",
        details={"recording_id": recording_id},
    )


def recording_ended(recording_id: str) -> RpcError:
    return RpcError(
        ErrorCode.RECORDING_ENDED,
        "the recording has ended, so it cannot be changed",
        details={"recording_id": recording_id},
    )


def permission_denied(message: str, **fields: str | int) -> RpcError:
    return RpcError(ErrorCode.PERMISSION_DENIED, message, details=fields)


def unavailable(message: str) -> RpcError:
    return RpcError(ErrorCode.SERVICE_UNAVAILABLE, message, retry_after_ms=1000)
