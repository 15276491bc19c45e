"""Contract of jobs: the same tests on the in-memory bus and on NATS."""

import asyncio

import pytest
from nexus_bus import subjects
from nexus_jobs import (
    Capacity,
    InvalidJob,
    Job,
    JobFailed,
    JobHasEnded,
    JobNotFound,
    JobsConfig,
    JobState,
    JobUnreadable,
    Lease,
    LeaseLost,
    LeaseState,
    Outcome,
    Returned,
    TooManyJobs,
)
from nexus_jobs.core import transitions
from nexus_jobs.testing import CONFIG, ONE, TIMING, Site, until_told
from nexus_testkit import wait_until


async def started(site: Site, job: Job, epoch: int = 1) -> Lease:
    """The lease of the replica that runs the job."""

    def find() -> Lease | None:
        leases = [lease for replica in site.replicas for lease in replica.worker.leases]
        return next((lease for lease in leases if lease.job.id == job.id and lease.epoch == epoch), None)

    return await wait_until(find) or pytest.fail("not started")


async def test_a_job_runs_once_and_ends(site: Site) -> None:
    seen: list[tuple[bytes, int]] = []

    async def handler(lease: Lease) -> Outcome:
        seen.append((lease.job.payload, lease.epoch))
        return Outcome("COMPLETED", "all of it")

    replica = await site.replica(handler)
    other = await site.replica(handler)
    job = await replica.queue.create(site.request(payload=b"what to do"))
    assert (job.state, job.epoch, job.owner) == (JobState.QUEUED, 0, "")
    ended = await other.queue.wait_until_ended(site.kind, job.id)
    assert ended.outcome == Outcome("COMPLETED", "all of it")
    assert (ended.epoch, ended.owner, ended.payload) == (1, "", b"what to do")
    assert 0 < ended.created_at_ms <= ended.started_at_ms <= ended.ended_at_ms
    assert seen == [(b"what to do", 1)]
    await wait_until(lambda: not replica.worker.leases and not other.worker.leases)
    assert replica.worker.free == other.worker.free == Capacity(cpu_millicores=1_000)


async def test_each_job_has_one_owner(site: Site) -> None:
    replicas = [await site.replica() for _ in range(3)]
    jobs = [await replicas[0].queue.create(site.request()) for _ in range(12)]
    for job in jobs:
        await started(site, job)
    leases = [lease for replica in replicas for lease in replica.worker.leases]
    assert sorted(lease.job.id for lease in leases) == sorted(job.id for job in jobs)
    assert all(lease.epoch == 1 and lease.check() is LeaseState.HELD for lease in leases)
    assert [job.id for job in await replicas[1].queue.list(site.kind)] == [
        job.id for job in sorted(jobs, key=lambda job: (job.created_at_ms, job.id))
    ]
    assert await replicas[1].queue.list(site.kind, app="other") == []


async def test_creating_twice_with_one_request_id_returns_the_first(site: Site) -> None:
    first, second = await site.replica(take=False), await site.replica(take=False)
    request = site.request(request_id="r1", payload=b"1")
    both = await asyncio.gather(first.queue.create(request), second.queue.create(request))
    again = await second.queue.create(site.request(request_id="r1", payload=b"2", job_class="large"))
    assert {job.id for job in (*both, again)} == {both[0].id}
    assert again.payload == b"1"
    others = [
        await first.queue.create(site.request(request_id="r2")),
        await first.queue.create(site.request(request_id="r1", app="other")),
        await first.queue.create(site.request()),
        await first.queue.create(site.request()),
    ]
    assert len({job.id for job in (again, *others)}) == 5


async def test_the_request_id_of_an_ended_job_returns_it(site: Site) -> None:
    replica = await site.replica(take=False)
    job = await replica.queue.create(site.request(request_id="r1"))
    ended = await replica.queue.request_stop(site.kind, job.id)
    assert await replica.queue.create(site.request(request_id="r1")) == ended


async def test_a_job_is_stopped_by_request(site: Site) -> None:
    replica, other = await site.replica(), await site.replica(take=False)
    job = await other.queue.create(site.request())
    await started(site, job)
    assert (await other.queue.request_stop(site.kind, job.id)).stop_requested
    ended = await other.queue.wait_until_ended(site.kind, job.id)
    assert ended.outcome == Outcome("STOPPED")
    assert await replica.queue.request_stop(site.kind, job.id) == ended
    with pytest.raises(JobHasEnded):
        await other.queue.change_wanted(site.kind, job.id, lambda _: b"paused")


