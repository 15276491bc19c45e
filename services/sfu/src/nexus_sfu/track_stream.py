"""StreamTrack: one track's packets for a recorder or transcriber.

The engine writes serialised `StreamTrackResponse`s, which pass through as bytes. The next ones are read when
gRPC has accepted the previous ones, so for a slow reader the engine's backlog grows to its limit, and then
the stream has a gap. Only the last record, `end`, is written here, because the engine does not know the
reason.
"""

import asyncio
from collections.abc import AsyncIterator

import grpc
import structlog
from nexus.sfu.v1 import sfu_pb2, track_stream_pb2
from nexus_rpc import Context

from nexus_sfu import errors, requests
from nexus_sfu.core.model import RoomKey
from nexus_sfu.engine_port import EnginePort, TapOptions
from nexus_sfu.media import Media
from nexus_sfu.metrics import Metrics
from nexus_sfu.sfu import Sfu

log = structlog.get_logger()

# Size at which reading stops: with one more batch, a message stays far below gRPC's default limit of 4 MiB.
READ_BYTES = 1 << 20
DEFAULT_PATIENCE_MS = 1_500
DEFAULT_BUFFER_BYTES = 4 << 20
DEFAULT_BATCH_MS = 50
_END = track_stream_pb2.StreamEndReason


def tap_options(request: sfu_pb2.StreamTrackRequest) -> TapOptions:
    """Raises RpcError."""

    def within(name: str, least: int, most: int, default: int) -> int:
        value: int = getattr(request, name) or default
        if not least <= value <= most:
            raise errors.invalid_argument(f"{name} must be from {least} to {most}", field=name)
        return value

    return TapOptions(
        patience_ms=within("patience_ms", 1, 10_000, DEFAULT_PATIENCE_MS),
        batch_ms=within("batch_ms", 1, 1_000, DEFAULT_BATCH_MS),
        backlog_bytes=within("buffer_bytes", 64 << 10, 64 << 20, DEFAULT_BUFFER_BYTES),
    )


class TapReaders:
    """Wakes the readers that wait for a tap's records."""

    def __init__(self, engine: EnginePort) -> None:
        self._engine = engine
        self._waiting: dict[int, asyncio.Event] = {}

    def wake(self) -> None:
        """Wakes the readers of ready taps. Call it when the engine's tap_fd is readable."""
        for tap in self._engine.ready_taps():
            if tap in self._waiting:
                self._waiting[tap].set()

    @property
    def count(self) -> int:
        return len(self._waiting)

    async def read(self, track: int, options: TapOptions, metrics: Metrics) -> AsyncIterator[bytes]:
        """Yields batches until the engine's track ends. Raises RpcError if the engine accepts no more
        taps."""
        try:
            tap = self._engine.add_tap(track, options)
        except RuntimeError as error:
            raise errors.too_many_streams() from error
        ready = self._waiting[tap] = asyncio.Event()
        try:
            while True:
                ready.clear()
                batch = self._engine.read_tap(tap, READ_BYTES)
                metrics.stream_packets.inc(batch.packets)
                metrics.stream_packets_dropped.inc(batch.packets_dropped)
                if batch.records:
                    yield batch.records
                elif not batch.ended:
                    await ready.wait()
                if batch.ended:
                    return
        finally:
            del self._waiting[tap]
            self._engine.remove_tap(tap)


class TrackStreams:
    """Serves `StreamTrack`, with answers that are already serialised (see `handler`)."""

    def __init__(self, sfu: Sfu, media: Media, readers: TapReaders, metrics: Metrics) -> None:
        self._sfu = sfu
        self._media = media
        self._readers = readers
        self._metrics = metrics

    def handler(self) -> "grpc.RpcMethodHandler[sfu_pb2.StreamTrackRequest, bytes]":
        """A method handler whose answers are already serialised."""
        return grpc.unary_stream_rpc_method_handler(
            self.stream_track,
            request_deserializer=sfu_pb2.StreamTrackRequest.FromString,
            response_serializer=bytes,
        )

    async def stream_track(
        self, request: sfu_pb2.StreamTrackRequest, context: Context
    ) -> AsyncIterator[bytes]:
        self._metrics.streams.inc()
        try:
            key = requests.room_key(request.room)
            participant_id = self._publisher_of(key, request.track_id)
            log.info("stream_started", room=key.room, track=request.track_id)
            async for records in self._records(request.track_id, tap_options(request)):
                yield records
            yield self._end(key, participant_id, request.track_id)
        finally:
            self._metrics.streams.dec()
            log.info("stream_ended", track=request.track_id)

    def _publisher_of(self, key: RoomKey, track_id: str) -> str:
        for participant in self._sfu.node.room(key).participants.values():
            if track_id in participant.tracks:
                return participant.id
        raise errors.track_not_found(track_id)

    async def _records(self, track_id: str, options: TapOptions) -> AsyncIterator[bytes]:
        """Yields the records of all engine tracks of the track: after its SSRCs change in a re-offer, the
        engine has a new one."""
        before = None
        while (number := self._media.engine_track(track_id)) is not None and number != before:
            before = number
            async for records in self._readers.read(number, options, self._metrics):
                yield records

    def _end(self, key: RoomKey, participant_id: str, track_id: str) -> bytes:
        room = self._sfu.node.rooms.get(key)
        if room is None:
            reason = _END.STREAM_END_REASON_ROOM_CLOSED
        elif participant_id not in room.participants or self._media.engine_track(track_id) is not None:
            # In the second case the engine ended the track because its transport is lost.
            reason = _END.STREAM_END_REASON_PARTICIPANT_LEFT
        else:
            reason = _END.STREAM_END_REASON_TRACK_ENDED
        end = track_stream_pb2.StreamRecord(end=track_stream_pb2.StreamEnd(reason=reason))
        return track_stream_pb2.StreamTrackResponse(records=[end]).SerializeToString()
