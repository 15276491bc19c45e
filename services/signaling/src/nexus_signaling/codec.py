"""The two subprotocols: `nexus.v1` (binary protobuf) and `nexus.v1.json` (its canonical JSON), with one
message per frame.

For any input, `decode` returns a message or raises `Malformed`, and no other exception.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

from google.protobuf import json_format
from nexus.signaling.v1 import session_pb2

from nexus_signaling.core.outbox import Frame
from nexus_signaling.outgoing import Outgoing

# Maximum nesting of a JSON message; the deepest message of the schema has five levels.
MAX_JSON_DEPTH: Final = 16


class Malformed(Exception):
    """The frame is not a client message. The text of the exception may be sent to the client."""


class Codec(Protocol):
    @property
    def subprotocol(self) -> str: ...

    def decode(self, frame: Frame) -> session_pb2.ClientMessage: ...

    def encode(self, outgoing: Outgoing) -> Frame: ...


class BinaryCodec:
    subprotocol: Final = "nexus.v1"

    def decode(self, frame: Frame) -> session_pb2.ClientMessage:
        if isinstance(frame, str):
            raise Malformed("a text frame, but the subprotocol nexus.v1 has binary frames only")
        try:
            return session_pb2.ClientMessage.FromString(frame)
        except Exception as error:  # protobuf raises DecodeError, and others at strings that are not UTF-8
            raise Malformed("the frame is not a protobuf ClientMessage") from error

    def encode(self, outgoing: Outgoing) -> Frame:
        return outgoing.binary()


class JsonCodec:
    subprotocol: Final = "nexus.v1.json"

    def decode(self, frame: Frame) -> session_pb2.ClientMessage:
        if not isinstance(frame, str):
            raise Malformed("a binary frame, but the subprotocol nexus.v1.json has text frames only")
        message = session_pb2.ClientMessage()
        try:
            # Unknown fields of a newer client are ignored, as in binary protobuf.
            json_format.Parse(frame, message, ignore_unknown_fields=True, max_recursion_depth=MAX_JSON_DEPTH)
        # Mostly ParseError; RecursionError and OverflowError for hostile nesting and numbers.
        except Exception as error:
            raise Malformed("the frame is not the JSON of a ClientMessage") from error
        return message

    def encode(self, outgoing: Outgoing) -> Frame:
        return outgoing.json()


CODECS: Final[Mapping[str, Codec]] = MappingProxyType(
    {codec.subprotocol: codec for codec in (BinaryCodec(), JsonCodec())}
)


def choose_codec(offered: list[str]) -> Codec | None:
    """The first of the client's subprotocols that this server supports (RFC 6455 §4.2.2)."""
    return next((CODECS[name] for name in offered if name in CODECS), None)
