"""The named taps of one track of a `FakeSfu`: they keep what is not acknowledged, as those of the engine, but
without bounds and without time."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from nexus.sfu.v1 import sfu_pb2, track_stream_pb2
from nexus.types.v1.error_pb2 import ErrorCode
from nexus_rpc import RpcError

Record = track_stream_pb2.StreamRecord


@dataclass
class FakeTap:
    """A named tap. Records up to `acknowledged` are no longer kept. `reader` is the last reader's number."""

    acknowledged: int = 0
    reader: int = 0


class FakeTaps:
    """The records of a track, numbered from 1, which a test adds."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.taps: dict[str, FakeTap] = {}
        self.keyframe_requests = 0
        self.demand = sfu_pb2.TapDemand()
        self._breaks = 0
        self._changed = asyncio.Event()

    def add(self, *records: Record) -> None:
        self.records += records
        self._notify()

    def end(self, reason: track_stream_pb2.StreamEndReason.ValueType) -> None:
        self.add(Record(end=track_stream_pb2.StreamEnd(reason=reason)))

    def break_streams(self) -> None:
        """Ends every stream as a cut connection does. The taps remain."""
        self._breaks += 1
        self._notify()

    async def stream(
        self, request: sfu_pb2.StreamTrackRequest
    ) -> AsyncIterator[track_stream_pb2.StreamTrackResponse]:
        tap = self.taps.setdefault(request.tap, FakeTap()) if request.tap else FakeTap(len(self.records))
        tap.reader += 1
        reader, breaks = tap.reader, self._breaks
        position = max(request.resume_after, tap.acknowledged)
        self._notify()
        sources = [record for record in self.records[:position] if record.HasField("source")]
        if sources:
            # A reader that resumes needs the source first. It does not count as a record.
            yield track_stream_pb2.StreamTrackResponse(records=sources[-1:], position=position)
        while True:
            changed = self._changed
            if tap.reader != reader:
                raise RpcError(ErrorCode.TAP_TAKEN, "another reader has taken over the tap")
            if self._breaks != breaks:
                raise RpcError(ErrorCode.SFU_UNREACHABLE, "the connection is cut")
            if request.tap and request.tap not in self.taps:
                raise RpcError(ErrorCode.TAP_NOT_FOUND, "the tap was removed")
            records = self.records[position:]
            if not records:
                await changed.wait()
                continue
            position += len(records)
            yield track_stream_pb2.StreamTrackResponse(records=records, position=position)
            if records[-1].HasField("end"):
                return

    def update(self, request: sfu_pb2.UpdateTapRequest) -> sfu_pb2.UpdateTapResponse:
        tap = self.taps.get(request.tap)
        if tap is None:
            raise RpcError(ErrorCode.TAP_NOT_FOUND, "no such tap")
        tap.acknowledged = max(tap.acknowledged, request.acknowledged)
        self.keyframe_requests += request.request_keyframe
        if request.HasField("demand"):
            self.demand = request.demand
        if request.remove:
            del self.taps[request.tap]
            self._notify()
        kept = self.records[tap.acknowledged :]
        return sfu_pb2.UpdateTapResponse(
            retained_bytes=sum(record.ByteSize() for record in kept), retained_records=len(kept)
        )

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
