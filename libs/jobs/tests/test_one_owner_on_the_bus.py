"""One owner per epoch, whatever happens: whole replicas on the in-memory bus, in virtual time.

Hypothesis chooses the order of commands, deaths, outages, redeliveries and pauses between them. Every write
of a record that the broker accepts is checked, and so is every handler that believes to hold its lease.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any, TypeVar

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from nexus_bus import Bus, BusError, Entry, KeyValue, MemoryBroker, MemoryBus, Watch, subjects
from nexus_jobs import Capacity, Job, JobError, JobsConfig, JobState, Lease, LeaseState
from nexus_jobs.testing import Replica, Site, until_told
from nexus_jobs.wire import decode_job
from nexus_testkit import VirtualTimeLoop

T = TypeVar("T")

CONFIG = JobsConfig(max_deaths=4)
KIND = "record"
PLACES = st.integers(0, 2)
JOBS = st.integers(0, 3)
SETTLED_MS = 8_000


class SlowKeyValue:
    """A bucket whose requests and answers take 0 to 30 ms each, so that operations of replicas interleave."""

    def __init__(self, bucket: KeyValue, delays: random.Random) -> None:
        self._bucket = bucket
        self._delays = delays

    async def _slow(self, operation: Callable[[], Awaitable[T]]) -> T:
        await asyncio.sleep(self._delays.random() * 0.03)
        result = await operation()
        await asyncio.sleep(self._delays.random() * 0.03)
        return result

    async def get(self, key: str) -> Entry | None:
        return await self._slow(lambda: self._bucket.get(key))

    async def create(self, key: str, value: bytes) -> int:
        return await self._slow(lambda: self._bucket.create(key, value))

    async def update(self, key: str, value: bytes, revision: int, ttl_seconds: int | None = None) -> int:
        return await self._slow(lambda: self._bucket.update(key, value, revision, ttl_seconds))

    async def put(self, key: str, value: bytes) -> int:
        return await self._slow(lambda: self._bucket.put(key, value))

    async def delete(self, key: str, revision: int | None = None) -> None:
        await self._slow(lambda: self._bucket.delete(key, revision))

    async def keys(self, pattern: str = ">") -> list[str]:
        return await self._bucket.keys(pattern)

    async def watch(self, pattern: str = ">") -> Watch:
        return await self._bucket.watch(pattern)


class SlowBus(MemoryBus):
    def __init__(self, broker: MemoryBroker, delays: random.Random) -> None:
        super().__init__(broker)
        self._delays = delays

    async def kv(
        self, bucket: str, ttl_seconds: float | None = None, replicas: int | None = None
    ) -> KeyValue:
        return SlowKeyValue(await super().kv(bucket, ttl_seconds, replicas), self._delays)


class Watchdog:
    """Checks each write of a record against the one before it."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.owners: dict[tuple[str, int], str] = {}

    def check(self, key: str, value: bytes, leases: list[Lease]) -> None:
        """Checks a write at the moment at which the broker accepts it; `leases` are those of all replicas."""
        job = decode_job(value)
        assert key == subjects.job_key(KIND, job.id)
        before, self.jobs[job.id] = self.jobs.get(job.id), job
        if before is None:
            assert (job.state, job.epoch) == (JobState.QUEUED, 0)
            return
        assert not before.ended, "an ended job changed"
        assert job.epoch in (before.epoch, before.epoch + 1)
        assert (job.payload, job.request_id, job.cost) == (before.payload, before.request_id, before.cost)
        if job.epoch > before.epoch:
            assert before.state is JobState.QUEUED
            assert (job.id, job.epoch) not in self.owners
            self.owners[job.id, job.epoch] = job.owner
        elif job.renewals != before.renewals or job.checkpoint != before.checkpoint:
            assert before.owner == job.owner != ""
        if job.deaths > before.deaths:  # an observer took the owner for dead
            former = [lease for lease in leases if (lease.job.id, lease.epoch) == (job.id, before.epoch)]
            assert all(lease.check() is not LeaseState.HELD for lease in former)
        if job.state is JobState.RUNNING:
            assert self.owners[job.id, job.epoch] == job.owner
        assert (job.owner != "") == (job.state is JobState.RUNNING)
        assert (job.outcome is not None) == job.ended


