"""Named taps: they outlive their readers, so that a recorder that dies or moves continues where it had stored
everything.

The engine keeps the records of a named tap until they are acknowledged. This module knows which tap has which
name, who reads it, and what happens when its track ends: another engine track feeds it after a re-offer, or
its last record is written, with the reason of that moment.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace

import structlog
from nexus_runtime import Clock

from nexus_sfu import errors
from nexus_sfu.core.model import RoomKey
from nexus_sfu.engine_port import EnginePort, TapDemand, TapOptions, TapState
from nexus_sfu.media import Media
from nexus_sfu.metrics import Metrics
from nexus_sfu.tap_readers import READ_BYTES, TapReaders

log = structlog.get_logger()

# Maximum number of named taps of one track: a recorder, a transcriber, and their successors during a change.
MAX_NAMED_TAPS = 8
MAX_NAME_BYTES = 128


@dataclass(frozen=True, slots=True)
class TapName:
    room: RoomKey
    track_id: str
    name: str


# Parameters: the tap's name and its publisher's participant id. Result: the last record of the stream.
WriteEnd = Callable[[TapName, str], bytes]


@dataclass(slots=True)
class NamedTap:
    name: TapName
    participant_id: str
    options: TapOptions
    # The engine's id of the tap, and of the track that feeds it.
    tap: int
    track: int
    ready: asyncio.Event
    # Counts the readers; the newest reads.
    reader: int = 0
    # When the last reader left, on the monotonic clock; None while one reads.
    unread_since_ms: float | None = None
    # The last record is written.
    finished: bool = False


class NamedTaps:
    def __init__(
        self,
        engine: EnginePort,
        media: Media,
        readers: TapReaders,
        metrics: Metrics,
        clock: Clock,
        write_end: WriteEnd,
    ) -> None:
        self._engine = engine
        self._media = media
        self._readers = readers
        self._metrics = metrics
        self._clock = clock
        self._write_end = write_end
        self._taps: dict[TapName, NamedTap] = {}
        self._packets_dropped = 0

    def __contains__(self, name: TapName) -> bool:
        return name in self._taps

    def open(self, name: TapName, participant_id: str, track: int, options: TapOptions) -> None:
        """Creates a tap on the engine's track. Raises RpcError if the engine or the track has too many."""
        if sum(other.track_id == name.track_id for other in self._taps) >= MAX_NAMED_TAPS:
            raise errors.too_many_streams()
        tap = self._readers.add_tap(track, options)
        named = NamedTap(name, participant_id, options, tap, track, asyncio.Event())
        named.unread_since_ms = self._clock.monotonic_ms()
        self._taps[name] = named
        self._readers.listen(tap, lambda: self._on_ready(named))
        log.info("tap_opened", room=name.room.room, track=name.track_id, tap=name.name)

    async def read(self, name: TapName, resume_after: int, demand: TapDemand) -> AsyncIterator[bytes]:
        """Yields batches after the position, until the last record. Takes over from another reader, which
        gets TAP_TAKEN. Raises RpcError."""
        named = self._taps[name]
        named.reader += 1
        mine = named.reader
        named.unread_since_ms = None
        named.ready.set()  # wakes the reader that is superseded
        self._engine.resume_tap(named.tap, resume_after)
        self.demand(named, demand)
        try:
            while True:
                if named.reader != mine:
                    raise errors.tap_taken(name.name)
                named.ready.clear()
                batch = self._engine.read_tap(named.tap, READ_BYTES)
                self._metrics.stream_packets.inc(batch.packets)
                if batch.records:
                    yield batch.records
                elif named.finished or self._taps.get(name) is not named:
                    return
                else:
                    await named.ready.wait()
        finally:
            if named.reader == mine:
                named.unread_since_ms = self._clock.monotonic_ms()

    def find(self, name: TapName) -> NamedTap:
        """Raises RpcError."""
        named = self._taps.get(name)
        if named is None:
            raise errors.tap_not_found(name.name)
        return named

    def acknowledge(self, named: NamedTap, position: int) -> None:
        self._engine.acknowledge_tap(named.tap, position)

    def demand(self, named: NamedTap, demand: TapDemand) -> None:
        if demand != named.options.demand:
            named.options = replace(named.options, demand=demand)
            self._engine.update_tap(named.tap, demand)

    def request_keyframe(self, named: NamedTap) -> None:
        self._engine.request_tap_keyframe(named.tap)

    def state(self, named: NamedTap) -> TapState:
        return self._engine.tap_state(named.tap)

    def remove(self, named: NamedTap, why: str = "removed") -> None:
        if self._taps.get(named.name) is not named:
            return
        del self._taps[named.name]
        self._readers.remove_tap(named.tap)
        named.ready.set()
        log.info("tap_closed", track=named.name.track_id, tap=named.name.name, reason=why)

    def expire(self) -> None:
        """Frees what was kept for too long, and taps that had no reader for their whole retention."""
        self._engine.expire_taps()
        now_ms = self._clock.monotonic_ms()
        for named in list(self._taps.values()):
            unread = named.unread_since_ms
            if unread is not None and now_ms - unread > named.options.retain_ms:
                self.remove(named, "expired")
            elif named.finished and unread is not None and not self.state(named).records:
                self.remove(named, "acknowledged")
        totals = self._engine.retained
        self._metrics.named_taps.set(len(self._taps))
        self._metrics.tap_retained_bytes.set(totals.bytes)
        self._metrics.tap_packets_dropped.inc(totals.packets_dropped - self._packets_dropped)
        self._packets_dropped = totals.packets_dropped

    def _on_ready(self, named: NamedTap) -> None:
        if not named.finished and self._engine.tap_state(named.tap).ended:
            self._follow(named)
        named.ready.set()

    def _follow(self, named: NamedTap) -> None:
        """Continues with the engine's new track after a re-offer, or writes the last record."""
        track = self._media.engine_track(named.name.track_id)
        if track is not None and track != named.track:
            named.track = track
            with contextlib.suppress(RuntimeError):  # the next event of the tap repeats it
                self._engine.continue_tap(named.tap, track, named.options)
                return
        named.finished = True
        self._engine.finish_tap(named.tap, self._write_end(named.name, named.participant_id))
