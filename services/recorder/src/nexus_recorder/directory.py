"""The records of recordings in KV `recordings`, and what this process knows of all of them.

Every change is a compare-and-set of what `core.recording` makes of the record that was read. Its events are
then published and removed from the record. If the process dies in between, `Oversight` publishes them.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import structlog
from google.protobuf.message import DecodeError
from nexus_bus import Bus, BusError, Change, KeyExists, LazyKeyValue, RevisionMismatch, Synced, subjects
from nexus_runtime import Clock

from nexus_recorder import errors
from nexus_recorder.core import inputs
from nexus_recorder.core.catalog import Catalog, Entry
from nexus_recorder.core.record import Record
from nexus_recorder.core.recording import handle
from nexus_recorder.event_stream import EventStream
from nexus_recorder.metrics import Metrics

log = structlog.get_logger()

# How often a change is tried while other writers are faster.
MAX_CONFLICTS: Final = 32
RETRY_SECONDS: Final = 0.5

Listener = Callable[["Stored | None"], None]


@dataclass(frozen=True, slots=True)
class Stored:
    """A record, and the revision under which the bucket has it."""

    record: Record
    revision: int


class RecordingDirectory:
    def __init__(self, bus: Bus, clock: Clock, metrics: Metrics, max_recordings: int) -> None:
        self._bucket = LazyKeyValue(bus, subjects.RECORDINGS)
        self._events = EventStream(bus)
        self._clock = clock
        self._metrics = metrics
        self._max_recordings = max_recordings
        self.catalog = Catalog()
        self._synced = asyncio.Event()
        self._listeners: dict[str, list[Listener]] = {}
        self._everything: list[Callable[[Entry], None]] = []

    @property
    def synced(self) -> bool:
        """Whether every record has been read once, so that lists are complete."""
        return self._synced.is_set()

    async def until_synced(self) -> None:
        """Returns when every record has been read once."""
        await self._synced.wait()

    async def find(self, app: str, recording_id: str) -> Stored | None:
        """Raises BusError."""
        try:
            key = subjects.recording_key(app, recording_id)
        except ValueError:
            return None
        entry = await self._bucket.get(key)
        if entry is None:
            return None
        record = _decode(entry.key, entry.value)
        return None if record is None else self._saw(Stored(record, entry.revision))

    async def get(self, app: str, recording_id: str) -> Stored:
        """Raises RpcError RECORDING_NOT_FOUND, and BusError."""
        stored = await self.find(app, recording_id)
        if stored is None:
            raise errors.recording_not_found(recording_id)
        return stored

    async def create(self, record: Record) -> tuple[Stored, bool]:
        """Stores a new record, or returns the one of its id. The second value says whether it is new. Raises
        RpcError SERVICE_UNAVAILABLE if there are too many recordings, and BusError."""
        app, recording_id = record.recording.app, record.recording.id
        if len(self.catalog) >= self._max_recordings:
            self._metrics.refused.inc()
            raise errors.unavailable("there are too many recordings; delete some")
        try:
            revision = await self._bucket.create(
                subjects.recording_key(app, recording_id), record.SerializeToString()
            )
        except KeyExists:
            return await self.get(app, recording_id), False
        return await self._publish(self._saw(Stored(record, revision))), True

    async def change(self, app: str, recording_id: str, *given: inputs.Input) -> Stored:
        """Applies inputs, in one write, and returns the record as it is then. Returns when the events are
        published, or could not be.

        Raises RpcError for what the state forbids and for RECORDING_NOT_FOUND, Fenced for an owner of an
        older epoch, and BusError. After a BusError the change may or may not be stored.
        """
        for _ in range(MAX_CONFLICTS):
            stored = await self.get(app, recording_id)
            changed, unreported = stored.record, 0
            for one in given:
                change = handle(changed, one, self._clock.epoch_ms())
                changed, unreported = change.record, unreported + change.unreported
            if changed is stored.record:
                return stored
            try:
                written = await self._write(changed, stored.revision)
            except RevisionMismatch:
                self._metrics.conflicts.inc()
                continue
            self._metrics.segments_unreported.inc(unreported)
            return await self._publish(written)
        raise BusError(f"the record of {recording_id} changes too often")

    async def publish_again(self, app: str, recording_id: str) -> None:
        """Publishes the events of a process that did not, for example because it died. Raises BusError."""
        stored = await self.find(app, recording_id)
        if stored is not None:
            await self._publish(stored)

    async def remove(self, app: str, recording_id: str, revision: int) -> None:
        """Removes the record of a recording that was deleted. Raises RevisionMismatch, BusError."""
        await self._bucket.delete(subjects.recording_key(app, recording_id), revision)

    async def _write(self, record: Record, revision: int) -> Stored:
        key = subjects.recording_key(record.recording.app, record.recording.id)
        return self._saw(Stored(record, await self._bucket.update(key, record.SerializeToString(), revision)))

    async def _publish(self, stored: Stored) -> Stored:
        """Publishes the events of a record, and removes them from it. A failure is left to `Oversight`."""
        record = stored.record
        if not record.unpublished:
            return stored
        try:
            await self._events.publish(record.unpublished)
            published = inputs.Published(record.unpublished[-1].number)
            cleared = handle(record, published, self._clock.epoch_ms()).record
            return await self._write(cleared, stored.revision)
        except RevisionMismatch:
            return stored  # the next writer publishes and removes them
        except BusError as error:
            self._metrics.events_delayed.inc()
            log.info("recording_events_delayed", recording=record.recording.id, error=repr(error))
            return stored

    # Following

    @asynccontextmanager
    async def followed(self, recording_id: str, listener: Listener) -> AsyncIterator[None]:
        """Calls `listener` with every state of a recording that this process sees from now on; None: its
        record is gone."""
        listeners = self._listeners.setdefault(recording_id, [])
        listeners.append(listener)
        try:
            yield
        finally:
            listeners.remove(listener)
            if not listeners and self._listeners.get(recording_id) is listeners:
                del self._listeners[recording_id]

    def on_entry(self, listener: Callable[[Entry], None]) -> None:
        """Calls `listener` with the newest entry of any recording."""
        self._everything.append(listener)

    async def wait(self, stored: Stored, until: Callable[[Record], bool], timeout_ms: int) -> Stored:
        """Waits until the record fulfils the condition, or for `timeout_ms`, and returns it as it is then."""
        recording = stored.record.recording
        newest, arrived = stored, asyncio.Event()

        def note(seen: Stored | None) -> None:
            nonlocal newest
            if seen is not None and seen.revision > newest.revision:
                newest = seen
                arrived.set()

        try:
            async with self.followed(recording.id, note), asyncio.timeout(timeout_ms / 1000):
                while not until(newest.record):
                    await arrived.wait()
                    arrived.clear()
        except TimeoutError:
            pass
        return newest

    async def follow(self) -> None:
        """Follows the bucket until cancelled."""
        while True:
            try:
                async with await self._bucket.watch() as watch:
                    async for step in watch:
                        self._apply(step)
            except BusError as error:
                log.debug("recordings_watch_interrupted", error=repr(error))
            await asyncio.sleep(RETRY_SECONDS)

    def _apply(self, step: Change | Synced) -> None:
        if isinstance(step, Synced):
            self._synced.set()
            return
        try:
            app, recording_id = subjects.parse_recording_key(step.key)
        except ValueError:
            log.warning("recording_key_malformed", key=step.key)
            return
        if step.value is None:
            self.catalog.remove(app, recording_id)
            self._notify(recording_id, None)
            return
        record = _decode(step.key, step.value)
        if record is not None:
            self._saw(Stored(record, step.revision))

    def _saw(self, stored: Stored) -> Stored:
        entry = Entry.of(stored.record, stored.revision, self._clock.monotonic_ms())
        if self.catalog.put(entry):
            self._metrics.recordings.set(len(self.catalog))
            self._notify(entry.id, stored)
            for listener in self._everything:
                listener(entry)
        return stored

    def _notify(self, recording_id: str, stored: Stored | None) -> None:
        for listener in list(self._listeners.get(recording_id, ())):
            listener(stored)


def _decode(key: str, value: bytes) -> Record | None:
    try:
        return Record.FromString(value)
    except DecodeError:
        log.warning("recording_record_malformed", key=key)
        return None
