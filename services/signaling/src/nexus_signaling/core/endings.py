"""The WebSocket close code of each reason for the end of a session, and whether the client may join again."""

from collections.abc import Mapping
from typing import Final

from nexus.types.v1 import media_pb2

from nexus_signaling.errors import CloseCode

_ENDINGS: Final[Mapping[media_pb2.DisconnectReason.ValueType, tuple[CloseCode, bool]]] = {
    media_pb2.DISCONNECT_REASON_CLIENT_LEFT: (CloseCode.LEFT, True),
    media_pb2.DISCONNECT_REASON_REPLACED: (CloseCode.REPLACED, False),
    media_pb2.DISCONNECT_REASON_REMOVED: (CloseCode.REMOVED, False),
    media_pb2.DISCONNECT_REASON_ROOM_CLOSED: (CloseCode.ROOM_CLOSED, False),
    media_pb2.DISCONNECT_REASON_SERVER_SHUTDOWN: (CloseCode.SERVER_SHUTDOWN, True),
    media_pb2.DISCONNECT_REASON_MEDIA_FAILED: (CloseCode.MEDIA_FAILED, True),
    media_pb2.DISCONNECT_REASON_SIGNALING_LOST: (CloseCode.PING_TIMEOUT, True),
    media_pb2.DISCONNECT_REASON_PROTOCOL_ERROR: (CloseCode.PROTOCOL_ERROR, False),
    media_pb2.DISCONNECT_REASON_TOKEN_REJECTED: (CloseCode.TOKEN_REJECTED, False),
}


def ending(reason: media_pb2.DisconnectReason.ValueType) -> tuple[CloseCode, bool]:
    """(close code, can rejoin). An unknown reason of a newer SFU counts as failed media: the client may
    rejoin."""
    return _ENDINGS.get(reason, (CloseCode.MEDIA_FAILED, True))
