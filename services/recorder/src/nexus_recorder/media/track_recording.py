"""The recording of one track: reads its tap, writes its segments into the spool, and acknowledges what is
safe."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import Any, Final, Protocol

import structlog
from nexus.sfu.v1.track_stream_pb2 import StreamTrackResponse
from nexus_frames.events import EndReason, StreamEnd
from nexus_frames.mux import MuxError

from nexus_recorder.core.records import SegmentRecord
from nexus_recorder.core.segmenter import LAST_FRAME_US
from nexus_recorder.core.track_pipeline import (
    Acknowledge,
    CloseSegment,
    OpenSegment,
    PipelineEffect,
    PutFrame,
    RequestKeyframe,
    TrackPipeline,
)
from nexus_recorder.media.ports import FeedEnd, OpenMuxer, SegmentMuxer, TrackFeed, Written
from nexus_recorder.media.spool import SegmentFile, SpooledSegment, SpoolFolder, SpoolFull
from nexus_recorder.media.workers import DiskWorkers

log = structlog.get_logger()

# How long a recording that is being stopped reads on for what its taps still have. Batches are at most half
# a second old.
FAREWELL_S: Final = 1.0
# How long a track that has been unpublished is read on for the end that its tap reports. Without it the node
# is lost.
UNPUBLISHED_S: Final = 10.0


class TrackEnd(Enum):
    """Why the recording of a track ended."""

    # The track ended and everything was read.
    ENDED = auto()
    # It was asked to end.
    ASKED = auto()
    # A later owner reads the tap.
    TAKEN = auto()
    # The node moved or is gone, and perhaps not all was read; the room's changes say where the track is.
    LOST = auto()


class Ending(Enum):
    """How a recording of a track is asked to end."""

    # The room no longer has the track: read what the tap still has, up to its end.
    UNPUBLISHED = auto()
    # Read what the tap still has, for a moment, then remove it.
    SOON = auto()
    # Nothing more may be received: the tap is removed at once.
    NOW = auto()
    # A successor continues: the tap stays.
    DRAIN = auto()
    # The owner is fenced: write nothing, tell the tap nothing.
    ABANDON = auto()


class MicrosecondClock(Protocol):
    def monotonic_us(self) -> int: ...


@dataclass(frozen=True, slots=True)
class _Promise:
    """An acknowledgement that waits until all segments up to a number are safe."""

    position: int
    number: int


class TrackRecording:
    """One tap from its opening to its end. `durable_in_store`: a segment is safe only when it is in the
    store; `on_stored` is then to be called for each."""

    def __init__(
        self,
        pipeline: TrackPipeline,
        feed: TrackFeed,
        folder: SpoolFolder,
        workers: DiskWorkers,
        open_muxer: OpenMuxer,
        clock: MicrosecondClock,
        on_segment: Callable[[SpooledSegment], None],
        *,
        durable_in_store: bool = False,
    ) -> None:
        self.pipeline = pipeline
        self._feed = feed
        self._folder = folder
        self._workers = workers
        self._open_muxer = open_muxer
        self._clock = clock
        self._on_segment = on_segment
        self._durable_in_store = durable_in_store
        self._muxer: SegmentMuxer | None = None
        # The file of the segment that is written. It is created with the first fragment.
        self._file: SegmentFile | None = None
        # The record of the segment that is written, and its frames so far: the pipeline is ahead of them.
        self._record: SegmentRecord | None = None
        self._frames = 0
        self._broken = False
        self._promises: deque[_Promise] = deque()
        self._unsafe: set[int] = set()
        self._ending: Ending | None = None
        self._asked = asyncio.Event()
        self._unpublished = False
        self._adopted = False
        self.spoiled_frames = 0
        """Frames that no container took."""

    async def run(self) -> TrackEnd:
        """Records until the track ends or `end` is called. Raises SpoolFull after the open segment was ended
        at its last fragment."""
        try:
            return await self._run()
        except SpoolFull:
            await self._close_after_failure()
            await self._feed.close(remove=False)
            raise
        except asyncio.CancelledError:
            self._abandon()
            raise
        except Exception:
            await self._close_after_failure()
            await self._feed.close(remove=False)
            raise

    def end(self, ending: Ending, until_us: int | None = None) -> None:
        """Makes `run` return. A stricter ending replaces an earlier one. `until_us`: the end of the
        recording, up to which the tap is read."""
        if until_us is not None:
            self.pipeline.end_at(until_us)
        self._unpublished |= ending is Ending.UNPUBLISHED
        if self._ending is None or ending.value > self._ending.value:
            self._ending = ending
        self._asked.set()

    def on_stored(self, number: int) -> None:
        """A segment of this track is in the store."""
        if self._durable_in_store:
            self._safe(number)

    # The loop

    async def _run(self) -> TrackEnd:
        loop = asyncio.get_running_loop()
        self._adopted = self._ending is Ending.UNPUBLISHED
        asked = asyncio.create_task(self._asked.wait())
        following: asyncio.Future[StreamTrackResponse] | None = None
        farewell: float | None = None
        reading_on: Ending | None = None
        try:
            while True:
                if self._ending not in (None, Ending.SOON, Ending.UNPUBLISHED):
                    break
                if self._ending is not reading_on:
                    reading_on = self._ending
                    farewell = loop.time() + (FAREWELL_S if reading_on is Ending.SOON else UNPUBLISHED_S)
                if farewell is not None and loop.time() >= farewell:
                    break
                if following is None:
                    following = asyncio.ensure_future(anext(self._feed))
                if asked.done():
                    self._asked.clear()
                    asked = asyncio.create_task(self._asked.wait())
                waiting: set[asyncio.Future[Any]] = {following, asked}
                await asyncio.wait(
                    waiting, timeout=self._timeout(farewell, loop), return_when=asyncio.FIRST_COMPLETED
                )
                if following.done():
                    try:
                        batch = following.result()
                    except StopAsyncIteration:
                        break
                    finally:
                        following = None
                    await self.take(batch)
                    if self.pipeline.ended is not None or self.pipeline.has_passed_end:
                        break
                else:
                    await self.tick()
        finally:
            asked.cancel()
            if following is not None:
                following.cancel()
                with suppress(asyncio.CancelledError, StopAsyncIteration):
                    await following
        return await self._conclude()

    def _timeout(self, farewell: float | None, loop: asyncio.AbstractEventLoop) -> float | None:
        due = self.pipeline.next_deadline_us()
        timeout = None if due is None else max(0.0, (due - self._clock.monotonic_us()) / 1_000_000)
        if farewell is None:
            return timeout
        left = max(0.0, farewell - loop.time())
        return left if timeout is None else min(left, timeout)

    async def take(self, batch: StreamTrackResponse) -> None:
        """Handles a batch that has just arrived."""
        await self._perform(self.pipeline.take(batch, self._clock.monotonic_us()))

    async def tick(self) -> None:
        await self._perform(self.pipeline.tick(self._clock.monotonic_us()))

    async def _conclude(self) -> TrackEnd:
        ending = self._ending
        ended = self.pipeline.ended is not None
        if ending is Ending.ABANDON or self._feed.end is FeedEnd.TAKEN:
            self._abandon()
            await self._feed.close(remove=False)
            return TrackEnd.TAKEN
        now_us = self._clock.monotonic_us()
        if ending is Ending.DRAIN and not ended:
            await self._perform(self.pipeline.drain(now_us))
            await self._feed.close(remove=False)
            return TrackEnd.ASKED
        await self._perform(self.pipeline.finish(now_us))
        moved = ended and self.pipeline.ended == StreamEnd(EndReason.MOVED)
        # The node knows nothing of a track that ended and was read up to its end by an earlier owner.
        read_before = self._adopted and self._feed.end is FeedEnd.REFUSED
        if (ended and not moved) or read_before or self._feed.end is FeedEnd.ENDED:
            await self._feed.close(remove=False)
            return TrackEnd.ENDED
        # Also if the recording is stopped before the time for reading on is over.
        if self._unpublished and ending in (Ending.UNPUBLISHED, Ending.SOON):
            await self._feed.close(remove=False)
            return TrackEnd.LOST
        # With `durable_in_store` the tap may be needed until the last segment is stored; it expires by
        # itself.
        await self._feed.close(
            remove=ending is Ending.NOW or (ending is Ending.SOON and not self._durable_in_store)
        )
        return TrackEnd.ASKED if ending is not None else TrackEnd.LOST

    # Effects

    async def _perform(self, effects: list[PipelineEffect]) -> None:
        for effect in effects:
            match effect:
                case PutFrame():
                    await self._put(effect)
                case OpenSegment(record):
                    self._muxer = self._open_muxer(record, effect.format)
                    self._record, self._frames = record, 0
                    self._unsafe.add(record.number)
                case CloseSegment(record):
                    await self._close(record)
                case RequestKeyframe():
                    self._feed.request_keyframe()
                case Acknowledge(position, number):
                    self._promises.append(_Promise(position, number))
                    self._keep_promises()

    async def _put(self, effect: PutFrame) -> None:
        assert self._muxer is not None
        try:
            written = self._muxer.write(effect.frame, effect.position_us)
        except MuxError as error:
            self.spoiled_frames += 1
            if not self._broken:
                self._broken = True
                log.warning("recording_frame_refused", error=str(error), position_us=effect.position_us)
            return
        self._broken = False
        self._frames += 1
        if written.data:
            assert self._record is not None
            # The time of the last frame is not known, only that of the next: it is no later than this.
            so_far = {
                "end_us": written.end_us - LAST_FRAME_US,
                "frames": self._frames,
                "notes": self.pipeline.notes,
            }
            record = self._record.model_copy(update=so_far)
            await self._workers.run(partial(self._append, written, record))

    def _append(self, written: Written, record: SegmentRecord) -> None:
        """Makes durable what the container has completed. Blocks."""
        if self._file is None:
            self._file = self._folder.create(record)
        self._file.append(written.data, record)

    def _complete(self, written: Written, record: SegmentRecord) -> SpooledSegment | None:
        """Makes the rest of a segment durable, and ends it. Blocks."""
        if written.data:
            self._append(written, record)
        file, self._file = self._file, None
        return None if file is None else file.complete(record)

    async def _close(self, record: SegmentRecord) -> None:
        assert self._muxer is not None
        muxer, self._muxer = self._muxer, None
        # In one call, because each costs as much as many packets.
        spooled = await self._workers.run(partial(self._complete, muxer.close(record.end_us), record))
        self._finish(record.number, spooled)

    async def _close_after_failure(self) -> None:
        """Ends the open segment at its last fragment."""
        file, self._file, self._muxer = self._file, None, None
        if file is not None:
            spooled = await self._workers.run(lambda: file.complete(None))
            if spooled is not None:
                self._on_segment(spooled)

    def _abandon(self) -> None:
        file, self._file, self._muxer = self._file, None, None
        if file is not None:
            file.abandon()

    def _finish(self, number: int, spooled: SpooledSegment | None) -> None:
        if spooled is not None:
            self._on_segment(spooled)
        if spooled is None or not self._durable_in_store:
            self._safe(number)

    def _safe(self, number: int) -> None:
        self._unsafe.discard(number)
        self._keep_promises()

    def _keep_promises(self) -> None:
        """Acknowledges the last position before which everything is safe."""
        first_unsafe = min(self._unsafe, default=None)
        position = None
        while self._promises and (first_unsafe is None or self._promises[0].number < first_unsafe):
            position = self._promises.popleft().position
        if position is not None:
            self._feed.acknowledge(position)