async def test_stopping_twice_changes_nothing(site: Site) -> None:
    async def deaf(lease: Lease) -> Outcome:
        await asyncio.Event().wait()
        return Outcome("COMPLETED")

    replica = await site.replica(deaf)
    job = await replica.queue.create(site.request())
    await started(site, job)
    first = await replica.queue.request_stop(site.kind, job.id)
    second = await replica.queue.request_stop(site.kind, job.id)
    assert first.wanted_revision == second.wanted_revision == 1


async def test_a_job_that_no_owner_took_stops_at_once(site: Site) -> None:
    replica = await site.replica(take=False)
    job = await replica.queue.create(site.request())
    ended = await replica.queue.request_stop(site.kind, job.id)
    assert (ended.state, ended.outcome) == (JobState.ENDED, Outcome("STOPPED"))
    taker = await site.replica()
    await wait_until(lambda: taker.value("jobs_tickets_stale_total", kind=site.kind) == 1)
    assert taker.worker.leases == []


async def test_the_owner_sees_what_is_requested(site: Site) -> None:
    replica, other = await site.replica(), await site.replica(take=False)
    job = await other.queue.create(site.request(wanted=b"run"))
    lease = await started(site, job)
    assert lease.wanted == b"run"
    changed = await other.queue.change_wanted(site.kind, job.id, lambda wanted: wanted + b",pause")
    assert (changed.wanted, changed.wanted_revision) == (b"run,pause", 1)
    await wait_until(lambda: lease.wanted == b"run,pause")
    same = await other.queue.change_wanted(site.kind, job.id, lambda wanted: wanted)
    assert same.wanted_revision == 1
    # Commands and renewals do not disturb each other.
    many = [replica.queue.change_wanted(site.kind, job.id, lambda wanted: wanted + b"!") for _ in range(5)]
    await asyncio.gather(*many, lease.checkpoint(b"here"))
    await wait_until(lambda: lease.wanted == b"run,pause!!!!!")
    assert lease.check() is LeaseState.HELD
    assert (await other.queue.get(site.kind, job.id)).checkpoint == b"here"


async def test_a_watch_of_a_job_sees_its_life(site: Site) -> None:
    replica = await site.replica(take=False)
    await wait_until(lambda: replica.records.synced)
    job = await replica.queue.create(site.request())
    states: list[JobState] = []

    async def watch() -> None:
        async for seen in replica.queue.watch(site.kind, job.id):
            if seen.state not in states:
                states.append(seen.state)

    watching = asyncio.create_task(watch())
    await wait_until(lambda: states == [JobState.QUEUED])
    taker = await site.replica()
    await wait_until(lambda: states == [JobState.QUEUED, JobState.RUNNING])
    await taker.queue.request_stop(site.kind, job.id)
    await asyncio.wait_for(watching, 10)
    assert states == [JobState.QUEUED, JobState.RUNNING, JobState.ENDED]


async def test_a_dead_owner_is_replaced_and_the_epoch_raised(site: Site) -> None:
    first = await site.replica()
    job = await first.queue.create(site.request())
    lease = await started(site, job)
    await lease.checkpoint(b"half")
    second, third = await site.replica(), await site.replica()
    first.die()
    later = await started(site, job, epoch=2)
    assert later.job.checkpoint == b"half"
    assert (later.job.deaths, later.job.queueings) == (1, 2)
    assert len(second.worker.leases) + len(third.worker.leases) == 1
    taken = [r.value("jobs_taken_over_total", kind=site.kind, **{"class": "small"}) for r in (second, third)]
    assert sum(taken) == 1
    assert sum(r.value("jobs_owners_expired_total", kind=site.kind) for r in (second, third)) == 1


async def test_an_owner_that_lost_its_lease_stops_and_writes_nothing(site: Site) -> None:
    first = await site.replica()
    job = await first.queue.create(site.request())
    lease = await started(site, job)
    # As an observer does that saw no renewal.
    stored = await first.records.read(site.kind, job.id)
    assert stored is not None
    await first.records.change(site.kind, job.id, lambda job: transitions.lose_owner(job, 9, 0))
    await first.records.change(site.kind, job.id, lambda job: transitions.claim(job, "thief", 0))
    with pytest.raises(LeaseLost):
        await lease.checkpoint(b"late")
    await wait_until(lambda: lease.check() is LeaseState.LOST)
    await wait_until(lambda: not first.worker.leases)
    with pytest.raises(LeaseLost):
        await lease.confirmed()
    with pytest.raises(LeaseLost):
        await lease.release(lambda job: transitions.finish(job, Outcome("COMPLETED"), 0))
    now = await first.queue.get(site.kind, job.id)
    assert (now.owner, now.epoch, now.checkpoint, now.state) == ("thief", 2, b"", JobState.RUNNING)
    assert first.value("jobs_leases_lost_total", kind=site.kind, **{"class": "small"}) == 1


