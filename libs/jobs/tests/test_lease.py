"""The owner's side of a lease, event by event."""

from dataclasses import replace

from nexus_jobs import Job, JobState, LeaseState, Timing
from nexus_jobs.core import transitions
from nexus_jobs.core.lease import (
    Action,
    Failed,
    LeaseMachine,
    Read,
    Refused,
    Tick,
    Watched,
    Wrote,
)

TIMING = Timing()
KEEP_ENDED_MS = 60_000
QUEUED = Job("JB_1", "app", "record", "small", queue_timeout_ms=1, created_at_ms=0)
MINE = transitions.claim(QUEUED, "me", 0)
assert MINE is not None
THEIRS = replace(MINE, owner="they", epoch=2)


def machine(started_ms: int = 0) -> LeaseMachine:
    assert MINE is not None
    return LeaseMachine(MINE, 10, started_ms, TIMING, KEEP_ENDED_MS)


def renewed(lease: LeaseMachine) -> Job:
    return transitions.renew(lease.job, 0)


def test_it_is_held_from_the_sending_of_the_write_not_from_its_answer() -> None:
    lease = machine(started_ms=1_000)
    assert lease.state(1_000 + TIMING.hold_ms - 1) is LeaseState.HELD
    assert lease.state(1_000 + TIMING.hold_ms) is LeaseState.UNCONFIRMED
    lease.handle(Wrote(renewed(lease), 11, started_ms=3_000), now_ms=3_900)
    assert lease.state(3_000 + TIMING.hold_ms - 1) is LeaseState.HELD
    assert lease.state(3_000 + TIMING.hold_ms) is LeaseState.UNCONFIRMED


def test_reading_or_watching_the_record_does_not_confirm_the_lease() -> None:
    lease = machine()
    lease.handle(Failed(), 2_000)
    lease.handle(Read(lease.job, 10), 3_900)
    lease.handle(Watched(lease.job, 11), 3_950)
    assert lease.state(TIMING.hold_ms) is LeaseState.UNCONFIRMED


def test_it_is_renewed_at_every_heartbeat() -> None:
    lease = machine()
    assert lease.next_deadline() == TIMING.heartbeat_ms
    assert lease.handle(Tick(), TIMING.heartbeat_ms - 1) == []
    assert lease.handle(Tick(), TIMING.heartbeat_ms) == [Action.RENEW]
    assert lease.handle(Tick(), TIMING.heartbeat_ms + 1) == []  # its answer is awaited
    lease.handle(Wrote(renewed(lease), 11, TIMING.heartbeat_ms), TIMING.heartbeat_ms + 5)
    assert lease.next_deadline() == 2 * TIMING.heartbeat_ms


def test_a_failed_renewal_is_tried_again_after_a_read() -> None:
    lease = machine()
    assert lease.handle(Tick(), 2_000) == [Action.RENEW]
    lease.handle(Failed(), 2_100)
    assert lease.must_read
    assert lease.handle(Tick(), 2_100 + TIMING.retry_ms - 1) == []
    assert lease.handle(Tick(), 2_100 + TIMING.retry_ms) == [Action.READ]
    lease.handle(Read(renewed(lease), 11), 2_610)  # the write had been carried out
    assert (lease.revision, lease.job.renewals) == (11, 1)
    assert lease.handle(Tick(), 2_610) == [Action.RENEW]


def test_a_refused_write_leads_to_a_read_at_once() -> None:
    lease = machine()
    lease.handle(Refused(), 2_000)
    assert lease.handle(Tick(), 2_000) == [Action.READ]


def test_changes_of_the_state_are_reported_once() -> None:
    lease = machine()
    lease.handle(Tick(), 2_000)
    assert Action.NOTIFY_STATE in lease.handle(Tick(), TIMING.hold_ms)
    assert Action.NOTIFY_STATE not in lease.handle(Tick(), TIMING.hold_ms + 1)
    assert lease.handle(Wrote(renewed(lease), 11, 5_000), 5_001) == [Action.NOTIFY_STATE]
    assert lease.state(5_001) is LeaseState.HELD


