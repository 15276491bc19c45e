"""Messages to clients, encoded once per subprotocol for any number of sessions."""

from google.protobuf import json_format
from nexus.events.v1 import room_pb2
from nexus.signaling.v1 import session_pb2


class Outgoing:
    """A server message and its two encodings, each created at its first use."""

    __slots__ = ("_binary", "_json", "message")

    def __init__(self, message: session_pb2.ServerMessage) -> None:
        self.message = message
        self._binary: bytes | None = None
        self._json: str | None = None

    def binary(self) -> bytes:
        if self._binary is None:
            self._binary = self.message.SerializeToString()
        return self._binary

    def json(self) -> str:
        if self._json is None:
            self._json = json_format.MessageToJson(self.message, indent=None, ensure_ascii=False)
        return self._json


class SharedEvent(Outgoing):
    """A room's event, shared by the sessions of that room."""

    __slots__ = ("event",)

    def __init__(self, event: room_pb2.RoomEvent) -> None:
        super().__init__(session_pb2.ServerMessage(event=event))
        self.event = event
