"""The state of one room that is followed: decides, without I/O, what its events and snapshots change."""

from collections.abc import Iterable

from nexus.events.v1 import room_pb2
from nexus.sfu.v1 import sfu_pb2

from nexus_rooms import room_changes as change
from nexus_rooms.feed_cursor import FeedCursor, HasEvent
from nexus_rooms.room_lookup import RoomPlace


class FollowedRoom:
    """`wants_snapshot`: some events may be missing, so the room must be fetched. `wants_place`: an event came
    from another life of the room, so its node must be looked up."""

    def __init__(self, max_held: int) -> None:
        self.wants_snapshot = True
        self.wants_place = True
        self._cursor: FeedCursor[HasEvent] = FeedCursor(max_held)
        # The room as it was fetched last, even if it is missing now; None after it has closed.
        self._place: RoomPlace | None = None
        self._is_missing = False

    @property
    def place(self) -> RoomPlace | None:
        """The node that holds the room, as far as known; None: it is missing or closed."""
        return None if self._is_missing else self._place

    def lose(self) -> None:
        """Notes that events may be missing."""
        self._cursor.wait()
        self.wants_snapshot = True

    def take(self, carried: HasEvent) -> list[change.RoomChange]:
        event = carried.event
        if self._place is None or event.room_id != self._place.room_id:
            self.wants_place = True
        elif event.HasField("room_closed"):
            # It takes effect at once, even if earlier events are missing.
            self._place = None
            self._is_missing = True
            self._wait()
            return [change.RoomClosed(event.room_closed.reason)]
        advance = self._cursor.take(carried)
        self.wants_snapshot |= advance.needs_snapshot
        return _changes(advance.events)

    def fetched(self, place: RoomPlace, answer: sfu_pb2.GetRoomResponse) -> list[change.RoomChange]:
        """Takes the node's answer. It changes nothing if it says what the events have said already."""
        after = RoomPlace(answer.room.id, place.node_id, place.address)
        before = self._place
        same = before is not None and (before.room_id, before.node_id) == (after.room_id, after.node_id)
        if same and not self.wants_snapshot and answer.revision <= self._cursor.revision:
            return []
        self._place, self._is_missing = after, False
        self.wants_place = self.wants_snapshot = False
        if same and answer.revision < self._cursor.revision:
            # The events were faster than the answer.
            advance = self._cursor.resume(after.room_id, self._cursor.revision)
            found: list[change.RoomChange] = []
        else:
            advance = self._cursor.resume(after.room_id, answer.revision)
            found = [] if before is None or same else [change.RoomMoved(before, after)]
            participants = tuple(answer.participants)
            found.append(change.RoomSnapshotted(after, answer.room, participants, answer.revision))
        self.wants_snapshot = advance.needs_snapshot
        return found + _changes(advance.events)

    def missing(self) -> list[change.RoomChange]:
        """Notes that no node has the room. Reports it once, and not after the room was closed."""
        if self._is_missing:
            return []
        self._is_missing = True
        self._wait()
        return [change.RoomMissing()]

    def _wait(self) -> None:
        self._cursor.wait()
        self.wants_place = self.wants_snapshot = True


def _changes(events: Iterable[HasEvent]) -> list[change.RoomChange]:
    found = [_change(carried.event) for carried in events]
    return [one for one in found if one is not None]


def _change(event: room_pb2.RoomEvent) -> change.RoomChange | None:
    """Returns None for events about hidden participants, for single participants, and without state."""
    if event.internal or event.target_participant_id:
        return None
    match event.WhichOneof("event"):
        case "participant_joined":
            return change.ParticipantJoined(event.participant_joined.participant)
        case "participant_left":
            left = event.participant_left
            return change.ParticipantLeft(left.participant_id, left.identity, left.reason)
        case "participant_updated":
            return change.ParticipantUpdated(event.participant_updated.participant)
        case "track_published":
            return change.TrackPublished(event.track_published.track)
        case "track_unpublished":
            gone = event.track_unpublished
            return change.TrackUnpublished(gone.track_id, gone.participant_id)
        case "track_muted":
            muted = event.track_muted
            return change.TrackMuted(muted.track_id, muted.participant_id, muted.muted)
        case "track_updated":
            return change.TrackUpdated(event.track_updated.track)
        case "room_updated":
            return change.RoomUpdated(event.room_updated.room)
    return None
