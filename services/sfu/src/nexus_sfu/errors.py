"""The SFU's errors for clients, one function each, so that a code always has the same fields."""

from nexus.types.v1.error_pb2 import ErrorCode
from nexus_rpc import RpcError


def data_too_large(limit: int) -> RpcError:
    return RpcError(
        ErrorCode.DATA_TOO_LARGE, "the message is too large for a data channel", details={"limit": limit}
    )


def invalid_sdp(message: str, **fields: str | int) -> RpcError:
    return RpcError(ErrorCode.INVALID_SDP, message, details=fields)


def invalid_argument(message: str, **fields: str | int) -> RpcError:
    return RpcError(ErrorCode.INVALID_ARGUMENT, message, details=fields)


def unsupported_codec(mid: str) -> RpcError:
    return RpcError(
        ErrorCode.UNSUPPORTED_CODEC, "none of the publication's codecs is supported", details={"mid": mid}
    )


def permission_denied(message: str, **fields: str | int) -> RpcError:
    return RpcError(ErrorCode.PERMISSION_DENIED, message, details=fields)


def room_not_found(room: str) -> RpcError:
    return RpcError(ErrorCode.ROOM_NOT_FOUND, "the room does not exist on this node", details={"room": room})


def participant_not_found(participant_id: str) -> RpcError:
    return RpcError(
        ErrorCode.PARTICIPANT_NOT_FOUND,
        "no participant with this id is in the room",
        details={"participant_id": participant_id},
    )


def track_not_found(track_id: str) -> RpcError:
    return RpcError(
        ErrorCode.TRACK_NOT_FOUND, "no track with this id is in the room", details={"track_id": track_id}
    )


def tap_not_found(name: str) -> RpcError:
    return RpcError(ErrorCode.TAP_NOT_FOUND, "the track has no tap with this name", details={"tap": name})


def tap_taken(name: str) -> RpcError:
    return RpcError(ErrorCode.TAP_TAKEN, "a newer stream reads this tap", details={"tap": name})


def room_full(limit: int) -> RpcError:
    return RpcError(ErrorCode.ROOM_FULL, "the room is full", details={"limit": limit})


def too_many_rooms(limit: int) -> RpcError:
    return RpcError(ErrorCode.TOO_MANY_ROOMS, "the node accepts no more rooms", details={"limit": limit})


def too_many_tracks(limit: int) -> RpcError:
    return RpcError(
        ErrorCode.TOO_MANY_TRACKS, "the participant publishes too many tracks", details={"limit": limit}
    )


def slots_exhausted(limit: int) -> RpcError:
    return RpcError(ErrorCode.SLOTS_EXHAUSTED, "the participant has too many slots", details={"limit": limit})


def node_draining() -> RpcError:
    return RpcError(ErrorCode.NODE_DRAINING, "the node is draining and accepts no new rooms or participants")


def too_many_streams() -> RpcError:
    return RpcError(ErrorCode.SERVICE_UNAVAILABLE, "the node accepts no more streams", retry_after_ms=1000)
