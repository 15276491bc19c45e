"""The participants: each stack as a publisher and as a subscriber, all in one room at the same time.

To add a stack, add its two seats here (README.md, "Another stack").
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).resolve().parent.parent
BUILD: Final = FOLDER.parent.parent / "build" / "foreign"

_SDK: Final = (sys.executable, str(FOLDER / "sdk_client.py"))
_PION: Final = (str(BUILD / "pion"),)
_OLD_PION: Final = (str(BUILD / "pion_before_ice_4_0_8"),)
_LIBDATACHANNEL: Final = ("node", str(FOLDER / "node" / "libdatachannel_client.mjs"))
# Only the system's Python has GStreamer's bindings.
_WEBRTCBIN: Final = ("/usr/bin/python3", str(FOLDER / "webrtcbin" / "client.py"))
_WERIFT: Final = ("node", str(FOLDER / "node" / "werift_client.mjs"))


@dataclass(frozen=True, slots=True)
class Seat:
    """A participant of the run. With `video` (a codec) it publishes that codec and Opus; otherwise it
    subscribes to all publishers."""

    identity: str
    command: tuple[str, ...]
    video: str = ""
    colour: tuple[int, int, int] = (0, 0, 0)


SEATS: Final = (
    Seat("sdk-publisher", _SDK, "vp8", (220, 200, 30)),
    Seat("pion-vp8", _PION, "vp8", (220, 30, 30)),
    Seat("pion-h264", _PION, "h264", (30, 200, 30)),
    Seat("old-pion-vp8", _OLD_PION, "vp8", (30, 200, 200)),
    Seat("werift-vp8", _WERIFT, "vp8", (30, 30, 220)),
    Seat("libdatachannel-h264", _LIBDATACHANNEL, "h264", (200, 30, 200)),
    Seat("webrtcbin-h264", _WEBRTCBIN, "h264", (30, 200, 200)),
    Seat("sdk-subscriber", _SDK),
    Seat("pion-subscriber", _PION),
    Seat("old-pion-subscriber", _OLD_PION),
    Seat("werift-subscriber", _WERIFT),
    Seat("libdatachannel-subscriber", _LIBDATACHANNEL),
    Seat("webrtcbin-subscriber", _WEBRTCBIN),
)
PUBLISHERS: Final = tuple(seat for seat in SEATS if seat.video)
# Publishers that already send when the subscribers join, and publishers that join after them.
EARLY: Final = PUBLISHERS[::2]
LATE: Final = PUBLISHERS[1::2]
SUBSCRIBERS: Final = tuple(seat for seat in SEATS if not seat.video)
