"""StreamTrack and UpdateTap: one track's packets for a recorder or transcriber.

The engine writes serialised `StreamTrackResponse`s, which pass through as bytes. The next ones are read when
gRPC has accepted the previous ones, so for a slow reader the engine's backlog grows to its limit, and then
the stream has a gap. Only the last record, `end`, is written here, because the engine does not know the
reason.
"""

from collections.abc import AsyncIterator

import grpc
import structlog
from nexus.sfu.v1 import sfu_pb2, track_stream_pb2
from nexus_rpc import Context
from nexus_runtime import Clock

from nexus_sfu import errors, requests
from nexus_sfu.core.model import RoomKey
from nexus_sfu.engine_port import EnginePort, TapDemand, TapOptions
from nexus_sfu.media import Media
from nexus_sfu.metrics import Metrics
from nexus_sfu.named_taps import MAX_NAME_BYTES, NamedTaps, TapName
from nexus_sfu.sfu import Sfu
from nexus_sfu.tap_readers import TapReaders

log = structlog.get_logger()

DEFAULT_PATIENCE_MS = 1_500
DEFAULT_BUFFER_BYTES = 4 << 20
DEFAULT_BATCH_MS = 50
DEFAULT_RETAIN_MS = 30_000
MAX_RETAIN_MS = 60_000
MIN_KEYFRAME_INTERVAL_MS = 500
MAX_KEYFRAME_INTERVAL_MS = 60_000
MAX_PIXELS = 65_535
_END = track_stream_pb2.StreamEndReason


def _within(name: str, value: int, least: int, most: int) -> int:
    if not least <= value <= most:
        raise errors.invalid_argument(f"{name} must be from {least} to {most}", field=name)
    return value


def tap_demand(demand: sfu_pb2.TapDemand) -> TapDemand:
    """Raises RpcError."""
    interval = demand.keyframe_interval_ms
    if interval:
        _within("keyframe_interval_ms", interval, MIN_KEYFRAME_INTERVAL_MS, MAX_KEYFRAME_INTERVAL_MS)
    return TapDemand(
        interval,
        _within("max_width", demand.max_width, 0, MAX_PIXELS),
        _within("max_height", demand.max_height, 0, MAX_PIXELS),
    )


def tap_options(request: sfu_pb2.StreamTrackRequest) -> TapOptions:
    """Raises RpcError."""
    retain_ms = _within("retain_ms", request.retain_ms or DEFAULT_RETAIN_MS, 1, MAX_RETAIN_MS)
    return TapOptions(
        patience_ms=_within("patience_ms", request.patience_ms or DEFAULT_PATIENCE_MS, 1, 10_000),
        batch_ms=_within("batch_ms", request.batch_ms or DEFAULT_BATCH_MS, 1, 1_000),
        backlog_bytes=_within(
            "buffer_bytes", request.buffer_bytes or DEFAULT_BUFFER_BYTES, 64 << 10, 64 << 20
        ),
        retain_ms=retain_ms if request.tap else 0,
        first_position=request.resume_after if request.tap else 0,
        demand=tap_demand(request.demand),
    )


def _tap_name(key: RoomKey, track_id: str, name: str) -> TapName:
    if not 0 < len(name.encode()) <= MAX_NAME_BYTES:
        raise errors.invalid_argument(f"tap must have 1 to {MAX_NAME_BYTES} bytes", field="tap")
    return TapName(key, track_id, name)


class TrackStreams:
    """Serves `StreamTrack`, with answers that are already serialised (see `handler`), and `UpdateTap`."""

    def __init__(self, sfu: Sfu, engine: EnginePort, metrics: Metrics, clock: Clock) -> None:
        self._sfu = sfu
        self._media: Media = sfu.media
        self._metrics = metrics
        self.readers = TapReaders(engine)
        self.named = NamedTaps(engine, sfu.media, self.readers, metrics, clock, self._end_of)

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
            options = tap_options(request)
            log.info("stream_started", room=key.room, track=request.track_id, tap=request.tap)
            if request.tap:
                name = _tap_name(key, request.track_id, request.tap)
                self._open(name, options)
                async for records in self.named.read(name, request.resume_after, options.demand):
                    yield records
                return
            participant_id = self._publisher_of(key, request.track_id)
            async for records in self._records(request.track_id, options):
                yield records
            yield self._end(key, participant_id, request.track_id)
        finally:
            self._metrics.streams.dec()
            log.info("stream_ended", track=request.track_id)

    def update_tap(self, request: sfu_pb2.UpdateTapRequest) -> sfu_pb2.UpdateTapResponse:
        """Raises RpcError."""
        key = requests.room_key(request.room)
        named = self.named.find(_tap_name(key, request.track_id, request.tap))
        if request.HasField("demand"):
            self.named.demand(named, tap_demand(request.demand))
        if request.acknowledged:
            self.named.acknowledge(named, request.acknowledged)
        if request.request_keyframe:
            self.named.request_keyframe(named)
        if request.remove:
            self.named.remove(named)
            return sfu_pb2.UpdateTapResponse()
        state = self.named.state(named)
        return sfu_pb2.UpdateTapResponse(retained_bytes=state.bytes, retained_records=state.records)

    def _open(self, name: TapName, options: TapOptions) -> None:
        """Creates the named tap, unless it exists. Raises RpcError."""
        if name in self.named:
            return
        participant_id = self._publisher_of(name.room, name.track_id)
        track = self._media.engine_track(name.track_id)
        if track is None:  # its transport is lost
            raise errors.track_not_found(name.track_id)
        self.named.open(name, participant_id, track, options)

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
            async for records in self.readers.read(number, options, self._metrics):
                yield records

    def _end_of(self, name: TapName, participant_id: str) -> bytes:
        return self._end(name.room, participant_id, name.track_id)

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
