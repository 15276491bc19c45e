"""In-memory twins for tests of services, and an SFU without media."""

from nexus_rooms.testing.fake_sfu import FakeRoom, FakeSfu
from nexus_rooms.testing.fake_taps import FakeTaps
from nexus_rooms.testing.twins import MemoryNodes, MemoryRoomChanges, MemoryRoomFeeds, MemoryRooms, MemorySfu

__all__ = [
    "FakeRoom",
    "FakeSfu",
    "FakeTaps",
    "MemoryNodes",
    "MemoryRoomChanges",
    "MemoryRoomFeeds",
    "MemoryRooms",
    "MemorySfu",
]
