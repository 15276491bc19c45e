"""The engine's twin for tests: it records commands, refuses what the real engine refuses, and emits a test's
events.

It is stricter than the real engine: a command for an unknown id is an error, because the service should never
send one.
"""

import itertools
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from nexus.sfu.v1 import track_stream_pb2

from nexus_sfu.core.effects import SlotView
from nexus_sfu.core.model import DataOffer, IceCredentials, Kind, Track, TransportOffer
from nexus_sfu.engine_port import (
    DataMessage,
    EngineCandidate,
    EngineEvent,
    OpenedSlot,
    OpenedTransport,
    RetainedTotals,
    SlotStats,
    StatsReady,
    TapBatch,
    TapDemand,
    TapOptions,
    TapState,
    TrackStats,
    TransportGone,
    TransportStats,
)


@dataclass(slots=True)
class MemoryData:
    offer: DataOffer
    sender: str
    publish: bool
    receive: bool


@dataclass(slots=True)
class MemoryTransport:
    room: int
    offer: TransportOffer
    restarts: int = 0
    unsubscribed: set[int] = field(default_factory=set)
    data: MemoryData | None = None


@dataclass(slots=True)
class MemoryTrack:
    transport: int
    number: int
    mid: str
    kind: Kind
    muted: bool
    ssrcs: tuple[int, ...]
    rids: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...] = ()


@dataclass(slots=True)
class MemorySlot:
    transport: int
    kind: Kind
    pair: int
    stream: str
    track: int | None = None
    view: SlotView = field(default_factory=SlotView)


class MemoryCounters:
    """Statistics whose unset counters are 0."""

    def __getattr__(self, name: str) -> int:
        if name.startswith("_"):
            raise AttributeError(name)
        return 0


@dataclass
class MemoryEngineStats(MemoryCounters):
    datagrams_in: int = 0
    datagrams_out: int = 0
    tcp_connections: int = 0
    cpu_seconds: float = 0.0
    transports: int = 0
    drops: dict[str, int] = field(default_factory=dict)


@dataclass
class MemoryTransportStats(MemoryCounters):
    transport: int
    state: str = "connected"
    rtt_ms: float = 0.0
    srtp_profile: str = ""


@dataclass
class MemoryTrackStats(MemoryCounters):
    track: int
    packets: int = 0
    packets_lost: int = 0
    jitter_ms: float = 0.0
    layer_bitrates: Sequence[Sequence[int]] = ()


@dataclass
class MemorySlotStats(MemoryCounters):
    slot: int
    track: int | None
    packets: int = 0
    fraction_lost: float = 0.0
    target: tuple[int, int] | None = None
    layer: tuple[int, int] | None = None


@dataclass(slots=True)
class MemoryBatch:
    records: bytes = b""
    packets: int = 0
    packets_dropped: int = 0
    ended: bool = False


def _records_in(batch: MemoryBatch) -> int:
    return len(track_stream_pb2.StreamTrackResponse.FromString(batch.records).records)


@dataclass(frozen=True, slots=True)
class MemoryTotals:
    bytes: int
    packets_dropped: int = 0


@dataclass(slots=True)
class MemoryTap:
    track: int
    options: TapOptions
    batches: list[MemoryBatch] = field(default_factory=list)
    demand: TapDemand = field(default_factory=TapDemand)
    keyframes_requested: int = 0
    # Batches of a named tap with the positions of their last records, and how far they are delivered.
    kept: list[tuple[int, MemoryBatch]] = field(default_factory=list)
    position: int = 0
    delivered: int = 0
    ended: bool = False

    @property
    def bytes(self) -> int:
        return sum(len(batch.records) for _, batch in self.kept)

    @property
    def records(self) -> int:
        return sum(_records_in(batch) for _, batch in self.kept)

    @property
    def packets_dropped(self) -> int:
        return 0


