"""Puts a room's events in order for one reader.

Each event that carries state has a revision that grows by one. Until the join's answer is out, events wait;
those that the answer already shows are dropped. A missing revision means that something was lost on the way:
events wait again until a snapshot has been fetched. Revision 0 marks an event without state, which can be
neither missed nor repeated.
"""

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from nexus.events.v1 import room_pb2


class HasEvent(Protocol):
    """A room event, as a reader carries it about."""

    @property
    def event(self) -> room_pb2.RoomEvent: ...


E = TypeVar("E", bound=HasEvent)


@dataclass(frozen=True, slots=True)
class Advance(Generic[E]):
    """What may be handed on now, and whether a snapshot must be fetched before anything else is."""

    events: tuple[E, ...] = ()
    needs_snapshot: bool = False


class FeedCursor(Generic[E]):
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
        """From now on events wait for a snapshot: some may have been missed."""
        self._waiting = True

    def note_loss(self) -> None:
        """Something may have been missed before the first state is known."""
        self._lost = True

    def take(self, event: E) -> Advance[E]:
        if self._waiting:
            self._hold(event)
            return Advance()
        return self._replay([event])

    def resume(self, room_id: str, revision: int) -> Advance[E]:
        """The reader now knows the room as of `revision`."""
        self._room_id = room_id
        self._revision = revision
        self._waiting = False
        held, self._held = self._held, []
        advance = self._replay(held)
        if self._lost:
            # The events that did not fit are unknown, so the state that the reader has may be old.
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
                continue  # of an earlier or later life of a room with this name
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
