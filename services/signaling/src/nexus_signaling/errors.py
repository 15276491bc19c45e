"""The WebSocket close code and the HTTP status of each error code.

`nexus_rpc.RpcError` is raised anywhere between the socket and the SFU, and the session translates it once
into a message to the client.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

from nexus.types.v1.error_pb2 import ErrorCode


class CloseCode(IntEnum):
    """WebSocket close codes (RFC 6455 §7.4; 4000 to 4999 are for applications)."""

    LEFT = 1000
    SERVER_SHUTDOWN = 1001
    MESSAGE_TOO_LARGE = 1009
    PROTOCOL_ERROR = 4000
    TOKEN_REJECTED = 4001
    REPLACED = 4002
    REMOVED = 4003
    ROOM_CLOSED = 4004
    MEDIA_FAILED = 4005
    RATE_LIMITED = 4006
    PING_TIMEOUT = 4007
    REFUSED = 4008
    TOO_SLOW = 4009


_CLOSE_CODES: Final[Mapping[ErrorCode.ValueType, CloseCode]] = {
    ErrorCode.INVALID_MESSAGE: CloseCode.PROTOCOL_ERROR,
    ErrorCode.JOIN_TIMEOUT: CloseCode.PROTOCOL_ERROR,
    ErrorCode.MESSAGE_TOO_LARGE: CloseCode.MESSAGE_TOO_LARGE,
    ErrorCode.RATE_LIMITED: CloseCode.RATE_LIMITED,
    ErrorCode.TOKEN_MISSING: CloseCode.TOKEN_REJECTED,
    ErrorCode.TOKEN_INVALID: CloseCode.TOKEN_REJECTED,
    ErrorCode.TOKEN_EXPIRED: CloseCode.TOKEN_REJECTED,
    ErrorCode.TOKEN_NOT_YET_VALID: CloseCode.TOKEN_REJECTED,
    ErrorCode.APP_MISMATCH: CloseCode.TOKEN_REJECTED,
    ErrorCode.ROOM_MISMATCH: CloseCode.TOKEN_REJECTED,
}


def close_code(code: ErrorCode.ValueType) -> CloseCode:
    """The close code after a fatal error; `REFUSED` for a join that failed for any other reason."""
    return _CLOSE_CODES.get(code, CloseCode.REFUSED)


_HTTP_STATUS: Final[Mapping[ErrorCode.ValueType, int]] = {
    ErrorCode.TOKEN_MISSING: 401,
    ErrorCode.TOKEN_INVALID: 401,
    ErrorCode.TOKEN_EXPIRED: 401,
    ErrorCode.TOKEN_NOT_YET_VALID: 401,
    ErrorCode.PERMISSION_DENIED: 403,
    ErrorCode.ROOM_NOT_FOUND: 404,
    ErrorCode.PARTICIPANT_NOT_FOUND: 404,
    ErrorCode.TRACK_NOT_FOUND: 404,
    ErrorCode.RECORDING_NOT_FOUND: 404,
    ErrorCode.STORE_NOT_FOUND: 404,
    ErrorCode.RECORDING_ENDED: 409,
    ErrorCode.DATA_TOO_LARGE: 413,
    ErrorCode.MESSAGE_TOO_LARGE: 413,
    ErrorCode.INVALID_ARGUMENT: 400,
    ErrorCode.RATE_LIMITED: 429,
    ErrorCode.STORAGE_REFUSED: 502,
    ErrorCode.SFU_UNREACHABLE: 503,
    ErrorCode.NO_SFU_AVAILABLE: 503,
    ErrorCode.SERVICE_UNAVAILABLE: 503,
    ErrorCode.NO_CAPACITY: 503,
}


def http_status(code: ErrorCode.ValueType) -> int:
    """The HTTP status of an error (RFC 9110 section 15); 500 for codes without one."""
    return _HTTP_STATUS.get(code, 500)
