"""The two subprotocols: binary protobuf, and its canonical JSON, which is readable in an inspector."""

from typing import Final, Literal

from google.protobuf import json_format
from google.protobuf.message import DecodeError
from nexus.signaling.v1.session_pb2 import ClientMessage, ServerMessage

Subprotocol = Literal["nexus.v1", "nexus.v1.json"]
BINARY: Final[Subprotocol] = "nexus.v1"
JSON: Final[Subprotocol] = "nexus.v1.json"


def encode(message: ClientMessage, subprotocol: Subprotocol) -> bytes | str:
    if subprotocol == JSON:
        return json_format.MessageToJson(message, indent=None)
    return message.SerializeToString()


def decode(frame: bytes | str) -> ServerMessage:
    """Raises ValueError for an invalid message. Unknown fields of a newer server are ignored."""
    try:
        if isinstance(frame, bytes):
            return ServerMessage.FromString(frame)
        return json_format.Parse(frame, ServerMessage(), ignore_unknown_fields=True)
    except (DecodeError, json_format.ParseError) as error:
        raise ValueError(f"not a server message: {error}") from error