async def test_a_draining_replica_returns_its_jobs_at_once(site: Site) -> None:
    first = await site.replica()
    job = await first.queue.create(site.request())
    await (await started(site, job)).checkpoint(b"half")
    second = await site.replica()
    await first.worker.drain(10_000)
    assert first.worker.leases == []
    later = await started(site, job, epoch=2)
    assert later in second.worker.leases
    assert (later.job.checkpoint, later.job.deaths, later.job.queueings) == (b"half", 0, 2)


async def test_drain_returns_the_jobs_of_deaf_handlers_too(site: Site) -> None:
    async def deaf(lease: Lease) -> Outcome:
        await asyncio.Event().wait()
        return Outcome("COMPLETED")

    first = await site.replica(deaf)
    job = await first.queue.create(site.request())
    await started(site, job)
    await site.replica()
    await first.worker.drain(1)
    assert (await started(site, job, epoch=2)).job.deaths == 0


async def test_a_replica_that_returned_a_job_leaves_it_to_the_others_first(site: Site) -> None:
    first = await site.replica()
    job = await first.queue.create(site.request())
    (await started(site, job)).request_return()
    # It is the only replica, so it takes the job again later.
    assert (await started(site, job, epoch=2)).job.queueings == 2
    assert first.value("jobs_tickets_declined_total", kind=site.kind, **{"class": "small"}) >= 1


async def test_a_full_replica_takes_no_job(site: Site) -> None:
    small = await site.replica(capacity=Capacity(cpu_millicores=150))
    first = await small.queue.create(site.request())
    await started(site, first)
    second = await small.queue.create(site.request())
    await wait_until(lambda: [job.id for job in small.waiting] == [second.id])
    waiting = await small.queue.get(site.kind, second.id)
    assert (waiting.state, waiting.waiting_reported) == (JobState.QUEUED, True)
    assert len(small.worker.leases) == 1
    large = await site.replica()
    lease = await started(site, second)
    assert lease in large.worker.leases
    assert [job.id for replica in site.replicas for job in replica.waiting] == [second.id]


async def test_a_job_that_is_larger_than_usual_goes_to_a_replica_with_capacity(site: Site) -> None:
    small = await site.replica(capacity=Capacity(cpu_millicores=200))
    job = await small.queue.create(site.request(cost=Capacity(cpu_millicores=800)))
    await wait_until(
        lambda: small.value("jobs_tickets_declined_total", kind=site.kind, **{"class": "small"}) >= 1
    )
    other = await small.queue.create(site.request())
    await started(site, other)  # the large job does not hold up the queue
    large = await site.replica()
    assert await started(site, job) in large.worker.leases


async def test_capacity_that_becomes_free_is_used(site: Site) -> None:
    replica = await site.replica(capacity=ONE)
    first, second = [await replica.queue.create(site.request()) for _ in range(2)]
    await wait_until(lambda: len(replica.worker.leases) == 1)
    running = replica.worker.leases[0].job
    waiting = second if running.id == first.id else first
    await replica.queue.request_stop(site.kind, running.id)
    await started(site, waiting)


async def test_measured_usage_corrects_the_cost(site: Site) -> None:
    replica = await site.replica(capacity=Capacity(cpu_millicores=250))
    first = await replica.queue.create(site.request())
    lease = await started(site, first)
    lease.report_usage(Capacity(cpu_millicores=240))
    assert replica.worker.free == Capacity(cpu_millicores=10)
    second = await replica.queue.create(site.request())
    await wait_until(lambda: [job.id for job in replica.waiting] == [second.id])
    lease.report_usage(Capacity(cpu_millicores=20))
    await started(site, second)


async def test_without_capacity_a_job_ends_after_its_queue_timeout(site: Site) -> None:
    replica = await site.replica(capacity=Capacity())
    job = await replica.queue.create(site.request(queue_timeout_ms=500))
    ended = await replica.queue.wait_until_ended(site.kind, job.id)
    assert ended.outcome is not None
    assert ended.outcome.code == "NO_CAPACITY"
    assert ended.epoch == 0
    assert replica.value("jobs_ended_total", kind=site.kind, outcome="NO_CAPACITY") == 1


