"""The read side of rooms, for every service: the SFU nodes, the node that holds a room, and its events.

Each part is a protocol with an implementation here and an in-memory twin in `nexus_rooms.testing`; one
contract suite runs against both.
"""

from nexus_rooms.config import NodesConfig
from nexus_rooms.feed_cursor import Advance, BareEvent, FeedCursor, HasEvent
from nexus_rooms.nodes import NodeDirectory, Nodes, NodeView, is_fresh
from nexus_rooms.room_changes import (
    ParticipantJoined,
    ParticipantLeft,
    ParticipantUpdated,
    RoomChange,
    RoomChanges,
    RoomClosed,
    RoomMissing,
    RoomMoved,
    RoomSnapshotted,
    RoomUpdated,
    TrackMuted,
    TrackPublished,
    TrackUnpublished,
    TrackUpdated,
)
from nexus_rooms.room_feeds import Feeds, Member, RoomFeeds
from nexus_rooms.room_follower import FollowLimits, RoomFollower
from nexus_rooms.room_lookup import RoomLookup, RoomPlace, Rooms, parse_room
from nexus_rooms.sfu_client import ParticipantRequest, ParticipantResponse, Sfu, SfuClient, holds_room
from nexus_rooms.track_reader import ReadEnd, ReadEnded, ReadLimits, TapOptions, TrackBatch, TrackReader

__all__ = [
    "Advance",
    "BareEvent",
    "FeedCursor",
    "Feeds",
    "FollowLimits",
    "HasEvent",
    "Member",
    "NodeDirectory",
    "NodeView",
    "Nodes",
    "NodesConfig",
    "ParticipantJoined",
    "ParticipantLeft",
    "ParticipantRequest",
    "ParticipantResponse",
    "ParticipantUpdated",
    "ReadEnd",
    "ReadEnded",
    "ReadLimits",
    "RoomChange",
    "RoomChanges",
    "RoomClosed",
    "RoomFeeds",
    "RoomFollower",
    "RoomLookup",
    "RoomMissing",
    "RoomMoved",
    "RoomPlace",
    "RoomSnapshotted",
    "RoomUpdated",
    "Rooms",
    "Sfu",
    "SfuClient",
    "TapOptions",
    "TrackBatch",
    "TrackMuted",
    "TrackPublished",
    "TrackReader",
    "TrackUnpublished",
    "TrackUpdated",
    "holds_room",
    "is_fresh",
    "parse_room",
]
