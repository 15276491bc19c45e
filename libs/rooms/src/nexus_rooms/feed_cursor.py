"""Orders a room's events for one reader, and detects lost ones.

Each event that carries state has a revision that grows by one. Events are held until the reader knows the
room's state, from the answer to its join; those that the answer already includes are dropped. A gap in the
revisions means that an event was lost: events are held again until a snapshot has been fetched. Revision 0
marks an event without state, for which neither loss nor repetition is detected.
"""

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from nexus.events.v1 import room_pb2


class HasEvent(Protocol):
    """Any value that carries a room event."""

    @property
    def event(self) -> room_pb2.RoomEvent: ...


@dataclass(frozen=True, slots=True)
class BareEvent:
    """A room event without anything beside it, for readers that need no conversion."""

    event: room_pb2.RoomEvent


E = TypeVar("E", bound=HasEvent)


@dataclass(frozen=True, slots=True)
class Advance(Generic[E]):
    """The events to deliver now, and whether a snapshot must be fetched before any later ones."""

    events: tuple[E, ...] = ()
    needs_snapshot: bool = False


class FeedCursor(Generic[E]):
    """One reader's position in a room's events. At most `max_held` events are held; more count as lost."""

    def __init__(self, max_held: int) -> None:
        self._max_held = max_held
        self._room_id = ""
        self._revision = 0
        self._waiting = True
        self._held: list[E] = []
        self._lost = False

    @property
    def revision(self) -> int:
        return self._revision

    @property
    def waiting(self) -> bool:
        return self._waiting

    def wait(self) -> None:
        """Holds events from now on until a snapshot is known, because some may have been missed."""
        self._waiting = True

    def note_loss(self) -> None:
        """Records that an event may have been missed while events are held."""
        self._lost = True

    def take(self, event: E) -> Advance[E]:
        if self._waiting:
            self._hold(event)
            return Advance()
        return self._replay([event])

    def resume(self, room_id: str, revision: int) -> Advance[E]:
        """Continues after `revision`, which the reader now knows; returns the held events that follow it."""
        self._room_id = room_id
        self._revision = revision
        self._waiting = False
        held, self._held = self._held, []
        advance = self._replay(held)
        if self._lost:
            # The events that did not fit are unknown, so the reader's state may be out of date.
            self._lost = False
            self._waiting = True
            return Advance(advance.events, needs_snapshot=True)
        return advance

    def _hold(self, event: E) -> None:
        if len(self._held) >= self._max_held:
            self._lost = True
            return
        self._held.append(event)

    def _replay(self, events: list[E]) -> Advance[E]:
        ready: list[E] = []
        for index, shared in enumerate(events):
            event = shared.event
            if event.room_id != self._room_id:
                continue  # belongs to an earlier or later room of this name
            if event.revision == 0:
                ready.append(shared)
            elif event.revision == self._revision + 1:
                self._revision = event.revision
                ready.append(shared)
            elif event.revision > self._revision + 1:
                self._waiting = True
                self._held = events[index:]
                return Advance(tuple(ready), needs_snapshot=True)
        return Advance(tuple(ready))
