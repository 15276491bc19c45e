"""Messages on their way to clients, serialised once per subprotocol however many sessions they go to."""

from google.protobuf import json_format
from nexus.events.v1 import room_pb2
from nexus.signaling.v1 import session_pb2


class Outgoing:
    """A server message and its two encodings, each made when first asked for."""

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
    """A room's event, as the sessions of that room share it."""

    __slots__ = ("event",)

    def __init__(self, event: room_pb2.RoomEvent) -> None:
        super().__init__(session_pb2.ServerMessage(event=event))
        self.event = event