def test_another_owner_ends_the_lease_for_good() -> None:
    for event in (Read(THEIRS, 12), Watched(THEIRS, 12), Read(QUEUED, 12), Watched(QUEUED, 12)):
        lease = machine()
        assert lease.handle(event, 100) == [Action.NOTIFY_STATE]
        assert lease.state(100) is LeaseState.LOST
        assert lease.successor == event.job
        for later in (Wrote(lease.job, 13, 200), Read(lease.job, 14), Tick()):
            assert lease.handle(later, 9_000) == []
            assert lease.state(9_000) is LeaseState.LOST


def test_a_later_epoch_of_the_same_process_ends_the_lease() -> None:
    lease = machine()
    lease.handle(Watched(replace(lease.job, epoch=2), 12), 100)
    assert lease.state(100) is LeaseState.LOST


def test_an_old_step_of_the_watch_is_ignored() -> None:
    lease = machine()
    assert lease.handle(Watched(QUEUED, 9), 100) == []
    assert lease.handle(Watched(None, 10), 100) == []
    assert lease.state(100) is LeaseState.HELD


def test_a_command_is_reported_and_the_revision_adopted() -> None:
    lease = machine()
    stopped = transitions.request_stop(lease.job, 0)
    assert lease.handle(Watched(stopped, 11), 100) == [Action.NOTIFY_COMMAND]
    assert lease.job.stop_requested
    assert lease.revision == 11
    wanted = transitions.change_wanted(stopped, b"pause")
    assert lease.handle(Read(wanted, 12), 200) == [Action.NOTIFY_COMMAND]
    assert lease.handle(Read(wanted, 12), 300) == []


def test_a_missing_record_is_created_again_while_that_is_safe() -> None:
    lease = machine()
    lease.handle(Watched(None, 11), 2_500)
    assert lease.handle(Tick(), 2_500) == [Action.READ]
    lease.handle(Read(None, 0), 2_510)
    assert lease.handle(Tick(), 2_510) == [Action.RECREATE]
    lease.handle(Wrote(renewed(lease), 1, 2_510), 2_520)
    assert (lease.revision, lease.state(2_520)) == (1, LeaseState.HELD)


def test_an_owner_that_slept_too_long_does_not_revive_an_ended_job() -> None:
    lease = machine()
    lease.handle(Read(None, 0), KEEP_ENDED_MS)
    assert lease.state(KEEP_ENDED_MS) is LeaseState.LOST


def test_an_owner_becomes_steady() -> None:
    lease = machine()
    assert not lease.steady(TIMING.steady_ms - 1)
    assert lease.steady(TIMING.steady_ms)
    dying = replace(lease.job, deaths=2)
    assert transitions.renew(dying, 0).deaths == 2
    assert transitions.renew(dying, 0, steady=True).deaths == 0


def test_the_changes_of_a_record() -> None:
    assert MINE is not None
    assert transitions.claim(MINE, "they", 0) is None
    assert (MINE.state, MINE.epoch, MINE.started_at_ms) == (JobState.RUNNING, 1, 0)
    returned = transitions.return_to_queue(replace(MINE, deaths=2), 7)
    assert (returned.owner, returned.queueings, returned.deaths) == ("", 2, 0)
    lost = transitions.lose_owner(MINE, 2, 7)
    assert (lost.state, lost.deaths, lost.epoch) == (JobState.QUEUED, 1, 1)
    again = transitions.claim(lost, "they", 9)
    assert again is not None
    assert again.epoch == 2
    assert transitions.lose_owner(again, 2, 9).ended
    assert transitions.end_unclaimed(lost, 1, 9) is None
    assert transitions.end_unclaimed(MINE, 1, 9) is None
    assert transitions.report_waiting(lost, 1) is None
    reported = transitions.report_waiting(lost, 2)
    assert reported is not None
    assert transitions.report_waiting(reported, 2) is None
    ended = transitions.end_unclaimed(lost, 2, 9)
    assert ended is not None
    assert transitions.request_stop(ended, 9) is ended
