"""In-memory twins for tests of services, and an SFU without media."""

from nexus_rooms.testing.fake_sfu import FakeRoom, FakeSfu
from nexus_rooms.testing.twins import MemoryNodes, MemoryRoomChanges, MemoryRoomFeeds, MemoryRooms, MemorySfu

__all__ = [
    "FakeRoom",
    "FakeSfu",
    "MemoryNodes",
    "MemoryRoomChanges",
    "MemoryRoomFeeds",
    "MemoryRooms",
    "MemorySfu",
]
