"""The header of every message on a data channel: sender, receivers and topic (docs/reference/data.md). The
engine and the web SDK use the same format; the tests of all three share vectors.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

MAX_PAYLOAD_BYTES: Final = 256 * 1024
# Maximum payload of one part. A browser sends at most 256 KiB at once, header included, so a larger payload
# is sent in two parts, the first of this size.
PART_BYTES: Final = MAX_PAYLOAD_BYTES - 1024
MAX_TOPIC_BYTES: Final = 128
MAX_DESTINATIONS: Final = 32

_VERSION: Final = 1
_TEXT: Final = 1
_FROM_SERVER: Final = 2
_DIRECTED: Final = 4
_FIRST_PART: Final = 8
_LAST_PART: Final = 16


@dataclass(frozen=True, slots=True)
class Part:
    """A part of one of the sender's messages."""

    number: int
    last: bool


@dataclass(frozen=True, slots=True)
class DataEnvelope:
    payload: bytes = b""
    text: bool = False
    topic: str = ""
    destinations: Sequence[str] = ()
    sender: str = ""
    """The participant's id, which the server sets. Empty: a hidden participant or the server."""
    from_server: bool = False
    directed: bool = False
    """Addressed to some participants, not to the whole room."""
    part: Part | None = None
    """None: the message is complete."""


def write_messages(envelope: DataEnvelope, number: int) -> list[bytes]:
    """Encodes a message, or the two parts of a large one with this number."""
    payload = envelope.payload
    if len(payload) <= PART_BYTES:
        return [write_envelope(envelope)]
    first = replace(envelope, payload=payload[:PART_BYTES], part=Part(number, last=False))
    last = replace(envelope, payload=payload[PART_BYTES:], part=Part(number, last=True))
    return [write_envelope(first), write_envelope(last)]


def write_envelope(envelope: DataEnvelope) -> bytes:
    flags = _TEXT * envelope.text | _FROM_SERVER * envelope.from_server | _DIRECTED * envelope.directed
    numbered = b""
    if envelope.part is not None:
        flags |= _LAST_PART if envelope.part.last else _FIRST_PART
        numbered = envelope.part.number.to_bytes(4)
    parts = [bytes([_VERSION, flags]), numbered, _named(envelope.sender), _named(envelope.topic)]
    parts.append(bytes([len(envelope.destinations)]))
    parts += [_named(identifier) for identifier in envelope.destinations]
    return b"".join([*parts, envelope.payload])


def read_envelope(message: bytes) -> DataEnvelope | None:
    """Decodes a message. Returns None for an unknown version or an invalid envelope."""
    if len(message) < 2 or message[0] != _VERSION or message[1] >= _FIRST_PART + _LAST_PART:
        return None
    flags, at = message[1], 2
    part = None
    if flags & (_FIRST_PART | _LAST_PART):
        part, at = Part(int.from_bytes(message[2:6]), bool(flags & _LAST_PART)), 6
    texts: list[str] = []
    left = 2  # sender and topic, then the destinations that the count announces
    while left > 0:
        if at >= len(message) or at + 1 + message[at] > len(message):
            return None
        end = at + 1 + message[at]
        texts.append(message[at + 1 : end].decode(errors="replace"))
        at, left = end, left - 1
        if len(texts) == 2:
            if at >= len(message):
                return None
            at, left = at + 1, message[at]
    if not _part_fits(part, len(message) - at):
        return None
    return DataEnvelope(
        payload=message[at:],
        part=part,
        text=bool(flags & _TEXT),
        topic=texts[1],
        destinations=tuple(texts[2:]),
        sender=texts[0],
        from_server=bool(flags & _FROM_SERVER),
        directed=bool(flags & _DIRECTED),
    )


def _part_fits(part: Part | None, size: int) -> bool:
    """Checks that two joined parts do not exceed the maximum payload."""
    if part is None:
        return True
    return 0 < size <= MAX_PAYLOAD_BYTES - PART_BYTES if part.last else size == PART_BYTES


def _named(text: str) -> bytes:
    encoded = text.encode()
    return bytes([len(encoded)]) + encoded
