"""The read side of rooms, for every service: the SFU nodes, the node that holds a room, and its events.

Each part is a protocol with an implementation here and an in-memory twin in `nexus_rooms.testing`; one
contract suite runs against both.
"""

from nexus_rooms.feed_cursor import Advance, FeedCursor, HasEvent
from nexus_rooms.nodes import NodeDirectory, Nodes, NodeView, is_fresh
from nexus_rooms.room_feeds import Feeds, Member, RoomFeeds
from nexus_rooms.room_lookup import RoomLookup, RoomPlace, Rooms, parse_room
from nexus_rooms.sfu_client import ParticipantRequest, ParticipantResponse, Sfu, SfuClient, holds_room

__all__ = [
    "Advance",
    "FeedCursor",
    "Feeds",
    "HasEvent",
    "Member",
    "NodeDirectory",
    "NodeView",
    "Nodes",
    "ParticipantRequest",
    "ParticipantResponse",
    "RoomFeeds",
    "RoomLookup",
    "RoomPlace",
    "Rooms",
    "Sfu",
    "SfuClient",
    "holds_room",
    "is_fresh",
    "parse_room",
]
