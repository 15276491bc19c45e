"""Protocols of what the media half needs from others: a room's changes, a track's tap, and containers.

`adapters.py` has them for `nexus_rooms` and `nexus_frames`; the tests have scripts in place of a room.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from nexus.sfu.v1.track_stream_pb2 import StreamTrackResponse
from nexus_frames.events import Frame
from nexus_frames.formats import Format

from nexus_recorder.core.records import SegmentRecord
from nexus_recorder.core.selection import Publication, Publisher

# Changes of a room, in order. The first is a snapshot, or that the room is missing.


@dataclass(frozen=True, slots=True)
class RoomSnapshot:
    """The whole room, at first and whenever changes were missed. `address` is that of the node's gRPC
    server."""

    node_id: str
    address: str
    room_id: str
    publishers: tuple[Publisher, ...]
    publications: tuple[Publication, ...]


@dataclass(frozen=True, slots=True)
class PublisherPut:
    publisher: Publisher


@dataclass(frozen=True, slots=True)
class PublisherGone:
    participant_id: str


@dataclass(frozen=True, slots=True)
class PublicationPut:
    publication: Publication


@dataclass(frozen=True, slots=True)
class PublicationGone:
    track_id: str


@dataclass(frozen=True, slots=True)
class RoomMissing:
    """The room is on no node at the moment: it never began, or its node has died."""


@dataclass(frozen=True, slots=True)
class RoomClosed:
    """The room's life has ended."""


RoomChange = (
    RoomSnapshot | PublisherPut | PublisherGone | PublicationPut | PublicationGone | RoomMissing | RoomClosed
)


class RoomWatch(Protocol):
    """The changes of one room. It survives outages of the broker and of nodes; nothing of that is an
    error."""

    def __aiter__(self) -> AsyncIterator[RoomChange]: ...

    async def close(self) -> None: ...


class FeedEnd(Enum):
    """Why a feed has no more batches."""

    # The track, its participant or the room has ended; the tap has delivered all of it.
    ENDED = auto()
    # Another reader has the tap: a later owner.
    TAKEN = auto()
    # The room is on another node.
    MOVED = auto()
    # The node does not answer, or no longer knows the track.
    LOST = auto()
    # The node does not know the track, and nothing was read.
    REFUSED = auto()


class TrackFeed(Protocol):
    """The tap of one track. `anext` raises StopAsyncIteration at the end; `end` then says why."""

    def __aiter__(self) -> AsyncIterator[StreamTrackResponse]: ...

    async def __anext__(self) -> StreamTrackResponse: ...

    @property
    def end(self) -> FeedEnd | None: ...

    def acknowledge(self, position: int) -> None:
        """Lets the tap forget all records up to this position. It is sent in the background, with others."""
        ...

    def request_keyframe(self) -> None:
        """Asks the publisher for a keyframe, in the background."""
        ...

    async def close(self, *, remove: bool) -> None:
        """Ends the reading. `remove` ends the tap too, so that nothing of the track is kept any longer;
        otherwise the acknowledgements that wait are sent first."""
        ...


class Room(Protocol):
    """One room of an app, as the recorder reads it."""

    def watch(self) -> RoomWatch: ...

    def feed(self, address: str, track_id: str) -> TrackFeed:
        """Opens the recording's tap of a track, where an earlier owner left it."""
        ...


@dataclass(frozen=True, slots=True)
class Written:
    """Bytes that a container has completed, which with all before them play until `end_us`. Often none."""

    data: bytes
    end_us: int


class SegmentMuxer(Protocol):
    """The container of one segment. It does not block, and keeps at most one fragment."""

    def write(self, frame: Frame, position_us: int) -> Written:
        """Takes a frame. Raises `nexus_frames.mux.MuxError` for one that the container does not take."""
        ...

    def close(self, end_us: int) -> Written:
        """Ends the container; the last frame lasts until `end_us`."""
        ...


OpenMuxer = Callable[[SegmentRecord, Format], SegmentMuxer]
