"""The order of deliveries to one endpoint: which event of which room is sent when.

A stream has the events of all rooms in one order. The queue reads it once, from front to back. It remembers
how far it has read (`position`), and for each room with events that are not delivered the sequence number of
the first of them. So what it keeps does not grow with the number of events, and a room that fails for days
holds back no other room.

Within a room there is one attempt at a time, and the next event follows only when the one before is delivered
or given up. That is the whole promise of order.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from nexus_runtime import Now

from nexus_webhooks.core.schedule import Schedule

# How long to wait after a stream could not be read.
UNREAD_DELAY_MS: Final = 1_000
# Longest time for which an endpoint may ask not to be sent anything (Retry-After).
MAX_PAUSE_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class QueueLimits:
    # Attempts at one time.
    max_attempts_at_once: int = 8
    # Rooms that wait at one time. At the bound nothing more is read until one of them has caught up.
    max_waiting_rooms: int = 500


@dataclass(frozen=True, slots=True)
class RoomKey:
    """A room as one stream names it."""

    stream: str
    room: str


# Inputs


@dataclass(frozen=True, slots=True)
class Read:
    """The next message of a stream. `room` is set if the endpoint wants the event."""

    stream: str
    sequence: int
    room: str | None


@dataclass(frozen=True, slots=True)
class Delivered:
    key: RoomKey
    sequence: int


@dataclass(frozen=True, slots=True)
class Failed:
    """An attempt failed. `retry_after_ms` is how long the endpoint asks to wait; with `pauses`, it asks this
    for all events."""

    key: RoomKey
    sequence: int
    retry_after_ms: int = 0
    pauses: bool = False


@dataclass(frozen=True, slots=True)
class Undeliverable:
    """The event can never be sent, whatever the endpoint answers."""

    key: RoomKey
    sequence: int


@dataclass(frozen=True, slots=True)
class Gone:
    """The endpoint answered that it wants nothing any more (410)."""

    key: RoomKey


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """The room has no event that is wanted up to `through`."""

    key: RoomKey
    through: int


@dataclass(frozen=True, slots=True)
class Unread:
    """The stream could not be read, so no attempt was made."""

    key: RoomKey


@dataclass(frozen=True, slots=True)
class Enabled:
    """An operator wants a disabled endpoint to be used again."""


Input = Read | Delivered | Failed | Undeliverable | Gone | CaughtUp | Unread | Enabled


# Effects


@dataclass(frozen=True, slots=True)
class GaveUp:
    """The event was tried as often as the schedule allows, and is not sent any more."""

    key: RoomKey
    sequence: int


@dataclass(frozen=True, slots=True)
class Disabled:
    """Nothing is sent any more."""


Effect = GaveUp | Disabled


@dataclass(frozen=True, slots=True)
class Attempt:
    """A request to send the first event of the room that is wanted and whose sequence number is from
    `sequence` to `through`. It is answered with an input other than `Read`."""

    key: RoomKey
    sequence: int
    through: int


# State


@dataclass(frozen=True, slots=True)
class WaitingRoom:
    """A room with events that are not delivered, as it is stored. Times are on the wall clock."""

    key: RoomKey
    sequence: int
    attempts: int
    next_attempt_at_ms: int
    waiting_since_ms: int


@dataclass(frozen=True, slots=True)
class QueueState:
    """The state from which the next owner continues."""

    positions: dict[str, int] = field(default_factory=dict)
    waiting: tuple[WaitingRoom, ...] = ()
    disabled_at_ms: int = 0


@dataclass(frozen=True, slots=True)
class _Room:
    """`sequence` is that of the first event that may be undelivered, `last` that of the last one. Times are
    on the monotonic clock."""

    sequence: int
    last: int
    since_ms: int
    due_ms: int
    attempts: int = 0
    busy: bool = False


class EndpointQueue:
    def __init__(
        self,
        state: QueueState,
        now: Now,
        random_source: random.Random,
        schedule: Schedule | None = None,
        limits: QueueLimits | None = None,
    ) -> None:
        self._random = random_source
        self._schedule = schedule or Schedule()
        self._limits = limits or QueueLimits()
        self._positions = dict(state.positions)
        self._disabled_at_ms = state.disabled_at_ms
        self._paused_until_ms = now.monotonic_ms
        self._rooms = dict(self._restored(state, now))
        self._busy = 0

    def _restored(self, state: QueueState, now: Now) -> Iterator[tuple[RoomKey, _Room]]:
        for room in state.waiting:
            # The wall clock may have been stepped since the state was stored, so the wait is bounded.
            wait_ms = min(max(0, room.next_attempt_at_ms - now.epoch_ms), self._schedule.longest_ms)
            waited_ms = max(0, now.epoch_ms - room.waiting_since_ms)
            last = max(room.sequence, self._positions.get(room.key.stream, 0))
            yield (
                room.key,
                _Room(
                    room.sequence,
                    last,
                    since_ms=now.monotonic_ms - waited_ms,
                    due_ms=now.monotonic_ms + wait_ms,
                    attempts=room.attempts,
                ),
            )

    def state(self, now: Now) -> QueueState:
        """The state at this moment. Attempts that are being made count as not made."""
        waiting = (
            WaitingRoom(
                key,
                room.sequence,
                room.attempts,
                next_attempt_at_ms=now.epoch_ms + max(0, room.due_ms - now.monotonic_ms),
                waiting_since_ms=now.epoch_ms - (now.monotonic_ms - room.since_ms),
            )
            for key, room in self._rooms.items()
        )
        return QueueState(dict(self._positions), tuple(waiting), self._disabled_at_ms)

    @property
    def disabled(self) -> bool:
        return self._disabled_at_ms != 0

    @property
    def waiting_rooms(self) -> int:
        return len(self._rooms)

    @property
    def busy(self) -> int:
        """The number of attempts that are being made."""
        return self._busy

    @property
    def may_read(self) -> bool:
        """Whether the next message of a stream may be read now."""
        return not self.disabled and len(self._rooms) < self._limits.max_waiting_rooms

    def waited_ms(self, now_ms: int) -> int:
        """How long the room that waits longest has waited for a delivery."""
        return max((now_ms - room.since_ms for room in self._rooms.values()), default=0)

    def position(self, stream: str) -> int:
        """The sequence number up to which the stream has been read."""
        return self._positions.get(stream, 0)

    def begin(self, stream: str, sequence: int) -> None:
        """Begins to read a stream behind `sequence`. What was known of it is forgotten: it is new, or its
        sequence numbers have begun again. No attempt may be in progress."""
        if self._busy:
            raise RuntimeError("a stream begins before the first attempt")
        self._positions[stream] = sequence
        self._rooms = {key: room for key, room in self._rooms.items() if key.stream != stream}

    def due(self, now_ms: int) -> list[Attempt]:
        """The attempts to make now. Each of them is made once."""
        if self.disabled or now_ms < self._paused_until_ms:
            return []
        free = self._limits.max_attempts_at_once - self._busy
        ready = [item for item in self._rooms.items() if not item[1].busy and item[1].due_ms <= now_ms]
        ready.sort(key=lambda item: item[1].due_ms)
        attempts = []
        for key, room in ready[: max(0, free)]:
            self._rooms[key] = replace(room, busy=True)
            self._busy += 1
            attempts.append(Attempt(key, room.sequence, room.last))
        return attempts

    def next_deadline(self) -> int | None:
        """When `due` is to be called next, on the monotonic clock; None: after the next input."""
        if self.disabled or self._busy >= self._limits.max_attempts_at_once:
            return None
        first = min((room.due_ms for room in self._rooms.values() if not room.busy), default=None)
        return None if first is None else max(first, self._paused_until_ms)

    def handle(self, event: Input, now: Now) -> list[Effect]:
        match event:
            case Read():
                self._read(event, now.monotonic_ms)
            case Enabled():
                self._disabled_at_ms = 0
            case _:
                return self._attempted(event, now)
        return []

    def _read(self, event: Read, now_ms: int) -> None:
        self._positions[event.stream] = max(event.sequence, self.position(event.stream))
        if event.room is None:
            return
        key = RoomKey(event.stream, event.room)
        room = self._rooms.get(key)
        if room is None:
            self._rooms[key] = _Room(event.sequence, event.sequence, since_ms=now_ms, due_ms=now_ms)
        else:
            self._rooms[key] = replace(room, last=max(room.last, event.sequence))

    def _attempted(
        self, event: Delivered | Failed | Undeliverable | Gone | CaughtUp | Unread, now: Now
    ) -> list[Effect]:
        now_ms = now.monotonic_ms
        room = self._rooms[event.key]
        if not room.busy:
            raise RuntimeError("an attempt is answered once")
        self._busy -= 1
        match event:
            case Delivered():
                self._advance(event.key, room, event.sequence, now_ms)
            case Undeliverable():
                self._advance(event.key, room, event.sequence, now_ms)
            case CaughtUp():
                self._advance(event.key, room, event.through, now_ms)
            case Failed():
                return self._failed(event, room, now_ms)
            case Unread():
                self._rooms[event.key] = replace(room, busy=False, due_ms=now_ms + UNREAD_DELAY_MS)
            case Gone():
                self._rooms[event.key] = replace(room, busy=False, due_ms=now_ms)
                if not self.disabled:
                    self._disabled_at_ms = now.epoch_ms
                    return [Disabled()]
        return []

    def _advance(self, key: RoomKey, room: _Room, done: int, now_ms: int) -> None:
        """Goes on behind `done`, or forgets the room if that was its last event."""
        if done >= room.last:
            del self._rooms[key]
            return
        self._rooms[key] = _Room(done + 1, room.last, since_ms=now_ms, due_ms=now_ms)

    def _failed(self, event: Failed, room: _Room, now_ms: int) -> list[Effect]:
        # Events before this one have left the stream, or an older owner has delivered them.
        attempts = room.attempts + 1 if event.sequence == room.sequence else 1
        retry_after_ms = min(event.retry_after_ms, MAX_PAUSE_MS)
        if event.pauses:
            self._paused_until_ms = max(self._paused_until_ms, now_ms + retry_after_ms)
        delay_ms = self._schedule.delay_ms(attempts, self._random)
        if delay_ms is None:
            since_ms = room.since_ms
            self._advance(event.key, room, event.sequence, now_ms)
            if (left := self._rooms.get(event.key)) is not None:
                self._rooms[event.key] = replace(left, since_ms=since_ms)
            return [GaveUp(event.key, event.sequence)]
        self._rooms[event.key] = replace(
            room,
            sequence=event.sequence,
            attempts=attempts,
            due_ms=now_ms + max(delay_ms, retry_after_ms),
            busy=False,
        )
        return []
