"""Uploads what is complete in the spool, as objects that are created only if absent.

An object stays in the spool until the store has confirmed it. A store that fails is retried for as long as
needed; until it answers again, the recording is degraded.
"""

import asyncio
import hashlib
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog
from nexus.recorder.v1 import recording_pb2
from nexus.types.v1 import error_pb2
from nexus_runtime import Clock
from nexus_storage import ObjectExists, RetryPolicy, StorageError, Store, put_once, retrying

from nexus_recorder.core.object_names import ObjectNames
from nexus_recorder.core.records import MAX_INLINE_BYTES, SegmentRecord
from nexus_recorder.media.fence import Clearance, Fenced
from nexus_recorder.media.media_metrics import MediaMetrics
from nexus_recorder.media.spool import Spooled, SpooledJournal, SpooledSegment, SpoolFolder
from nexus_recorder.media.workers import DiskWorkers
from nexus_recorder.run import DegradedChanged, OnRunEvent, SegmentStored

log = structlog.get_logger()

# Number of uploads of one recording at a time.
PARALLEL_UPLOADS: Final = 4

OnStored = Callable[[SegmentRecord], None]


@dataclass(frozen=True, slots=True)
class _Item:
    spooled: Spooled
    folder: SpoolFolder


def content_type_of(record: SegmentRecord) -> str:
    kind = "audio" if record.codec == "opus" else "video"
    return f"{kind}/{record.container}"


class Uploader:
    """The uploads of one owner of one recording. `run` works until cancelled, or until the owner is
    fenced."""

    def __init__(
        self,
        store: Store,
        names: ObjectNames,
        clearance: Clearance,
        workers: DiskWorkers,
        clock: Clock,
        rng: random.Random,
        on_event: OnRunEvent,
        metrics: MediaMetrics,
        on_stored: OnStored = lambda record: None,
        policy: RetryPolicy | None = None,
    ) -> None:
        self._store = store
        self._names = names
        self._clearance = clearance
        self._workers = workers
        self._clock = clock
        self._rng = rng
        self._on_event = on_event
        self._metrics = metrics
        self._on_stored = on_stored
        self._policy = policy or RetryPolicy()
        self._waiting: deque[_Item] = deque()
        self._active: set[_Item] = set()
        self._changed = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._failing: dict[int, StorageError] = {}
        self._degraded = False
        self.stored_bytes = 0
        self.spooled_bytes = 0

    @property
    def on_stored(self) -> OnStored:
        return self._on_stored

    @on_stored.setter
    def on_stored(self, listener: OnStored) -> None:
        self._on_stored = listener

    def add(self, spooled: Spooled, folder: SpoolFolder) -> None:
        """Uploads it as soon as possible."""
        self._waiting.append(_Item(spooled, folder))
        self.spooled_bytes += spooled.size
        self._idle.clear()
        self._changed.set()

    async def idle(self) -> None:
        """Returns when everything that was added is in the store."""
        await self._idle.wait()

    @property
    def is_idle(self) -> bool:
        return self._idle.is_set()

    async def run(self) -> None:
        """Raises Fenced, and every error that is no StorageError."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(PARALLEL_UPLOADS):
                tasks.create_task(self._work(number), name=f"upload-{number}")

    async def _work(self, number: int) -> None:
        while True:
            while not self._waiting:
                self._changed.clear()
                await self._changed.wait()
            item = self._waiting.popleft()
            self._active.add(item)
            try:
                await self._upload(item, number)
            finally:
                self._active.discard(item)
            if not self._waiting and not self._active:
                self._idle.set()

    async def _upload(self, item: _Item, worker: int) -> None:
        spooled = item.spooled

        async def attempt() -> str:
            await self._clearance.check()
            if isinstance(spooled, SpooledJournal):
                return await self._put_journal(spooled)
            return await self._put_segment(spooled)

        key = await retrying(
            attempt,
            policy=self._policy,
            rng=self._rng,
            on_failure=lambda failure: self._failed(worker, failure.error),
        )
        self._succeeded(worker)
        self.stored_bytes += spooled.size
        self._metrics.stored_bytes.inc(spooled.size)
        self.spooled_bytes -= spooled.size
        await self._workers.run(lambda: item.folder.remove(spooled))
        if isinstance(spooled, SpooledSegment):
            self._metrics.segments_stored.inc()
            self._on_stored(spooled.record)
            self._on_event(_stored_event(key, spooled.record))

    async def _put_segment(self, spooled: SpooledSegment) -> str:
        record = spooled.record
        name = record.segment_name
        key = self._names.segment(name)
        data = await self._workers.run(spooled.path.read_bytes)
        text = record.to_json()
        metadata = {"record": text}
        if len(text.encode()) > MAX_INLINE_BYTES or not text.isascii():
            # The record first: a segment in a listing then always has it.
            beside = self._names.record(name)
            await self._put(beside, text.encode(), "application/json", {})
            metadata = {"record": "beside"}
        await self._put(key, data, content_type_of(record), metadata, record.sha256)
        return key

    async def _put_journal(self, spooled: SpooledJournal) -> str:
        key = self._names.journal(spooled.journal.epoch, spooled.journal.number)
        data = await self._workers.run(spooled.path.read_bytes)
        await self._put(key, data, "application/json", {})
        return key

    async def _put(
        self, key: str, data: bytes, content_type: str, metadata: dict[str, str], digest: str = ""
    ) -> None:
        """`digest` is the hash of the data; empty: not known, and the data are short."""
        digest = digest or hashlib.sha256(data).hexdigest()
        try:
            await put_once(
                self._store, key, data, sha256=digest, content_type=content_type, metadata=metadata
            )
        except ObjectExists as error:
            log.warning("recording_object_of_another_owner", key=key)
            raise Fenced from error

    def _failed(self, worker: int, error: StorageError) -> None:
        self._failing[worker] = error
        self._metrics.upload_failures.labels(type(error).__name__).inc()
        log.warning("recording_upload_failed", code=error.code, error=error.message)
        if not self._degraded:
            self._degraded = True
            degraded = recording_pb2.Degraded(
                since_ms=self._clock.epoch_ms(),
                error=error_pb2.Error(
                    code=error_pb2.ErrorCode.Value(error.error_code),
                    message=error.message,
                    details=dict(error.details),
                ),
            )
            self._on_event(DegradedChanged(degraded))

    def _succeeded(self, worker: int) -> None:
        self._failing.pop(worker, None)
        if self._degraded and not self._failing:
            self._degraded = False
            self._on_event(DegradedChanged(None))


def _stored_event(key: str, record: SegmentRecord) -> SegmentStored:
    return SegmentStored(
        key,
        record.track_id,
        record.bytes,
        record.start_us // 1000,
        max(0, record.end_us - record.start_us) // 1000,
    )
