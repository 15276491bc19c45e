"""The changes of a room that a service follows, as values."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from nexus.types.v1 import media_pb2

from nexus_rooms.room_lookup import RoomPlace


@dataclass(frozen=True, slots=True)
class RoomSnapshotted:
    """The whole room, in place of everything known before. The first one is what the room consists of when
    following begins; a later one comes after lost events, or after the room has moved. Hidden participants
    are left out, here and in all other changes."""

    place: RoomPlace
    room: media_pb2.Room
    participants: tuple[media_pb2.Participant, ...]
    revision: int


@dataclass(frozen=True, slots=True)
class ParticipantJoined:
    participant: media_pb2.Participant


@dataclass(frozen=True, slots=True)
class ParticipantLeft:
    """A participant has left; its tracks have ended with it, without changes of their own."""

    participant_id: str
    identity: str
    reason: media_pb2.DisconnectReason.ValueType


@dataclass(frozen=True, slots=True)
class ParticipantUpdated:
    """Name, metadata or attributes have changed."""

    participant: media_pb2.Participant


@dataclass(frozen=True, slots=True)
class TrackPublished:
    track: media_pb2.Track


@dataclass(frozen=True, slots=True)
class TrackUnpublished:
    track_id: str
    participant_id: str


@dataclass(frozen=True, slots=True)
class TrackMuted:
    """A track was muted or unmuted."""

    track_id: str
    participant_id: str
    muted: bool


@dataclass(frozen=True, slots=True)
class TrackUpdated:
    """The size, the layers or the codec have changed."""

    track: media_pb2.Track


@dataclass(frozen=True, slots=True)
class RoomUpdated:
    """The recording or the transcription of the room has started, paused or stopped."""

    room: media_pb2.Room


@dataclass(frozen=True, slots=True)
class RoomMoved:
    """Another life of the room continues the call: on another node, or on the same node after its restart.
    Ids of participants and tracks are new; a `RoomSnapshotted` follows at once."""

    before: RoomPlace
    after: RoomPlace


@dataclass(frozen=True, slots=True)
class RoomClosed:
    """The room has ended, perhaps after it was reported as missing. A later room of this name begins with a
    `RoomSnapshotted`."""

    reason: media_pb2.DisconnectReason.ValueType


@dataclass(frozen=True, slots=True)
class RoomMissing:
    """No node has the room at present: it does not exist yet, its node is gone, or it ended while its events
    could not be read. Following goes on, because clients that lose their node join again elsewhere."""


RoomChange = (
    RoomSnapshotted
    | ParticipantJoined
    | ParticipantLeft
    | ParticipantUpdated
    | TrackPublished
    | TrackUnpublished
    | TrackMuted
    | TrackUpdated
    | RoomUpdated
    | RoomMoved
    | RoomClosed
    | RoomMissing
)


class RoomChanges(Protocol):
    """Follows rooms. `RoomFollower` implements it, and `testing.MemoryRoomChanges` is its twin."""

    def follow(self, app: str, room: str) -> AsyncIterator[RoomChange]:
        """Yields the changes of a room of this name without end; never raises for an outage. The first one is
        `RoomSnapshotted` or `RoomMissing`. Close the iterator to stop."""
        ...
