"""The order of deliveries to one endpoint, without I/O."""

import random

from nexus_runtime import Now
from nexus_webhooks.core import endpoint_queue as core
from nexus_webhooks.core.endpoint_queue import Attempt, EndpointQueue, QueueLimits, QueueState, RoomKey
from nexus_webhooks.core.schedule import DELAYS_MS, Schedule

STREAM = "RECORDINGS"
A, B = RoomKey(STREAM, "a"), RoomKey(STREAM, "b")
STEADY = Schedule(delays_ms=(1_000, 10_000), jitter=0)
# Difference between the wall clock and the monotonic clock.
EPOCH = 1_770_000_000_000


def at(now_ms: int) -> Now:
    return Now(now_ms, EPOCH + now_ms)


def make(state: QueueState | None = None, now_ms: int = 0, **limits: int) -> EndpointQueue:
    return EndpointQueue(
        state or QueueState({STREAM: 0}), at(now_ms), random.Random(1), STEADY, QueueLimits(**limits)
    )


def read(queue: EndpointQueue, *rooms: str | None, now_ms: int = 0) -> None:
    for room in rooms:
        queue.handle(core.Read(STREAM, queue.position(STREAM) + 1, room), at(now_ms))


def test_one_attempt_of_a_room_at_a_time() -> None:
    queue = make()
    read(queue, "a", "a", "b")
    assert queue.due(0) == [Attempt(A, 1, 2), Attempt(B, 3, 3)]
    assert queue.due(0) == []
    assert queue.next_deadline() is None
    queue.handle(core.Delivered(A, 1), at(5))
    assert queue.due(5) == [Attempt(A, 2, 2)]
    queue.handle(core.Delivered(A, 2), at(6))
    queue.handle(core.Delivered(B, 3), at(6))
    assert queue.waiting_rooms == 0
    assert queue.state(at(7)) == QueueState({STREAM: 3}, ())


def test_a_failed_event_is_tried_again_before_the_next_one() -> None:
    queue = make()
    read(queue, "a", "a")
    for now_ms, deadline_ms in ((0, 1_000), (1_000, 11_000)):
        assert queue.due(now_ms) == [Attempt(A, 1, 2)]
        assert queue.handle(core.Failed(A, 1), at(now_ms)) == []
        assert queue.next_deadline() == deadline_ms
        assert queue.due(deadline_ms - 1) == []
    assert queue.due(11_000) == [Attempt(A, 1, 2)]
    assert queue.handle(core.Failed(A, 1), at(11_000)) == [core.GaveUp(A, 1)]
    assert queue.due(11_000) == [Attempt(A, 2, 2)]
    queue.handle(core.Failed(A, 2), at(11_000))
    assert queue.next_deadline() == 12_000  # each event has the whole schedule
    assert queue.waited_ms(12_000) == 12_000  # nothing was delivered


def test_the_next_owner_continues_a_schedule() -> None:
    queue = make()
    read(queue, "a", None, "a")
    queue.due(0)
    queue.handle(core.Failed(A, 1), at(0))
    state = queue.state(at(400))
    later = make(state, now_ms=50_000_000)
    assert later.next_deadline() == 50_000_000  # it became due while there was no owner
    soon = EndpointQueue(state, Now(7, EPOCH + 500), random.Random(1), STEADY)
    assert soon.next_deadline() == 7 + 500
    assert soon.due(507) == [Attempt(A, 1, 3)]
    soon.handle(core.Failed(A, 1), at(507))
    assert soon.next_deadline() == 507 + 10_000


def test_a_wall_clock_that_was_stepped_delays_no_longer_than_the_schedule() -> None:
    queue = make()
    read(queue, "a")
    queue.due(0)
    queue.handle(core.Failed(A, 1), at(0))
    stepped = EndpointQueue(queue.state(at(0)), Now(0, 5), random.Random(1), STEADY)
    assert stepped.next_deadline() == 10_000


def test_an_attempt_in_progress_is_made_again_by_the_next_owner() -> None:
    queue = make()
    read(queue, "a", "a")
    queue.due(0)
    queue.handle(core.Delivered(A, 1), at(1))
    assert queue.due(1) == [Attempt(A, 2, 2)]
    assert make(queue.state(at(2)), now_ms=2).due(2) == [Attempt(A, 2, 2)]


