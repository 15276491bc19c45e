"""Random sequences of publications, deaths, failures and lost answers: the receiver sees every event of a
room, first in the order in which they happened."""

import random

from hypothesis import settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from nexus_runtime import Now
from nexus_webhooks.core import endpoint_queue as core
from nexus_webhooks.core.endpoint_queue import Attempt, EndpointQueue, QueueLimits, QueueState
from nexus_webhooks.core.schedule import Schedule
from nexus_webhooks.endpoints import Endpoint
from nexus_webhooks.records import decode_state, encode_state

STREAM = "RECORDINGS"
ROOMS = ("a", "b", "c", "d")
LIMITS = QueueLimits(max_attempts_at_once=2, max_waiting_rooms=3)
# An event is never given up: there is always one more attempt.
ENDLESS = Schedule(delays_ms=(1_000,) * 10_000)
ENDPOINT = Endpoint("WE_1", "app", "https://x.example", ())


class Deliveries(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        # The stream: rooms of the messages, and whether the endpoint wants them. The first has number 1.
        self.messages: list[tuple[str, bool]] = []
        self.received: list[int] = []
        self.attempts: list[Attempt] = []
        self.now = Now(0, 1_770_000_000_000)
        self.saved = QueueState({STREAM: 0})
        self.queue = self.restored()

    def restored(self) -> EndpointQueue:
        # Through the bytes of the record, as a real owner reads it.
        state = decode_state(encode_state(ENDPOINT, 1, self.saved))
        return EndpointQueue(state, self.now, random.Random(1), ENDLESS, LIMITS)

    @initialize(backlog=strategies.lists(strategies.sampled_from(ROOMS), max_size=6))
    def begin(self, backlog: list[str]) -> None:
        self.messages += [(room, True) for room in backlog]

    @rule(room=strategies.sampled_from(ROOMS), wanted=strategies.booleans())
    def publish(self, room: str, wanted: bool) -> None:
        self.messages.append((room, wanted))

    @precondition(lambda self: self.queue.may_read)
    @rule(count=strategies.integers(1, 4))
    def read(self, count: int) -> None:
        for _ in range(count):
            position = self.queue.position(STREAM)
            if not self.queue.may_read or position == len(self.messages):
                return
            room, wanted = self.messages[position]
            self.queue.handle(core.Read(STREAM, position + 1, room if wanted else None), self.now)

    @rule(milliseconds=strategies.integers(0, 2_000), step=strategies.sampled_from((0, 0, -5_000, 5_000)))
    def wait(self, milliseconds: int, step: int) -> None:
        self.now = Now(self.now.monotonic_ms + milliseconds, self.now.epoch_ms + milliseconds + step)

    @rule()
    def start(self) -> None:
        self.attempts += self.queue.due(self.now.monotonic_ms)

    def found(self, attempt: Attempt) -> int | None:
        for sequence in range(attempt.sequence, attempt.through + 1):
            if self.messages[sequence - 1] == (attempt.key.room, True):
                return sequence
        return None

    @precondition(lambda self: self.attempts)
    @rule(
        outcome=strategies.sampled_from(("ok", "ok", "refused", "lost answer", "unread")),
        data=strategies.data(),
    )
    def finish(self, outcome: str, data: strategies.DataObject) -> None:
        attempt = self.attempts.pop(data.draw(strategies.integers(0, len(self.attempts) - 1)))
        sequence = self.found(attempt)
        if outcome == "unread":
            self.queue.handle(core.Unread(attempt.key), self.now)
        elif sequence is None:
            self.queue.handle(core.CaughtUp(attempt.key, attempt.through), self.now)
        else:
            if outcome != "refused":
                self.received.append(sequence)
            answer: core.Input = core.Failed(attempt.key, sequence)
            if outcome == "ok":
                answer = core.Delivered(attempt.key, sequence)
            assert self.queue.handle(answer, self.now) == []

    @rule()
    def save(self) -> None:
        self.saved = self.queue.state(self.now)

    @rule(arrived=strategies.booleans())
    def die(self, arrived: bool) -> None:
        """Attempts before the death may have arrived."""
        if arrived:
            self.received += [found for each in self.attempts if (found := self.found(each)) is not None]
        self.attempts.clear()
        self.now = Now(self.now.monotonic_ms % 977, self.now.epoch_ms + 100)
        self.queue = self.restored()

    def first_arrivals(self, room: str) -> list[int]:
        return list(dict.fromkeys(each for each in self.received if self.messages[each - 1][0] == room))

    def wanted(self, room: str) -> list[int]:
        return [number for number, message in enumerate(self.messages, 1) if message == (room, True)]

    @invariant()
    def no_event_arrives_before_an_earlier_one_of_its_room(self) -> None:
        for room in ROOMS:
            arrivals = self.first_arrivals(room)
            assert arrivals == self.wanted(room)[: len(arrivals)]

    @invariant()
    def everything_is_bounded(self) -> None:
        assert len(self.attempts) <= LIMITS.max_attempts_at_once
        assert len({attempt.key for attempt in self.attempts}) == len(self.attempts)
        assert self.queue.waiting_rooms <= LIMITS.max_waiting_rooms

    def teardown(self) -> None:
        """In the end everything is delivered, if the endpoint answers."""
        for _ in range(20 * len(self.messages) + 20):
            self.read(4)
            self.start()
            while self.attempts:
                attempt = self.attempts.pop()
                sequence = self.found(attempt)
                if sequence is None:
                    self.queue.handle(core.CaughtUp(attempt.key, attempt.through), self.now)
                else:
                    self.received.append(sequence)
                    self.queue.handle(core.Delivered(attempt.key, sequence), self.now)
            if (deadline := self.queue.next_deadline()) is not None:
                self.now = Now(max(deadline, self.now.monotonic_ms), self.now.epoch_ms + 1)
        for room in ROOMS:
            assert self.first_arrivals(room) == self.wanted(room)
        assert self.queue.position(STREAM) == len(self.messages)
        assert self.queue.state(self.now).waiting == ()


TestDeliveries = Deliveries.TestCase
TestDeliveries.settings = settings(max_examples=200, stateful_step_count=60, deadline=None)
