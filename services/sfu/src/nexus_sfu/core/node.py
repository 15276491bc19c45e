"""All rooms of this node, and its drain flags."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field

from nexus_runtime import Now

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

    def room(self, key: RoomKey) -> RoomState:
        found = self.rooms.get(key)
        if found is None:
            raise errors.room_not_found(key.room)
        return found

    def join(self, key: RoomKey, room_id: str, join: Join, now: Now) -> Outcome:
        """Joins a room, which is created if necessary. Raises RpcError without any change."""
        if self.refuse_joins:
            raise errors.node_draining()
        room = self.rooms.get(key) or self._new_room(key, room_id, join, now)
        outcome = room.handle(join, now)
        self.rooms[key] = room
        return outcome

    def _new_room(self, key: RoomKey, room_id: str, join: Join, now: Now) -> RoomState:
        if self.draining:
            raise errors.node_draining()
        if not join.grants.create:
            raise errors.room_not_found(key.room)
        if len(self.rooms) >= self.limits.rooms:
            raise errors.too_many_rooms(self.limits.rooms)
        return RoomState(key, room_id, now, self.limits, self.rng)

    def handle(self, key: RoomKey, command: Command, now: Now) -> Outcome:
        room = self.room(key)
        outcome = room.handle(command, now)
        if room.closed:
            del self.rooms[key]
        return outcome

    def close_expired(self, now: Now) -> list[tuple[RoomKey, Outcome]]:
        """Closes rooms that have been empty for too long; returns their outcomes."""
        expired = [
            key
            for key, room in self.rooms.items()
            if (deadline := room.next_deadline_ms()) is not None and deadline <= now.monotonic_ms
        ]
        return [(key, self.handle(key, Close(Reason.ROOM_CLOSED), now)) for key in expired]

    def next_deadline_ms(self) -> int | None:
        deadlines: Iterable[int | None] = (room.next_deadline_ms() for room in self.rooms.values())
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    @property
    def participant_count(self) -> int:
        return sum(len(room.participants) for room in self.rooms.values())

    def track_count(self, kind: Kind | None = None) -> int:
        return sum(
            1 for room in self.rooms.values() for track in room.tracks.values() if kind in (None, track.kind)
        )