def test_an_event_that_has_left_the_stream_is_skipped() -> None:
    queue = make()
    read(queue, "a", "a", "a")
    queue.due(0)
    queue.handle(core.Failed(A, 1), at(0))
    assert queue.due(1_000) == [Attempt(A, 1, 3)]
    queue.handle(core.Failed(A, 2), at(1_000))  # the first event that the stream still has
    assert queue.next_deadline() == 2_000  # of which this is the first attempt
    assert queue.due(2_000) == [Attempt(A, 2, 3)]
    queue.handle(core.CaughtUp(A, 3), at(2_000))
    assert queue.waiting_rooms == 0


def test_events_that_were_read_meanwhile_are_not_forgotten() -> None:
    queue = make()
    read(queue, "a")
    queue.due(0)
    read(queue, "a")
    queue.handle(core.CaughtUp(A, 1), at(0))
    assert queue.due(0) == [Attempt(A, 2, 2)]


def test_attempts_and_waiting_rooms_are_bounded() -> None:
    queue = make(max_attempts_at_once=2, max_waiting_rooms=3)
    read(queue, "a", "b", "c")
    assert (queue.may_read, len(queue.due(0)), queue.next_deadline()) == (False, 2, None)
    queue.handle(core.Delivered(A, 1), at(0))
    assert queue.may_read
    assert queue.due(0) == [Attempt(RoomKey(STREAM, "c"), 3, 3)]


def test_the_room_that_waits_longest_comes_first() -> None:
    queue = make(max_attempts_at_once=1)
    read(queue, "a", now_ms=5)
    read(queue, "b", now_ms=3)
    assert [attempt.key for attempt in queue.due(10)] == [B]


def test_retry_after_pauses_the_endpoint_within_bounds() -> None:
    queue = make()
    read(queue, "a", "b")
    queue.due(0)
    queue.handle(core.Failed(A, 1, retry_after_ms=5_000, pauses=True), at(0))
    queue.handle(core.Delivered(B, 2), at(0))
    read(queue, "b")
    assert queue.due(4_999) == []
    assert queue.next_deadline() == 5_000
    assert len(queue.due(5_000)) == 2
    queue.handle(core.Failed(A, 1, retry_after_ms=10**15, pauses=True), at(5_000))
    queue.handle(core.Delivered(B, 3), at(5_000))
    assert queue.next_deadline() == 5_000 + core.MAX_PAUSE_MS


def test_a_stream_that_cannot_be_read_counts_as_no_attempt() -> None:
    queue = make()
    read(queue, "a")
    queue.due(0)
    queue.handle(core.Unread(A), at(0))
    assert queue.due(core.UNREAD_DELAY_MS) == [Attempt(A, 1, 1)]
    assert queue.state(at(0)).waiting[0].attempts == 0


def test_an_endpoint_that_is_gone_gets_nothing_until_it_is_enabled() -> None:
    queue = make()
    read(queue, "a", "b")
    queue.due(0)
    assert queue.handle(core.Gone(A), at(0)) == [core.Disabled()]
    assert queue.handle(core.Gone(B), at(0)) == []
    assert (queue.due(10**9), queue.next_deadline(), queue.may_read) == ([], None, False)
    restored = make(queue.state(at(0)))
    assert restored.disabled
    restored.handle(core.Enabled(), at(0))
    assert restored.due(0) == [Attempt(A, 1, 2), Attempt(B, 2, 2)]
    assert restored.may_read


def test_a_stream_that_began_again_is_read_from_its_start() -> None:
    queue = make()
    read(queue, "a")
    queue.begin(STREAM, 0)
    assert (queue.position(STREAM), queue.waiting_rooms) == (0, 0)


def test_the_schedule_lasts_days_and_jitters() -> None:
    schedule = Schedule()
    assert 72 * 3_600_000 < sum(DELAYS_MS) < 96 * 3_600_000
    assert schedule.delay_ms(len(DELAYS_MS) + 1, random.Random(1)) is None
    delays = {schedule.delay_ms(3, random.Random(seed)) for seed in range(50)}
    assert len(delays) > 40
    assert all(delay is not None and 48_000 <= delay <= 72_000 for delay in delays)
    assert schedule.longest_ms == round(24 * 3_600_000 * 1.2)
