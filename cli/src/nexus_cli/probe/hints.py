"""Hints for the operator when a step fails, by step and by error code."""

from collections.abc import Mapping
from typing import Final

_BY_CODE: Final[Mapping[str, str]] = {
    "CONNECTION_FAILED": (
        "Does the server run at this URL (`nexus dev`, `curl <url>/readyz`)? "
        "A proxy must pass the WebSocket at /v1/rtc."
    ),
    "REQUEST_TIMEOUT": (
        "Signaling accepted the connection but does not answer: check its log, its broker and its SFU."
    ),
    "TOKEN_EXPIRED": "Create a new one with `nexus token`; if it is new, compare the clocks.",
    "TOKEN_NOT_YET_VALID": "The clock of the token's issuer is ahead of the server's: compare them.",
    "TOKEN_INVALID": (
        "The app's key and secret must be those of the server (NEXUS_APPS); set --app and --secret."
    ),
    "APP_MISMATCH": "The token was signed for another app.",
    "ROOM_MISMATCH": "The token is for another room: --room must name the token's.",
    "ROOM_NOT_FOUND": "The room does not exist and the token may not create it: add --grant create.",
    "PERMISSION_DENIED": "The token needs the grants publish and subscribe.",
    "NO_SFU_AVAILABLE": "No SFU node is registered, or all are full or draining: run `nexus nodes`.",
    "SFU_UNREACHABLE": (
        "Signaling cannot call the SFU: check that NEXUS_SFU_GRPC_ADDRESS is reachable from signaling."
    ),
    "NODE_DRAINING": "The room's node is draining: try again.",
    "ROOM_FULL": "The room has reached its limit of participants: choose another room, or raise the limit.",
    "RATE_LIMITED": "Too many messages: wait, and try again.",
}

WEBSOCKET: Final = _BY_CODE["CONNECTION_FAILED"]
ANSWER: Final = "Check signaling's log; docs/reference/errors.md explains the code."
ICE: Final = (
    "Signaling works but UDP does not: open the SFU's media port (NEXUS_SFU_MEDIA_PORT) in firewalls, "
    "and set NEXUS_SFU_MEDIA_ADDRESSES to addresses that this machine can reach."
)
DTLS: Final = (
    "UDP works but the handshake does not: the path may drop large datagrams, or the server "
    "may not allow the SRTP profile (NEXUS_SFU_SRTP_PROFILES)."
)
SENT: Final = "Nothing was encoded: does this machine's PyAV have the codec? Try --codec vp8."
PARTNER: Final = "The first join worked but a second did not: check the limits of the room and the SFU."
RECEIVED: Final = (
    "Packets were sent but none were received: the SFU's log and metrics show whether it received them; "
    "a firewall may pass UDP in one direction only."
)
FRAMES: Final = (
    "Packets arrive but no frame is decoded: a keyframe may be missing. Check PLI in the SFU's metrics."
)
WRONG: Final = (
    "Media received under the partner's name is not what the partner sent: report this bug with the JSON."
)


def by_code(code: str, otherwise: str) -> str:
    return _BY_CODE.get(code, otherwise)
