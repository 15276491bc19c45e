"""What to look at when a step fails: one sentence for the operator, by step and by error code."""

from collections.abc import Mapping
from typing import Final

_BY_CODE: Final[Mapping[str, str]] = {
    "CONNECTION_FAILED": (
        "Does the server run there (`nexus dev`, `curl <url>/readyz`)? "
        "A proxy has to let the WebSocket at /v1/rtc through."
    ),
    "REQUEST_TIMEOUT": (
        "Signaling took the connection and does not answer: look at its log, at its broker and at its SFU."
    ),
    "TOKEN_EXPIRED": "Mint a new one with `nexus token`; if it is new, compare the clocks.",
    "TOKEN_NOT_YET_VALID": "The clock that minted the token is ahead of the server's: compare them.",
    "TOKEN_INVALID": (
        "The app's key and secret must be those of the server (NEXUS_APPS); give --app and --secret."
    ),
    "APP_MISMATCH": "The token was signed for another app.",
    "ROOM_MISMATCH": "The token is for another room: --room must name the token's.",
    "ROOM_NOT_FOUND": "The room does not exist and the token may not create it: add --grant create.",
    "PERMISSION_DENIED": "The token needs the grants publish and subscribe.",
    "NO_SFU_AVAILABLE": ("No SFU node is registered, or all are full or draining: look at `nexus nodes`."),
    "SFU_UNREACHABLE": "Signaling cannot call the SFU: check its NEXUS_SFU_GRPC_ADDRESS from there.",
    "NODE_DRAINING": "The room's node is about to go: try again.",
    "ROOM_FULL": "The room has as many people as it may: choose another, or raise the limit.",
    "RATE_LIMITED": "Too many messages for now: wait, and try again.",
}

WEBSOCKET: Final = _BY_CODE["CONNECTION_FAILED"]
ANSWER: Final = "Look at signaling's log; the code is explained in docs/reference/errors.md."
ICE: Final = (
    "Signaling works and UDP does not: open the SFU's media port (NEXUS_SFU_MEDIA_PORT) in firewalls, "
    "and let NEXUS_SFU_MEDIA_ADDRESSES name addresses that are reachable from here."
)
DTLS: Final = (
    "UDP works and the handshake does not: something on the way drops large datagrams, or the server "
    "does not allow the SRTP profile (NEXUS_SFU_SRTP_PROFILES)."
)
SENT: Final = "Nothing was encoded here: is the codec in this machine's PyAV? Try --codec vp8."
PARTNER: Final = "The first join worked and a second did not: look at the limits of the room and the SFU."
RECEIVED: Final = (
    "Our packets go out and nobody's come back: the SFU's log and metrics say whether it received them; "
    "a firewall may let UDP through in one direction only."
)
FRAMES: Final = (
    "Packets come and no picture or sound: a keyframe may never arrive. Look at PLI in the SFU's metrics."
)
WRONG: Final = (
    "What came under the partner's name is not what the partner sent: report this, with the JSON, as a bug."
)


def by_code(code: str, otherwise: str) -> str:
    return _BY_CODE.get(code, otherwise)