class MemoryEngine:
    """An `EnginePort`."""

    fingerprint = ":".join(["AB"] * 32)
    gcm_library = "none"
    ports = (40_000,)

    def __init__(self) -> None:
        self.rooms: set[int] = set()
        self.transports: dict[int, MemoryTransport] = {}
        self.tracks: dict[int, MemoryTrack] = {}
        self.slots: dict[int, MemorySlot] = {}
        self.stats = MemoryEngineStats()
        self.closed = False
        self.sent_data: list[tuple[int, DataMessage]] = []
        # Makes create_transport fail, as the real engine does for unusable arguments.
        self.refuse_transport = False
        self._ids = itertools.count(1)
        self._events: list[EngineEvent] = []
        self.taps: dict[int, MemoryTap] = {}
        # Makes add_tap fail, as the real engine does with too many taps.
        self.refuse_tap = False
        self._ready: list[int] = []
        self.tap_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.event_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def emit(self, *events: EngineEvent) -> None:
        """Emits events for a test."""
        self._events += events
        os.eventfd_write(self.event_fd, 1)

    def lose(self, transport: int, reason: str) -> None:
        """Frees a transport and reports it, as the real engine does when consent is lost."""
        self.close_transport(transport)
        self.emit(TransportGone(transport, reason))

    def poll_events(self, limit: int = 1024) -> list[EngineEvent]:
        events, self._events = self._events[:limit], self._events[limit:]
        if not self._events:
            with suppress(BlockingIOError):
                os.eventfd_read(self.event_fd)
        return events

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            os.close(self.event_fd)
            os.close(self.tap_fd)

    def create_room(self) -> int:
        room = next(self._ids)
        self.rooms.add(room)
        return room

    def close_room(self, room: int) -> None:
        self.rooms.remove(room)
        assert not any(t.room == room for t in self.transports.values())

    def create_transport(self, room: int, offer: TransportOffer) -> OpenedTransport:
        assert room in self.rooms
        if self.refuse_transport:
            raise ValueError("refused by the test")
        transport = next(self._ids)
        self.transports[transport] = MemoryTransport(room, offer)
        return self._describe(transport)

    def _describe(self, transport: int) -> OpenedTransport:
        restarts = self.transports[transport].restarts
        ice = IceCredentials(f"ufrag{transport}x{restarts}", f"password{transport}x{restarts}".ljust(24, "z"))
        candidate = EngineCandidate("1", 2_130_706_431, "127.0.0.1", self.ports[0])
        return OpenedTransport(transport, ice, (candidate,))

    def update_transport(self, transport: int, offer: TransportOffer) -> None:
        self.transports[transport].offer = offer

    def restart_ice(self, transport: int, ice: IceCredentials) -> OpenedTransport:
        assert ice.ufrag
        self.transports[transport].restarts += 1
        return self._describe(transport)

    def configure_data(
        self, transport: int, offer: DataOffer, sender: str, publish: bool, receive: bool
    ) -> None:
        self.transports[transport].data = MemoryData(offer, sender, publish, receive)

    def send_data(self, room: int, message: DataMessage) -> None:
        assert room in self.rooms
        assert all(self.transports[transport].room == room for transport in message.to)
        self.sent_data.append((room, message))

    def close_transport(self, transport: int) -> None:
        del self.transports[transport]
        for track in [i for i, t in self.tracks.items() if t.transport == transport]:
            self.remove_track(track)
        self.slots = {i: s for i, s in self.slots.items() if s.transport != transport}

    def add_track(self, transport: int, track: Track) -> int:
        numbers = {t.number for t in self.tracks.values() if self._room(t) == self.transports[transport].room}
        assert track.number not in numbers
        number = next(self._ids)
        self.tracks[number] = MemoryTrack(
            transport, track.number, track.mid, track.kind, track.muted, track.ssrcs, track.rids, track.sizes
        )
        return number

    def _room(self, track: MemoryTrack) -> int:
        return self.transports[track.transport].room if track.transport in self.transports else 0

    def remove_track(self, track: int) -> None:
        del self.tracks[track]
        for number, tap in self.taps.items():
            if tap.track == track:
                self.record(number, MemoryBatch(ended=True))
        for slot in self.slots.values():
            if slot.track == track:
                slot.track = None

    def set_track_muted(self, track: int, muted: bool) -> None:
        self.tracks[track].muted = muted

    def set_track_sizes(self, track: int, sizes: Sequence[tuple[int, int]]) -> None:
        self.tracks[track].sizes = tuple(sizes)

    def add_slot(self, transport: int, kind: Kind, pair: int, stream: str, rtx: bool = True) -> OpenedSlot:
        assert transport in self.transports
        slot = next(self._ids)
        self.slots[slot] = MemorySlot(transport, kind, pair, stream)
        return OpenedSlot(slot, 1_000 + slot, 500_000 + slot if kind is Kind.VIDEO and rtx else None)

    def remove_slot(self, slot: int) -> None:
        del self.slots[slot]

    def bind_slot(self, slot: int, track: int) -> None:
        assert self.slots[slot].kind is self.tracks[track].kind is Kind.VIDEO
        self.slots[slot].track = track

    def unbind_slot(self, slot: int) -> None:
        self.slots[slot].track = None

    def set_slot_view(self, slot: int, view: SlotView) -> None:
        assert self.slots[slot].kind is Kind.VIDEO
        assert 1 <= view.priority <= 255
        self.slots[slot].view = view

    def set_subscribed(self, transport: int, track: int, subscribed: bool) -> None:
        assert track in self.tracks
        unsubscribed = self.transports[transport].unsubscribed
        if subscribed:
            unsubscribed.discard(track)
        else:
            unsubscribed.add(track)

    def record(self, tap: int, batch: MemoryBatch) -> None:
        """Adds media to a tap for a test."""
        state = self.taps[tap]
        state.ended = state.ended or batch.ended
        if not state.options.retain_ms:
            state.batches.append(batch)
        elif batch.records:
            state.position += _records_in(batch)
            position = track_stream_pb2.StreamTrackResponse(position=state.position).SerializeToString()
            state.kept.append((state.position, MemoryBatch(batch.records + position, batch.packets)))
        self._ready.append(tap)
        os.eventfd_write(self.tap_fd, 1)

    def add_tap(self, track: int, options: TapOptions) -> int:
        assert track in self.tracks
        if self.refuse_tap:
            raise RuntimeError("too many taps")
        tap = next(self._ids)
        self.taps[tap] = MemoryTap(track, options, demand=options.demand, position=options.first_position)
        return tap

    def remove_tap(self, tap: int) -> None:
        self.taps.pop(tap, None)

    def ready_taps(self) -> list[int]:
        with suppress(BlockingIOError):
            os.eventfd_read(self.tap_fd)
        ready, self._ready = self._ready, []
        return ready

    def read_tap(self, tap: int, limit: int) -> TapBatch:
        assert limit > 0
        state = self.taps.get(tap)
        if state is None:
            return MemoryBatch()
        if not state.options.retain_ms:
            return state.batches.pop(0) if state.batches else MemoryBatch()
        for position, batch in state.kept:
            if position > state.delivered:
                state.delivered = position
                return batch
        return MemoryBatch(ended=state.ended)

    def continue_tap(self, tap: int, track: int, options: TapOptions) -> None:
        assert track in self.tracks
        self.taps[tap].track = track
        self.taps[tap].ended = False

    def finish_tap(self, tap: int, record: bytes) -> None:
        self.record(tap, MemoryBatch(record, ended=True))

    def resume_tap(self, tap: int, position: int) -> None:
        self.taps[tap].delivered = position
        self._ready.append(tap)
        os.eventfd_write(self.tap_fd, 1)

    def acknowledge_tap(self, tap: int, position: int) -> None:
        self.taps[tap].kept = [kept for kept in self.taps[tap].kept if kept[0] > position]

    def update_tap(self, tap: int, demand: TapDemand) -> None:
        self.taps[tap].demand = demand

    def request_tap_keyframe(self, tap: int) -> None:
        self.taps[tap].keyframes_requested += 1

    def expire_taps(self) -> None:
        """Keeps everything: the engine's tests cover its bounds."""

    def tap_state(self, tap: int) -> TapState:
        return self.taps[tap]

    @property
    def retained(self) -> RetainedTotals:
        return MemoryTotals(sum(tap.bytes for tap in self.taps.values()))

    def request_stats(self, room: int | None, details: bool = True) -> int:
        """Answers at once, with the stats of everything present."""
        request = next(self._ids)
        transports: list[TransportStats] = [
            MemoryTransportStats(i) for i, t in self.transports.items() if details and room in (None, t.room)
        ]
        ids = {t.transport for t in transports}
        tracks: list[TrackStats] = [
            MemoryTrackStats(i, packets=7) for i, t in self.tracks.items() if t.transport in ids
        ]
        slots: list[SlotStats] = [
            MemorySlotStats(i, s.track) for i, s in self.slots.items() if s.transport in ids
        ]
        self.stats.transports = len(self.transports)
        self.emit(StatsReady(request, self.stats, transports, tracks, slots))
        return request
