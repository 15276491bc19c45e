"""Durations with the default settings, on the in-memory bus and in virtual time: nothing waits for real."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from nexus_bus import Bus, MemoryBroker, MemoryBus
from nexus_jobs import Capacity, Job, JobsConfig, JobState, Lease, LeaseState, Outcome, Timing
from nexus_jobs.testing import Replica, Site
from nexus_testkit import VirtualTimeLoop, run_in_virtual_time

CONFIG = JobsConfig()
TAKEOVER_MS = 8_000


class Scene:
    """A site in virtual time."""

    def __init__(self, clock: VirtualTimeLoop) -> None:
        self.clock = clock
        self.broker = MemoryBroker()
        self.buses: list[MemoryBus] = []
        self.site = Site(self.connect, "record")

    async def connect(self) -> Bus:
        self.buses.append(MemoryBus(self.broker))
        return self.buses[-1]

    async def replica(self, **options: Any) -> Replica:
        settings: dict[str, Any] = {"config": CONFIG, "clock": self.clock}
        return await self.site.replica(**settings | options)

    async def until(self, condition: Callable[[], object], within_ms: int) -> int:
        """Waits for the condition, and returns how long that took in milliseconds."""
        began_ms = self.clock.monotonic_ms()
        while not condition():
            assert self.clock.monotonic_ms() - began_ms < within_ms, "not in time"
            await asyncio.sleep(0.01)
        return self.clock.monotonic_ms() - began_ms

    def leases(self, epoch: int) -> list[Lease]:
        every = [lease for replica in self.site.replicas for lease in replica.worker.leases]
        return [lease for lease in every if lease.epoch == epoch]

    async def running(self, replica: Replica, **changes: Any) -> tuple[Job, Lease]:
        job = await replica.queue.create(self.site.request(**changes))
        await self.until(lambda: self.leases(1), 1_000)
        return job, self.leases(1)[0]

    def set_connected(self, connected: bool) -> None:
        for bus in self.buses:
            bus.set_connected(connected)


def play(test: Callable[[Scene], Coroutine[Any, Any, None]]) -> None:
    async def main(clock: VirtualTimeLoop) -> None:
        scene = Scene(clock)
        await test(scene)
        for replica in scene.site.replicas:
            await replica.close()

    run_in_virtual_time(main)


@pytest.mark.parametrize("after_ms", [0, 700, 1_400, 1_990, 2_010, 30_000])
def test_a_dead_owner_is_replaced_within_8_seconds(after_ms: int) -> None:
    async def test(scene: Scene) -> None:
        first = await scene.replica()
        await scene.running(first)
        await scene.replica()
        await asyncio.sleep(after_ms / 1000)
        first.die()
        await scene.until(lambda: scene.leases(2), TAKEOVER_MS)

    play(test)


def test_the_only_replica_takes_its_job_again_when_it_restarts() -> None:
    async def test(scene: Scene) -> None:
        first = await scene.replica()
        await scene.running(first)
        first.die()
        await asyncio.sleep(2)
        await scene.replica()
        await scene.until(lambda: scene.leases(2), TAKEOVER_MS - 2_000)

    play(test)


def test_a_takeover_succeeds_even_if_a_replica_dies_with_the_ticket() -> None:
    async def test(scene: Scene) -> None:
        first = await scene.replica()
        await scene.running(first)
        observer = await scene.replica(take=False)
        first.die()
        await scene.until(lambda: observer.records.counts.queued, TAKEOVER_MS)
        assert await observer.records.tickets.fetch("record", "small", 1) is not None
        await scene.replica()
        await scene.until(lambda: scene.leases(2), TAKEOVER_MS - 5_000)

    play(test)


def test_an_owner_continues_while_the_broker_is_away() -> None:
    async def test(scene: Scene) -> None:
        first, second = await scene.replica(), await scene.replica()
        _, lease = await scene.running(first)
        scene.set_connected(False)
        await scene.until(lambda: lease.check() is LeaseState.UNCONFIRMED, 4_000)
        await asyncio.sleep(600)
        scene.set_connected(True)
        await scene.until(lambda: lease.check() is LeaseState.HELD, 1_000)
        await asyncio.sleep(60)
        assert scene.leases(1) == [lease]
        assert (await second.queue.get("record", lease.job.id)).deaths == 0

    play(test)


def test_an_owner_that_reconnects_late_keeps_its_job() -> None:
    async def test(scene: Scene) -> None:
        first, _ = await scene.replica(), await scene.replica()
        _, lease = await scene.running(first)
        scene.set_connected(False)
        await asyncio.sleep(30)
        others = [bus for bus in scene.buses if bus is not first.bus]
        for bus in others:
            bus.set_connected(True)
        await asyncio.sleep(4)
        scene.set_connected(True)
        await scene.until(lambda: lease.check() is LeaseState.HELD, 1_000)
        await asyncio.sleep(60)
        assert scene.leases(1) == [lease]

    play(test)


def test_an_owner_that_is_cut_off_knows_before_its_job_is_taken() -> None:
    async def test(scene: Scene) -> None:
        first = await scene.replica()
        job, lease = await scene.running(first)
        second = await scene.replica()
        cut_off = next(bus for bus in scene.buses if bus is first.bus)
        cut_off.set_connected(False)
        await scene.until(lambda: lease.check() is LeaseState.UNCONFIRMED, 4_100)
        assert (await second.queue.get("record", job.id)).owner == lease.job.owner
        await scene.until(lambda: scene.leases(2), TAKEOVER_MS)
        assert lease in first.worker.leases  # it continues what is harmless
        cut_off.set_connected(True)
        await scene.until(lambda: lease.check() is LeaseState.LOST, 1_000)
        await scene.until(lambda: not first.worker.leases, 100)

    play(test)


def test_waiting_is_reported_after_5_seconds_and_ends_with_no_capacity() -> None:
    async def test(scene: Scene) -> None:
        creator = await scene.replica(take=False)
        await scene.replica(capacity=Capacity())
        await asyncio.sleep(1)
        job = await creator.queue.create(scene.site.request(queue_timeout_ms=60_000))
        took_ms = await scene.until(
            lambda: [j.id for replica in scene.site.replicas for j in replica.waiting], 10_000
        )
        assert 5_000 <= took_ms <= 5_500
        ended = await creator.queue.wait_until_ended("record", job.id)
        assert ended.outcome is not None
        assert ended.outcome.code == "NO_CAPACITY"
        assert 60_000 <= ended.ended_at_ms - ended.created_at_ms <= 60_500
        assert len([job for replica in scene.site.replicas for job in replica.waiting]) == 1

    play(test)


def test_an_outage_does_not_count_as_waiting() -> None:
    async def test(scene: Scene) -> None:
        creator = await scene.replica(take=False)
        job = await creator.queue.create(scene.site.request(queue_timeout_ms=10_000))
        scene.set_connected(False)
        await asyncio.sleep(60)
        scene.set_connected(True)
        await scene.replica()
        await scene.until(lambda: scene.leases(1), 5_000)
        assert scene.leases(1)[0].job.id == job.id

    play(test)


def test_a_job_whose_owners_die_in_a_row_ends() -> None:
    async def test(scene: Scene) -> None:
        observer = await scene.replica(take=False)
        job = await observer.queue.create(scene.site.request())
        for epoch in range(1, CONFIG.max_deaths + 1):
            victim = await scene.replica()
            await scene.until(lambda epoch=epoch: scene.leases(epoch), TAKEOVER_MS)  # type: ignore[misc]
            victim.die()
        ended = await observer.queue.wait_until_ended("record", job.id)
        assert ended.outcome is not None
        assert (ended.outcome.code, ended.epoch) == ("OWNERS_DIED", CONFIG.max_deaths)

    play(test)


def test_deaths_long_apart_do_not_end_a_job() -> None:
    async def test(scene: Scene) -> None:
        observer = await scene.replica(take=False)
        job = await observer.queue.create(scene.site.request())
        for epoch in range(1, 2 * CONFIG.max_deaths):
            victim = await scene.replica()
            await scene.until(lambda epoch=epoch: scene.leases(epoch), TAKEOVER_MS)  # type: ignore[misc]
            await asyncio.sleep(70)
            victim.die()
        assert not (await observer.queue.get("record", job.id)).ended

    play(test)


def test_a_lost_ticket_is_replaced() -> None:
    async def test(scene: Scene) -> None:
        creator = await scene.replica(take=False)
        await creator.queue.create(scene.site.request(queue_timeout_ms=600_000))
        await asyncio.sleep(30)
        scene.broker.streams.clear()  # the broker lost the stream, and its memory of message ids
        await scene.replica()
        await scene.until(lambda: scene.leases(1), 60_000)

    play(test)


def test_the_end_of_a_job_is_written_once_the_broker_is_back() -> None:
    async def test(scene: Scene) -> None:
        done = asyncio.Event()

        async def handler(lease: Lease) -> Outcome:
            await done.wait()
            return Outcome("COMPLETED")

        first, second = await scene.replica(handler=handler), await scene.replica(take=False)
        job, _ = await scene.running(first)
        scene.set_connected(False)
        done.set()
        await asyncio.sleep(60)
        scene.set_connected(True)
        ended = await second.queue.wait_until_ended("record", job.id)
        assert (ended.outcome, ended.epoch) == (Outcome("COMPLETED"), 1)

    play(test)


def test_drain_hands_over_without_waiting_for_an_expiry() -> None:
    async def test(scene: Scene) -> None:
        first = await scene.replica()
        await scene.running(first)
        second = await scene.replica()
        await first.worker.drain(5_000)
        assert await scene.until(lambda: scene.leases(2), 1_000) < 1_000
        assert scene.leases(2) == second.worker.leases

    play(test)


def test_a_worker_that_does_not_accept_keeps_its_jobs() -> None:
    async def test(scene: Scene) -> None:
        only = await scene.replica()
        job, lease = await scene.running(only)
        only.worker.set_accepting(False)
        other = await only.queue.create(scene.site.request())
        await asyncio.sleep(20)
        assert only.worker.leases == [lease]
        assert (await only.queue.get("record", other.id)).state is JobState.QUEUED
        only.worker.set_accepting(True)
        await scene.until(lambda: len(only.worker.leases) == 2, 5_000)
        assert lease.job.id == job.id

    play(test)


@pytest.mark.parametrize(
    "changes",
    [{"hold_ms": 4_900}, {"expiry_ms": 4_000}, {"heartbeat_ms": 3_600}, {"retry_ms": 0}],
)
def test_unsafe_durations_are_refused(changes: dict[str, int]) -> None:
    with pytest.raises(ValueError):
        Timing(**changes)
