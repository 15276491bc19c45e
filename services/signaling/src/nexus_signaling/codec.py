"""The two subprotocols: `nexus.v1` (binary protobuf) and `nexus.v1.json` (its canonical JSON), one message a
frame.

Whatever a peer sends, `decode` returns a message or raises `Malformed`; nothing else comes out of it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

from google.protobuf import json_format
from nexus.signaling.v1 import session_pb2

from nexus_signaling.core.outbox import Frame
from nexus_signaling.outgoing import Outgoing

# The deepest message of the schema has five levels; what is deeper is not ours.
MAX_JSON_DEPTH: Final = 16


class Malformed(Exception):
    """The frame holds no client message; `str()` is fit for the client."""


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
            # Fields of a newer client are ignored, as binary protobuf does.
            json_format.Parse(frame, message, ignore_unknown_fields=True, max_recursion_depth=MAX_JSON_DEPTH)
        except (
            Exception
        ) as error:  # ParseError mostly; RecursionError, OverflowError from hostile nesting and numbers
            raise Malformed("the frame is not the JSON of a ClientMessage") from error
        return message

    def encode(self, outgoing: Outgoing) -> Frame:
        return outgoing.json()


CODECS: Final[Mapping[str, Codec]] = MappingProxyType(
    {codec.subprotocol: codec for codec in (BinaryCodec(), JsonCodec())}
)


def choose_codec(offered: list[str]) -> Codec | None:
    """The first of the client's subprotocols that we speak (RFC 6455 §4.2.2)."""
    return next((CODECS[name] for name in offered if name in CODECS), None)
