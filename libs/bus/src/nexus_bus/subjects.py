"""Every subject, key and stream name that Nexus uses on NATS, in one place.

For data engineers: what follows is a public contract. App, room and identity stand in names as *tokens*: the
base64url form (RFC 4648 §5) of their UTF-8 bytes, without padding. So a room may be called ``>`` or ``a.b``
and neither reaches a subject that is not its own nor breaks one. ``token("lobby") == "bG9iYnk"``; ``untoken``
turns it back.

====================================  =====================================  =========================
what                                  name                                   carries
====================================  =====================================  =========================
something happened in a room          nexus.v1.<app>.room.<room>.<event>     ``nexus.events.v1``
one-second call-quality samples       nexus.v1.<app>.qoe.<room>              ``nexus.qoe.v1``
rooms and where they are placed       KV ``rooms``, key <app>.<room>         ``nexus.types.v1``
who is in a room                      KV ``participants``,                   ``nexus.types.v1``
                                      key <app>.<room>.<identity>
SFU nodes, alive and how loaded       KV ``nodes``, key <node>               ``nexus.types.v1``
====================================  =====================================  =========================

Room events are core NATS: who is not subscribed misses them, and sees that by the room's revision in each.
Quality samples are stored by the stream ``QOE``.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

ROOT: Final = "nexus.v1"

ROOMS: Final = "rooms"
PARTICIPANTS: Final = "participants"
NODES: Final = "nodes"
BUCKETS: Final = (ROOMS, PARTICIPANTS, NODES)

QOE_STREAM: Final = "QOE"
QOE_STREAM_SUBJECTS: Final = (f"{ROOT}.*.qoe.*",)

_NAME_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


def token(text: str) -> str:
    """The base64url form of `text`, without padding. Raises ValueError for the empty text: a subject has no
    empty token."""
    if not text:
        raise ValueError("an empty name cannot stand in a subject")
    return urlsafe_b64encode(text.encode()).rstrip(b"=").decode("ascii")


def untoken(part: str) -> str:
    """The text behind a token. Raises ValueError if `part` is not one that `token` makes."""
    padded = part + "=" * (-len(part) % 4)
    try:
        text = urlsafe_b64decode(padded).decode()
    except ValueError as error:
        raise ValueError(f"not a base64url token: {part!r}") from error
    # b64decode skips characters it does not know and ignores spare bits; one text must have one token only.
    if not text or token(text) != part:
        raise ValueError(f"not a base64url token: {part!r}")
    return text


def _plain(name: str) -> str:
    """A name that we chose ourselves (an event's, a node's): checked, not encoded, so that people can read
    it."""
    if not name or not _NAME_CHARACTERS.issuperset(name):
        raise ValueError(f"only letters, digits, '-' and '_' may stand here: {name!r}")
    return name


def room_event(app: str, room: str, name: str) -> str:
    """The subject of one kind of event in one room; `name` as in ``track-published``."""
    return f"{ROOT}.{token(app)}.room.{token(room)}.{_plain(name)}"


def room_events(app: str, room: str) -> str:
    """Everything that happens in one room."""
    return f"{ROOT}.{token(app)}.room.{token(room)}.>"


def all_room_events(app: str | None = None) -> str:
    """Everything that happens in all rooms of an app, or of every app."""
    return f"{ROOT}.{'*' if app is None else token(app)}.room.>"


def qoe(app: str, room: str) -> str:
    """Where the quality samples of one room go; stored by the stream `QOE_STREAM`."""
    return f"{ROOT}.{token(app)}.qoe.{token(room)}"


def parse_room_event(subject: str) -> tuple[str, str, str]:
    """(app, room, event name) of a subject made by `room_event`. Raises ValueError for any other."""
    parts = subject.split(".")
    if len(parts) != 6 or parts[:2] != ROOT.split(".") or parts[3] != "room":
        raise ValueError(f"not a room event's subject: {subject!r}")
    return untoken(parts[2]), untoken(parts[4]), _plain(parts[5])


def room_key(app: str, room: str) -> str:
    """The room in KV `rooms`: placement, settings."""
    return f"{token(app)}.{token(room)}"


def participant_key(app: str, room: str, identity: str) -> str:
    """One participant in KV `participants`."""
    return f"{token(app)}.{token(room)}.{token(identity)}"


def participants_filter(app: str, room: str) -> str:
    """All participants of one room, for `KeyValue.watch` and `KeyValue.keys`."""
    return f"{token(app)}.{token(room)}.*"


def node_key(node: str) -> str:
    """One SFU node in KV `nodes`, written by that node as its heartbeat."""
    return _plain(node)


def parse_room_key(key: str) -> tuple[str, str]:
    """(app, room) of a key made by `room_key`."""
    app, room = key.split(".")
    return untoken(app), untoken(room)


def parse_participant_key(key: str) -> tuple[str, str, str]:
    """(app, room, identity) of a key made by `participant_key`."""
    app, room, identity = key.split(".")
    return untoken(app), untoken(room), untoken(identity)
