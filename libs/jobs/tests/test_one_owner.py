"""One owner per epoch, whatever happens: a simulation of three replicas around one record.

The replicas run the real `LeaseMachine` and `Observer`. The broker is simulated: it applies compare-and-set
writes in any order, loses requests and answers, and delivers the watch late. The clocks of the replicas run
at different rates. Hypothesis chooses the order of everything.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from nexus_jobs import Job, JobState, LeaseState, Timing
from nexus_jobs.core import lease, observer, transitions
from nexus_jobs.core.observer import Observer
from nexus_jobs.core.timing import MAX_CLOCK_DRIFT

TIMING = Timing()
KEEP_ENDED_MS = 3_600_000
MAX_DEATHS = 50
TAKEOVER_MS = 8_000
RATES = (1 - 0.9 * MAX_CLOCK_DRIFT, 1.0, 1 + 0.9 * MAX_CLOCK_DRIFT)
TURN_MS = 100
FAILED = object()
NODES = st.integers(0, len(RATES) - 1)


class Link(Enum):
    """The state of a replica's connection to the broker."""

    UP = auto()
    DOWN = auto()
    NO_ANSWERS = auto()
    """Requests are carried out, but answers stay away until the link is up."""
    NO_WRITES = auto()
    """Only reads succeed."""
    NO_WATCH = auto()
    """The watch delivers nothing until the link is up."""


@dataclass
class Operation:
    """A request to the broker: first it is applied there, then its answer returns."""

    node: int
    incarnation: int
    writes: bool
    apply: Callable[[], object]
    answer: Callable[[object], None]
    applied: bool = False
    result: object = None


@dataclass
class Node:
    index: int
    rate: float
    observer: Observer = field(default_factory=lambda: Observer(TIMING, 100))
    incarnation: int = 0
    machine: lease.LeaseMachine | None = None
    paused: bool = False
    link: Link = Link.UP
    releasing: bool = False  # the handler has ended, and the return of the job is being written
    busy: bool = False  # an operation of the lease is in flight
    observing: bool = False
    claiming: bool = False
    inbox: deque[tuple[Job, int]] = field(default_factory=deque)

    @property
    def owner(self) -> str:
        return f"n{self.index}-{self.incarnation}"