class OneOwnerOnTheBus(RuleBasedStateMachine):
    @initialize(seed=st.integers(0, 1_000))
    def begin(self, seed: int) -> None:
        self.delays = random.Random(seed)
        self.loop = VirtualTimeLoop()
        self.memory = MemoryBroker()
        self.watchdog = Watchdog()
        self.faults: list[AssertionError] = []
        bucket = self.memory.bucket(subjects.JOBS, None)
        write = bucket.write

        def checked(key: str, value: bytes, ttl_seconds: float | None = None) -> int:
            try:
                self.watchdog.check(key, value, self.leases())
            except AssertionError as fault:
                self.faults.append(fault)  # this runs inside a task of a replica
                raise
            return write(key, value, ttl_seconds)

        bucket.write = checked  # type: ignore[method-assign]
        self.site = Site(self.connect, KIND)
        self.places: list[Replica] = []
        self.places += [self.do(self.start()) for _ in range(3)]
        self.ids: list[str] = []

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    async def connect(self) -> Bus:
        return SlowBus(self.memory, self.delays)

    async def start(self) -> Replica:
        return await self.site.replica(
            until_told, Capacity(cpu_millicores=200), config=CONFIG, clock=self.loop
        )

    def bus(self, place: int) -> MemoryBus:
        bus = self.places[place].bus
        assert isinstance(bus, MemoryBus)
        return bus

    async def attempt(self, work: Coroutine[Any, Any, Any]) -> None:
        """A request may fail during an outage, and for a job that has ended."""
        with suppress(BusError, JobError):
            await work

    # Events

    @precondition(lambda self: len(self.ids) < 4)
    @rule(place=PLACES, queue_timeout_ms=st.sampled_from([3_000, 600_000]))
    def create(self, place: int, queue_timeout_ms: int) -> None:
        request = self.site.request(request_id=f"r{len(self.ids)}", queue_timeout_ms=queue_timeout_ms)

        async def create() -> None:
            self.ids.append((await self.places[place].queue.create(request)).id)

        self.do(self.attempt(create()))

    @rule(place=PLACES, number=JOBS)
    def create_again(self, place: int, number: int) -> None:
        if number < len(self.ids):
            request = self.site.request(request_id=f"r{number}", payload=b"other")

            async def create() -> None:
                assert (await self.places[place].queue.create(request)).id == self.ids[number]

            self.do(self.attempt(create()))

    @rule(place=PLACES, number=JOBS)
    def stop(self, place: int, number: int) -> None:
        if number < len(self.ids):
            self.do(self.attempt(self.places[place].queue.request_stop(KIND, self.ids[number])))

    @rule(place=PLACES, number=JOBS)
    def want(self, place: int, number: int) -> None:
        if number < len(self.ids):
            queue = self.places[place].queue
            change = queue.change_wanted(KIND, self.ids[number], lambda wanted: wanted[:9] + b"x")
            self.do(self.attempt(change))

    @rule(place=PLACES)
    def die_and_restart(self, place: int) -> None:
        async def replace() -> None:
            self.places[place].die()
            await self.places[place].bus.close()
            self.places[place] = await self.start()

        self.do(replace())

    @rule(place=PLACES)
    def drain_and_restart(self, place: int) -> None:
        async def replace() -> None:
            await self.places[place].worker.drain(2_000)
            self.places[place].die()
            await self.places[place].bus.close()
            self.places[place] = await self.start()

        self.do(replace())

    @rule(place=PLACES, connected=st.booleans())
    def link(self, place: int, connected: bool) -> None:
        self.do(self.connect_places([place], connected))

    @rule(connected=st.booleans())
    def broker(self, connected: bool) -> None:
        self.do(self.connect_places(range(3), connected))

    async def connect_places(self, places: Iterable[int], connected: bool) -> None:
        for place in places:
            self.bus(place).set_connected(connected)

    @rule(number=JOBS, queueings=st.integers(1, 3))
    def redeliver(self, number: int, queueings: int) -> None:
        """A ticket that is not needed, or one that came before."""
        if number < len(self.ids):
            tickets = self.places[0].records.tickets
            self.do(self.attempt(tickets.offer(KIND, "small", self.ids[number], queueings * 7)))

    @rule(number=JOBS, data=st.binary(max_size=3))
    def checkpoint(self, number: int, data: bytes) -> None:
        for lease in self.leases():
            if number < len(self.ids) and lease.job.id == self.ids[number]:
                self.do(self.attempt(lease.checkpoint(data)))

    @rule(milliseconds=st.sampled_from([10, 300, 2_100, 4_200, 5_400, 9_000, 70_000]))
    def time_passes(self, milliseconds: int) -> None:
        async def pass_() -> None:
            until_ms = self.loop.monotonic_ms() + milliseconds
            while self.loop.monotonic_ms() < until_ms:
                await asyncio.sleep(0.2)
                self.a_held_lease_is_exclusive()

        self.do(pass_())

    # Invariants

    def leases(self) -> list[Lease]:
        return [lease for replica in self.places for lease in replica.worker.leases]

    @invariant()
    def a_held_lease_is_exclusive(self) -> None:
        held = [lease for lease in self.leases() if lease.check() is LeaseState.HELD]
        for lease in held:
            # The owner may have ended the job itself; the watchdog checks what others do to it.
            assert self.watchdog.jobs[lease.job.id].epoch == lease.epoch
        assert len({lease.job.id for lease in held}) == len(held)

    @invariant()
    def no_write_broke_a_rule(self) -> None:
        for fault in self.faults:
            raise fault
        for replica in self.places:
            assert not any(task.done() for task in replica.tasks), "a task of a replica crashed"

    @invariant()
    def capacity_is_respected(self) -> None:
        for replica in self.places:
            assert len(replica.worker.leases) <= 2

    def teardown(self) -> None:
        """Once all is well again, every open job has an owner within 8 s, because there is capacity."""
        if not hasattr(self, "loop"):
            return
        try:
            self.do(self.connect_places(range(3), True))
            self.do(self.settle())
            self.no_write_broke_a_rule()
        finally:
            for replica in self.site.replicas:
                self.do(replica.close())
            self.do(asyncio.sleep(1))
            self.loop.close()

    async def settle(self) -> None:
        until_ms = self.loop.monotonic_ms() + SETTLED_MS
        while not self.is_settled():
            assert self.loop.monotonic_ms() < until_ms, self.watchdog.jobs
            await asyncio.sleep(0.05)

    def is_settled(self) -> bool:
        held = {(lease.job.id, lease.epoch) for lease in self.leases() if lease.check() is LeaseState.HELD}
        open_jobs = [job for job in self.watchdog.jobs.values() if not job.ended]
        return all((job.id, job.epoch) in held for job in open_jobs)


def test_every_epoch_has_one_owner_on_the_bus() -> None:
    run_state_machine_as_test(
        OneOwnerOnTheBus, settings=settings(max_examples=30, stateful_step_count=30, deadline=None)
    )