async def test_a_job_whose_handler_fails_is_tried_again_and_then_ends(site: Site) -> None:
    epochs: list[int] = []

    async def broken(lease: Lease) -> Outcome:
        epochs.append(lease.epoch)
        raise RuntimeError("a defect")

    for _ in range(2):
        replica = await site.replica(broken)
    job = await replica.queue.create(site.request())
    ended = await replica.queue.wait_until_ended(site.kind, job.id)
    assert ended.outcome is not None
    assert (ended.outcome.code, ended.deaths) == ("OWNERS_DIED", CONFIG.max_deaths)
    assert epochs == [1, 2, 3]


async def test_a_handler_can_end_its_job_as_failed(site: Site) -> None:
    async def refused(lease: Lease) -> Outcome:
        raise JobFailed("STORAGE_REFUSED", "no such bucket")

    replica = await site.replica(refused)
    job = await replica.queue.create(site.request())
    ended = await replica.queue.wait_until_ended(site.kind, job.id)
    assert ended.outcome == Outcome("STORAGE_REFUSED", "no such bucket")
    assert replica.value("jobs_ended_total", kind=site.kind, outcome="FAILED") == 1


async def test_a_job_without_ticket_is_offered_again(site: Site) -> None:
    creator = await site.replica(take=False)
    await wait_until(lambda: creator.records.synced)
    job = creator.queue._new_job(site.request())
    await creator.records.create(job)  # the creator died before it published the ticket
    await site.replica()
    await started(site, job)


async def test_stale_and_malformed_tickets_do_no_harm(site: Site) -> None:
    replica = await site.replica()
    job = await replica.queue.create(site.request())
    lease = await started(site, job)
    for number in range(3):
        await replica.records.tickets.offer(site.kind, "small", job.id, 100 + number)
    await replica.records.tickets.offer(site.kind, "small", "JB_never", 1)
    for payload in (b"\xff\xff", b"", b"\x0a\x03a.b"):
        await replica.bus.publish_durable(subjects.job_tickets(site.kind, "small"), payload)
    next_job = await replica.queue.create(site.request())
    await started(site, next_job)
    assert lease.check() is LeaseState.HELD
    assert replica.value("jobs_tickets_stale_total", kind=site.kind) == 4
    assert replica.value("jobs_malformed_total", what="ticket") == 3


async def test_malformed_records_are_counted_and_ignored(site: Site) -> None:
    replica = await site.replica()
    kv = await replica.bus.kv(subjects.JOBS)
    await kv.put(subjects.job_key(site.kind, "JB_bad"), b"\xff\xff")
    await wait_until(lambda: replica.value("jobs_malformed_total", what="record") >= 1)
    assert await replica.queue.list(site.kind) == []
    job = await replica.queue.create(site.request())
    await started(site, job)


async def test_a_job_that_cannot_be_read_does_not_hold_up_the_others(site: Site) -> None:
    creator = await site.replica(take=False)
    kv = await creator.bus.kv(subjects.JOBS)
    await kv.put(subjects.job_key(site.kind, "JB_bad"), b"\x40\x63")  # state 99, of a newer release
    for number in range(5):
        await creator.records.tickets.offer(site.kind, "small", "JB_bad", number)
    job = await creator.queue.create(site.request())
    await site.replica()
    await started(site, job)
    with pytest.raises(JobUnreadable):
        await creator.queue.get(site.kind, "JB_bad")


async def test_a_lost_record_is_created_again_by_its_owner(site: Site) -> None:
    replica = await site.replica()
    job = await replica.queue.create(site.request())
    lease = await started(site, job)
    kv = await replica.bus.kv(subjects.JOBS)
    await kv.delete(subjects.job_key(site.kind, job.id))

    async def is_back() -> bool:
        return await kv.get(subjects.job_key(site.kind, job.id)) is not None

    await wait_until(is_back)
    assert (await replica.queue.get(site.kind, job.id)).epoch == 1
    await lease.checkpoint(b"works")
    assert lease.check() is LeaseState.HELD


