"""The place of a joined client: its room, node, identity and grants."""

from dataclasses import dataclass

from nexus.sfu.v1 import sfu_pb2
from nexus.types.v1 import media_pb2


@dataclass(frozen=True, slots=True)
class Seat:
    app: str
    room: str
    room_id: str
    node_id: str
    # host:port of the node's gRPC server.
    address: str
    identity: str
    participant_id: str
    grants: media_pb2.Grants

    @property
    def room_key(self) -> sfu_pb2.RoomKey:
        return sfu_pb2.RoomKey(app=self.app, room=self.room)
