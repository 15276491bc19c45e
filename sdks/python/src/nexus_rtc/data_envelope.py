"""The header of every message on a data channel: who says what to whom (docs/reference/data.md). The engine
and the web SDK read and write the same bytes; the tests of all three share vectors.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

# A message of 256 KiB less its header.
MAX_PAYLOAD_BYTES: Final = 255 * 1024
MAX_TOPIC_BYTES: Final = 128
MAX_DESTINATIONS: Final = 32

_VERSION: Final = 1
_TEXT: Final = 1
_FROM_SERVER: Final = 2
_DIRECTED: Final = 4


@dataclass(frozen=True, slots=True)
class DataEnvelope:
    payload: bytes = b""
    text: bool = False
    topic: str = ""
    destinations: Sequence[str] = ()
    sender: str = ""
    """A participant's id; the server fills it in. Empty: hidden, or the server."""
    from_server: bool = False
    directed: bool = False
    """To some only."""


def write_envelope(envelope: DataEnvelope) -> bytes:
    flags = _TEXT * envelope.text | _FROM_SERVER * envelope.from_server | _DIRECTED * envelope.directed
    parts = [bytes([_VERSION, flags]), _named(envelope.sender), _named(envelope.topic)]
    parts.append(bytes([len(envelope.destinations)]))
    parts += [_named(identifier) for identifier in envelope.destinations]
    return b"".join([*parts, envelope.payload])


def read_envelope(message: bytes) -> DataEnvelope | None:
    """None for what is no envelope of a version that is known here."""
    if len(message) < 2 or message[0] != _VERSION or message[1] & ~(_TEXT | _FROM_SERVER | _DIRECTED):
        return None
    flags, at = message[1], 2
    texts: list[str] = []
    left = 2  # sender and topic; then as many destinations as the count says
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
    return DataEnvelope(
        payload=message[at:],
        text=bool(flags & _TEXT),
        topic=texts[1],
        destinations=tuple(texts[2:]),
        sender=texts[0],
        from_server=bool(flags & _FROM_SERVER),
        directed=bool(flags & _DIRECTED),
    )


def _named(text: str) -> bytes:
    encoded = text.encode()
    return bytes([len(encoded)]) + encoded