async def test_the_record_of_an_ended_job_expires(site: Site) -> None:
    config = JobsConfig(timing=TIMING, keep_ended_ms=1_000)
    replica = await site.replica(take=False, config=config)
    await wait_until(lambda: replica.records.synced)
    job = await replica.queue.create(site.request())
    await replica.queue.request_stop(site.kind, job.id)
    assert replica.records.counts.total == 1

    async def gone() -> bool:
        try:
            await replica.queue.get(site.kind, job.id)
        except JobNotFound:
            return True
        return False

    await wait_until(gone)
    await wait_until(lambda: replica.records.counts.total == 0)


async def test_the_number_of_open_jobs_is_bounded(site: Site) -> None:
    replica = await site.replica(take=False, config=JobsConfig(timing=TIMING, max_open=2))
    first, _ = [await replica.queue.create(site.request()) for _ in range(2)]
    with pytest.raises(TooManyJobs):
        await replica.queue.create(site.request())
    assert replica.value("jobs_refused_total", kind=site.kind) == 1
    await replica.queue.request_stop(site.kind, first.id)
    await replica.queue.create(site.request())


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("kind", {"kind": "unknown"}),
        ("job_class", {"job_class": "a.b"}),
        ("job_class", {"job_class": ""}),
        ("app", {"app": "a" * 2_000}),
        ("request_id", {"request_id": "a" * 2_000}),
        ("payload", {"payload": bytes(CONFIG.max_payload_bytes + 1)}),
        ("wanted", {"wanted": bytes(CONFIG.max_wanted_bytes + 1)}),
        ("cost", {"cost": Capacity(cpu_millicores=-1)}),
        ("cost", {"cost": Capacity(cpu_millicores=1 << 32)}),
        ("cost", {"cost": Capacity(memory_bytes=-1)}),
        ("cost", {"cost": Capacity(spool_bytes=1 << 64)}),
        ("queue_timeout_ms", {"queue_timeout_ms": 0}),
        ("queue_timeout_ms", {"queue_timeout_ms": 1 << 40}),
    ],
)
async def test_a_bad_request_is_refused_by_field(site: Site, field: str, changes: dict[str, object]) -> None:
    replica = await site.replica(take=False)
    with pytest.raises(InvalidJob) as caught:
        await replica.queue.create(site.request(**changes))
    assert caught.value.field == field
    assert await replica.queue.list(site.kind) == []


async def test_the_largest_job_fits_into_a_record(site: Site) -> None:
    replica = await site.replica()
    job = await replica.queue.create(
        site.request(payload=bytes(CONFIG.max_payload_bytes), wanted=bytes(CONFIG.max_wanted_bytes))
    )
    lease = await started(site, job)
    await lease.checkpoint(bytes(CONFIG.max_checkpoint_bytes))
    with pytest.raises(ValueError):
        await lease.checkpoint(bytes(CONFIG.max_checkpoint_bytes + 1))
    with pytest.raises(InvalidJob):
        await replica.queue.change_wanted(site.kind, job.id, lambda _: bytes(CONFIG.max_wanted_bytes + 1))
    assert lease.check() is LeaseState.HELD


@pytest.mark.parametrize("job_id", ["JB_none", "", "a.b", ">", "ä"])
async def test_an_unknown_job_is_not_found(site: Site, job_id: str) -> None:
    replica = await site.replica(take=False)
    with pytest.raises(JobNotFound):
        await replica.queue.get(site.kind, job_id)
    with pytest.raises(JobNotFound):
        await replica.queue.request_stop(site.kind, job_id)
    with pytest.raises(JobNotFound):
        await replica.queue.change_wanted(site.kind, job_id, lambda wanted: wanted)


async def test_a_job_that_ran_before_is_not_stopped_without_an_owner(site: Site) -> None:
    first = await site.replica()
    job = await first.queue.create(site.request())
    await started(site, job)
    await first.worker.drain(10_000)
    stopped = await first.queue.request_stop(site.kind, job.id)
    assert (stopped.state, stopped.stop_requested) == (JobState.QUEUED, True)
    await site.replica()  # ends what the first owner left
    ended = await first.queue.wait_until_ended(site.kind, job.id)
    assert (ended.outcome, ended.epoch) == (Outcome("STOPPED"), 2)


async def test_a_handler_that_returns_keeps_its_result(site: Site) -> None:
    calls = 0

    async def twice(lease: Lease) -> Outcome | Returned:
        nonlocal calls
        calls += 1
        await lease.checkpoint(lease.job.checkpoint + b"x")
        return Returned.RETURNED if calls == 1 else await until_told(lease)

    replica = await site.replica(twice)
    job = await replica.queue.create(site.request())
    assert (await started(site, job, epoch=2)).job.checkpoint.startswith(b"x")
