"""The recorder's view of a room (`ports.Room`) by `nexus_rooms`."""

import random
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final

import structlog
from nexus.sfu.v1 import sfu_pb2
from nexus.sfu.v1.track_stream_pb2 import StreamTrackResponse
from nexus.types.v1 import media_pb2
from nexus_rooms import (
    ParticipantJoined,
    ParticipantLeft,
    ParticipantUpdated,
    ReadEnd,
    ReadEnded,
    RoomChanges,
    RoomSnapshotted,
    Sfu,
    TapOptions,
    TrackPublished,
    TrackReader,
    TrackUnpublished,
    TrackUpdated,
)
from nexus_rooms import RoomChange as Change
from nexus_rooms import RoomClosed as Closed
from nexus_rooms import RoomMissing as Missing
from nexus_rpc import RpcError
from nexus_runtime import Clock

from nexus_recorder.core.selection import Publication, Publisher
from nexus_recorder.media.ports import (
    FeedEnd,
    PublicationGone,
    PublicationPut,
    PublisherGone,
    PublisherPut,
    RoomChange,
    RoomClosed,
    RoomMissing,
    RoomSnapshot,
)

log = structlog.get_logger()

# How long the node keeps records that are not acknowledged: the maximum. A takeover needs less than 8 s of
# it.
RETAIN_MS: Final = 60_000
# How long a record may wait to be sent with others. Files need no low delay, and each batch costs as much as
# many packets.
BATCH_MS: Final = 500
# How long the node is waited for when a reading ends.
FLUSH_MS: Final = 2_000

_ENDS: Final = {
    ReadEnd.TAKEN: FeedEnd.TAKEN,
    ReadEnd.MOVED: FeedEnd.MOVED,
    ReadEnd.GONE: FeedEnd.LOST,
    ReadEnd.NODE_LOST: FeedEnd.LOST,
}


class FollowedRoom:
    """A `Room`: one room of an app, for one recording. The tap is named after the recording, so that its next
    owner continues it."""

    def __init__(
        self,
        changes: RoomChanges,
        sfu: Sfu,
        clock: Clock,
        rng: random.Random,
        *,
        app: str,
        room: str,
        recording_id: str,
    ) -> None:
        self._changes = changes
        self._sfu = sfu
        self._clock = clock
        self._rng = rng
        self._key = sfu_pb2.RoomKey(app=app, room=room)
        self._tap = f"recorder/{recording_id}"

    def watch(self) -> "_Watch":
        return _Watch(self._changes.follow(self._key.app, self._key.room))

    def feed(self, address: str, track_id: str) -> "_Feed":
        options = TapOptions(name=self._tap, retain_ms=RETAIN_MS, batch_ms=BATCH_MS)
        reader = TrackReader(
            self._sfu, address, self._key, track_id, options, clock=self._clock, rng=self._rng
        )
        return _Feed(reader, track_id)


class _Watch:
    """A `RoomWatch`."""

    def __init__(self, changes: AsyncIterator[Change]) -> None:
        self._changes = changes

    async def __aiter__(self) -> AsyncIterator[RoomChange]:
        async for change in self._changes:
            for each in translate(change):
                yield each

    async def close(self) -> None:
        close = getattr(self._changes, "aclose", None)
        if close is not None:
            await close()


class _Feed:
    """A `TrackFeed`."""

    def __init__(self, reader: TrackReader, track_id: str) -> None:
        self._reader = reader
        self._track_id = track_id
        self._items = reader.read()
        self.end: FeedEnd | None = None

    def __aiter__(self) -> AsyncIterator[StreamTrackResponse]:
        return self

    async def __anext__(self) -> StreamTrackResponse:
        try:
            item = await anext(self._items)
        except RpcError as error:
            log.info("recording_tap_refused", track=self._track_id, error=error.name)
            self.end = FeedEnd.REFUSED
            raise StopAsyncIteration from error
        if isinstance(item, ReadEnded):
            self.end = _ENDS.get(item.reason, FeedEnd.ENDED)
            raise StopAsyncIteration
        return item.response

    def acknowledge(self, position: int) -> None:
        self._reader.acknowledge(position)

    def request_keyframe(self) -> None:
        self._reader.request_keyframe()

    async def close(self, *, remove: bool) -> None:
        async with aclosing(self._items):
            pass
        if remove:
            await self._reader.remove()
        else:
            await self._reader.flush(FLUSH_MS)
        await self._reader.close()


def translate(change: Change) -> list[RoomChange]:
    """A change of a room in the recorder's terms; nothing for one that does not concern it."""
    match change:
        case RoomSnapshotted(place, _, participants):
            publishers = tuple(_publisher(each) for each in participants)
            tracks = tuple(_publication(track) for each in participants for track in each.tracks)
            return [RoomSnapshot(place.node_id, place.address, place.room_id, publishers, tracks)]
        case ParticipantJoined(participant):
            tracks = tuple(_publication(track) for track in participant.tracks)
            return [PublisherPut(_publisher(participant)), *(PublicationPut(track) for track in tracks)]
        case ParticipantUpdated(participant):
            return [PublisherPut(_publisher(participant))]
        case ParticipantLeft(participant_id):
            return [PublisherGone(participant_id)]
        case TrackPublished(track) | TrackUpdated(track):
            return [PublicationPut(_publication(track))]
        case TrackUnpublished(track_id):
            return [PublicationGone(track_id)]
        case Closed():
            return [RoomClosed()]
        case Missing():
            return [RoomMissing()]
        case _:
            return []


def _publisher(participant: media_pb2.Participant) -> Publisher:
    return Publisher(
        participant.id, participant.identity, participant.name, attributes=dict(participant.attributes)
    )


def _publication(track: media_pb2.Track) -> Publication:
    return Publication(
        track.id, track.participant_id, track.kind, track.source, track.name, muted=track.muted
    )