class OneOwner(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.true_ms = 0
        self.job = Job("JB_1", "app", "record", "small", queue_timeout_ms=10**9, created_at_ms=0)
        self.revision = 1
        self.nodes = [Node(index, rate) for index, rate in enumerate(RATES)]
        self.operations: list[Operation] = []
        self.owners: dict[int, str] = {}
        for node in self.nodes:
            node.observer.handle(observer.BrokerBack(), self.local_ms(node))
            node.inbox.append((self.job, self.revision))

    # The simulated world

    def local_ms(self, node: Node) -> int:
        return int(1_000_000 * (node.index + 1) + self.true_ms * node.rate)

    def send(self, node: Node, apply: Callable[[], object], answer: Callable[[object], None]) -> None:
        writes = apply != self.read
        self.operations.append(Operation(node.index, node.incarnation, writes, apply, answer))

    def read(self) -> object:
        return self.job, self.revision

    def compare_and_set(self, author: str, changed: Job, revision: int) -> Callable[[], object]:
        def apply() -> object:
            if revision != self.revision:
                return None
            self.check_write(author, changed)
            self.job, self.revision = changed, revision + 1
            for node in self.nodes:
                if node.link not in (Link.DOWN, Link.NO_WATCH):
                    node.inbox.append((self.job, self.revision))
            return self.revision

        return apply

    def check_write(self, author: str, changed: Job) -> None:
        """Every write that the broker accepts keeps the rules."""
        before = self.job
        assert not before.ended
        assert changed.epoch in (before.epoch, before.epoch + 1)
        if changed.epoch == before.epoch + 1:
            assert before.state is JobState.QUEUED
            assert changed.epoch not in self.owners
            assert changed.owner == author
            self.owners[changed.epoch] = author
        elif changed.renewals != before.renewals or changed.checkpoint != before.checkpoint:
            assert before.owner == changed.owner == author == self.owners[changed.epoch]

    # The edge of each replica

    def step(self, node: Node) -> None:
        """One turn of the replica's loops."""
        now_ms = self.local_ms(node)
        while node.inbox:
            job, revision = node.inbox.popleft()
            node.observer.handle(observer.Seen(job, revision), now_ms)
            if node.machine is not None:
                node.machine.handle(lease.Watched(job, revision), now_ms)
        if node.machine is not None and not node.busy:
            for action in node.machine.handle(lease.Tick(), now_ms):
                self.perform(node, node.machine, action)
        for effect in node.observer.handle(observer.Tick(), now_ms):
            if isinstance(effect, observer.Expire) and not node.observing:
                self.expire(node, effect)
        self.forget_lost(node)

    def forget_lost(self, node: Node) -> None:
        if node.machine is not None and node.machine.state(self.local_ms(node)) is LeaseState.LOST:
            node.machine, node.releasing = None, False

    def perform(self, node: Node, machine: lease.LeaseMachine, action: lease.Action) -> None:
        if action is lease.Action.READ:
            node.busy = True

            def took(result: object) -> None:
                node.busy = False
                if result is FAILED:
                    machine.handle(lease.Failed(), self.local_ms(node))
                else:
                    job, revision = self.as_record(result)
                    machine.handle(lease.Read(job, revision), self.local_ms(node))

            self.send(node, self.read, took)
        elif action is lease.Action.RENEW:
            self.write_lease(node, machine, transitions.renew(machine.job, 0))

    def write_lease(
        self, node: Node, machine: lease.LeaseMachine, changed: Job, *, last: bool = False
    ) -> None:
        node.busy = True
        started_ms = self.local_ms(node)

        def wrote(result: object) -> None:
            node.busy = False
            now_ms = self.local_ms(node)
            if isinstance(result, int):
                machine.handle(lease.Wrote(changed, result, started_ms), now_ms)
                if last:
                    node.machine, node.releasing = None, False
            elif result is FAILED:
                machine.handle(lease.Failed(), now_ms)
            else:
                machine.handle(lease.Refused(), now_ms)

        self.send(node, self.compare_and_set(node.owner, changed, machine.revision), wrote)

    def expire(self, node: Node, effect: observer.Expire) -> None:
        node.observing = True

        def took(result: object) -> None:
            node.observing = False
            if result is FAILED:
                node.observer.handle(observer.BrokerLost(), self.local_ms(node))
                return
            job, revision = self.as_record(result)
            node.observer.handle(observer.Reread(job, revision), self.local_ms(node))
            if observer.Mark.of(job) == effect.mark:
                changed = transitions.lose_owner(job, MAX_DEATHS, 0)
                self.send(node, self.compare_and_set(node.owner, changed, revision), lambda _: None)

        self.send(node, self.read, took)

    def claim(self, node: Node) -> None:
        if node.machine is not None or node.claiming:
            return
        node.claiming = True

        def took(result: object) -> None:
            node.claiming = False
            if result is FAILED or node.machine is not None:
                return
            job, revision = self.as_record(result)
            claimed = transitions.claim(job, node.owner, 0)
            if claimed is None:
                return
            node.claiming = True
            started_ms = self.local_ms(node)

            def wrote(outcome: object) -> None:
                node.claiming = False
                if isinstance(outcome, int):  # otherwise the claim is left to expire
                    node.machine = lease.LeaseMachine(claimed, outcome, started_ms, TIMING, KEEP_ENDED_MS)

            self.send(node, self.compare_and_set(node.owner, claimed, revision), wrote)

        self.send(node, self.read, took)

    @staticmethod
    def as_record(result: object) -> tuple[Job, int]:
        assert isinstance(result, tuple)
        job, revision = result
        return job, revision

    # Events

    @rule(node=NODES)
    def turn(self, node: int) -> None:
        if self.runs(self.nodes[node]):
            self.step(self.nodes[node])

    @rule(node=NODES)
    def ticket(self, node: int) -> None:
        """A ticket is delivered, perhaps a stale one, perhaps again."""
        if self.runs(self.nodes[node]):
            self.claim(self.nodes[node])

    def runs(self, node: Node) -> bool:
        return not node.paused

    @rule(pick=st.integers(0, 9))
    def progress(self, pick: int) -> None:
        """One operation gets one step further, in any order."""
        if self.operations:
            self.advance_operation(self.operations[pick % len(self.operations)])

    def advance_operation(self, operation: Operation) -> None:
        node = self.nodes[operation.node]
        if operation.incarnation != node.incarnation:  # a process that died since has sent it
            self.operations.remove(operation)
            if not operation.applied:
                operation.apply()
        elif not operation.applied:
            refused = operation.writes and node.link is Link.NO_WRITES
            if node.link is not Link.DOWN:
                operation.applied, operation.result = True, FAILED if refused else operation.apply()
        elif not node.paused and node.link not in (Link.DOWN, Link.NO_ANSWERS):
            self.operations.remove(operation)
            operation.answer(operation.result)
            self.forget_lost(node)

    @rule(pick=st.integers(0, 9), applied=st.booleans())
    def fail(self, pick: int, applied: bool) -> None:
        """An operation has no answer; it may be applied nevertheless, even later."""
        if not self.operations:
            return
        operation = self.operations[pick % len(self.operations)]
        node = self.nodes[operation.node]
        if node.paused and operation.incarnation == node.incarnation:
            return
        self.operations.remove(operation)
        if operation.incarnation == node.incarnation:
            operation.answer(FAILED)
            node.observer.handle(observer.BrokerLost(), self.local_ms(node))
        if applied and not operation.applied:
            late = Operation(node.index, -1, True, operation.apply, lambda _: None)
            self.operations.append(late)

    @rule(milliseconds=st.sampled_from([200, 2_000, 4_100, 20_000]))
    def time_passes(self, milliseconds: int) -> None:
        self.true_ms += milliseconds

    @rule(milliseconds=st.sampled_from([200, 900, 2_500, 5_000, 5_300, 6_000]))
    def the_others_continue(self, milliseconds: int) -> None:
        """Time passes in which every replica does what its state and its link allow."""
        until_ms = self.true_ms + milliseconds
        while self.true_ms < until_ms:
            self.fair_turn()
            self.a_held_lease_is_exclusive()

    @rule(node=NODES)
    def dies_and_restarts(self, node: int) -> None:
        dead = self.nodes[node]
        self.nodes[node] = Node(dead.index, dead.rate, incarnation=dead.incarnation + 1)
        self.nodes[node].inbox.append((self.job, self.revision))

    @rule(node=NODES, paused=st.booleans())
    def pause(self, node: int, paused: bool) -> None:
        self.nodes[node].paused = paused

    @rule(paused=st.booleans())
    def pause_the_owner(self, paused: bool) -> None:
        for node in self.nodes:
            if node.machine is not None:
                node.paused = paused

    @rule(node=NODES, link=st.sampled_from(Link))
    def change_link(self, node: int, link: Link) -> None:
        self.set_link(self.nodes[node], link)

    @rule(link=st.sampled_from(Link))
    def change_link_of_the_owner(self, link: Link) -> None:
        for node in self.nodes:
            if node.machine is not None:
                self.set_link(node, link)

    def set_link(self, node: Node, link: Link) -> None:
        if link is Link.UP:
            node.inbox.append((self.job, self.revision))
        node.link = link
        if link is Link.DOWN:
            node.observer.handle(observer.BrokerLost(), self.local_ms(node))

    @rule(node=NODES)
    def finds_the_broker(self, node: int) -> None:
        if self.nodes[node].link is not Link.DOWN and self.runs(self.nodes[node]):
            self.nodes[node].observer.handle(observer.BrokerBack(), self.local_ms(self.nodes[node]))

    @rule()
    def command(self) -> None:
        """Any process requests something, which changes the revision."""
        changed = transitions.change_wanted(self.job, self.job.wanted[:8] + b"x")
        if not self.job.ended:
            self.compare_and_set("", changed, self.revision)()

    @rule(node=NODES)
    def returns_the_job(self, node: int) -> None:
        holder = self.nodes[node]
        if holder.machine is not None and not holder.busy and self.runs(holder):
            holder.releasing = True
            returned = transitions.return_to_queue(holder.machine.job, 0)
            self.write_lease(holder, holder.machine, returned, last=True)

    # Invariants

    @invariant()
    def a_held_lease_is_exclusive(self) -> None:
        """No replica, not even one that is paused, takes a lease for held that is not its own."""
        for node in self.nodes:
            machine = node.machine
            if machine is None or machine.state(self.local_ms(node)) is not LeaseState.HELD:
                continue
            if not node.releasing:
                assert self.job.is_owned_by(machine.job.owner, machine.job.epoch), (node, self.job)

    @invariant()
    def epochs_have_one_owner(self) -> None:
        assert len(self.owners) == self.job.epoch
        if self.job.state is JobState.RUNNING:
            assert self.owners[self.job.epoch] == self.job.owner

    def teardown(self) -> None:
        """Once all is well again, a living replica owns the job within 8 s."""
        if not hasattr(self, "nodes"):
            return
        for node in self.nodes:
            node.paused = False
            self.set_link(node, Link.UP)
            node.observer.handle(observer.BrokerBack(), self.local_ms(node))
        began_ms = self.true_ms
        while not self.is_well():
            assert self.true_ms - began_ms < TAKEOVER_MS, (self.job, self.nodes)
            self.fair_turn()

    def is_well(self) -> bool:
        return self.job.ended or any(
            node.machine is not None
            and node.machine.state(self.local_ms(node)) is LeaseState.HELD
            and self.job.is_owned_by(node.machine.job.owner, node.machine.job.epoch)
            for node in self.nodes
        )

    def fair_turn(self) -> None:
        """A moment in which everything is delivered, as far as links and pauses allow."""
        self.true_ms += TURN_MS
        for operation in list(self.operations):
            self.advance_operation(operation)
            if operation in self.operations:
                self.advance_operation(operation)
        for node in self.nodes:
            if not self.runs(node):
                continue
            if node.link is not Link.DOWN:
                node.observer.handle(observer.BrokerBack(), self.local_ms(node))
            self.step(node)
            if self.job.state is JobState.QUEUED and node.link is not Link.DOWN:
                self.claim(node)


def test_every_epoch_has_one_owner() -> None:
    run_state_machine_as_test(
        OneOwner, settings=settings(max_examples=100, stateful_step_count=50, deadline=None)
    )
