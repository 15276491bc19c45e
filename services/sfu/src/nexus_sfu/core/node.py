"""All rooms of this node, its drain flags, and which rooms have been empty for how long.

Commands carry `now_ms`, the wall clock, for what is told to people. Deadlines are on `steady_ms`, a clock
that nobody sets.
"""

import random
from dataclasses import dataclass, field

from nexus_sfu import errors
from nexus_sfu.core.commands import Close, Command, Join
from nexus_sfu.core.limits import Limits
from nexus_sfu.core.model import Kind, Reason, RoomKey
from nexus_sfu.core.room import Outcome, RoomState


@dataclass(slots=True)
class NodeState:
    limits: Limits
    rng: random.Random
    rooms: dict[RoomKey, RoomState] = field(default_factory=dict)
    draining: bool = False
    refuse_joins: bool = False
    # Since when nobody keeps a room open, on the steady clock.
    _empty_since_ms: dict[RoomKey, int] = field(default_factory=dict)

    def room(self, key: RoomKey) -> RoomState:
        found = self.rooms.get(key)
        if found is None:
            raise errors.room_not_found(key.room)
        return found

    def join(self, key: RoomKey, room_id: str, join: Join, now_ms: int) -> Outcome:
        """Makes the room if need be. Raises RpcError, then nothing has changed."""
        if self.refuse_joins:
            raise errors.node_draining()
        room = self.rooms.get(key) or self._new_room(key, room_id, join, now_ms)
        outcome = room.handle(join, now_ms)
        self.rooms[key] = room
        return outcome

    def _new_room(self, key: RoomKey, room_id: str, join: Join, now_ms: int) -> RoomState:
        if self.draining:
            raise errors.node_draining()
        if not join.grants.create:
            raise errors.room_not_found(key.room)
        if len(self.rooms) >= self.limits.rooms:
            raise errors.too_many_rooms(self.limits.rooms)
        return RoomState(key, room_id, now_ms, self.limits, self.rng)

    def handle(self, key: RoomKey, command: Command, now_ms: int) -> Outcome:
        room = self.room(key)
        outcome = room.handle(command, now_ms)
        if room.closed:
            del self.rooms[key]
            self._empty_since_ms.pop(key, None)
        return outcome

    def close_expired(self, steady_ms: int, now_ms: int) -> list[tuple[RoomKey, Outcome]]:
        """Ends rooms that have been empty for too long, counted from the first call that finds them so."""
        for key, room in self.rooms.items():
            if room.kept_open:
                self._empty_since_ms.pop(key, None)
            else:
                self._empty_since_ms.setdefault(key, steady_ms)
        latest_ms = steady_ms - self.limits.empty_timeout_ms
        expired = [key for key, since_ms in self._empty_since_ms.items() if since_ms <= latest_ms]
        return [(key, self.handle(key, Close(Reason.ROOM_CLOSED), now_ms)) for key in expired]

    @property
    def participant_count(self) -> int:
        return sum(len(room.participants) for room in self.rooms.values())

    def track_count(self, kind: Kind | None = None) -> int:
        return sum(
            1 for room in self.rooms.values() for track in room.tracks.values() if kind in (None, track.kind)
        )
