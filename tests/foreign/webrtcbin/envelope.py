"""The header of a message on a data channel (docs/reference/data.md)."""

PROTOCOL = "nexus.data.v1"
VERSION = 1
TEXT = 0x01
IN_PARTS = 0x08 | 0x10


def wrap(payload: bytes, *, is_text: bool) -> bytes:
    """Addresses a payload of less than 255 KiB to all participants: without sender (the server sets it),
    topic and destinations."""
    return bytes([VERSION, TEXT if is_text else 0, 0, 0, 0]) + payload


def unwrap(message: bytes) -> tuple[str, bool, bytes]:
    """The sender's id, whether the payload is text, and the payload. Raises ValueError."""
    if len(message) < 2 or message[0] != VERSION or message[1] & IN_PARTS:
        raise ValueError("a message of another version, or in parts")
    fields, at = [], 2
    for _ in ("sender", "topic"):
        size = message[at]
        fields.append(message[at + 1 : at + 1 + size])
        at += 1 + size
    if message[at] != 0:
        raise ValueError("a message with destinations")
    return fields[0].decode(), bool(message[1] & TEXT), message[at + 1 :]
