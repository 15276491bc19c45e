"""The known SFU nodes, kept up to date by a watch on KV `nodes`."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol

import structlog
from google.protobuf.message import DecodeError
from nexus.types.v1 import state_pb2
from nexus_bus import BusError, Change, KeyValue, Synced
from nexus_runtime import Clock, is_set_within

log = structlog.get_logger()

RETRY_SECONDS = 1.0
MAX_NODES = 10_000
MAX_REMEMBERED = 1_000
# How long after a reconnect a missing node is not taken for gone: during an outage of the broker all
# heartbeats expire, and nodes write theirs every two seconds.
SETTLING_MS = 5_000
_SILENCE_STEP_SECONDS = 0.05

GoneListener = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node and the load placed on it since its last heartbeat. `seen_at_ms` is when that heartbeat arrived,
    on this process's monotonic clock, because clocks of different hosts cannot be compared."""

    record: state_pb2.NodeRecord
    seen_at_ms: int
    placed_since: int = 0

    @property
    def node_id(self) -> str:
        return self.record.node_id


def is_fresh(node: NodeView, now_ms: int, timeout_ms: int) -> bool:
    """Whether the last heartbeat is less than `timeout_ms` old."""
    return now_ms - node.seen_at_ms < timeout_ms


class Nodes(Protocol):
    """The SFU nodes. `NodeDirectory` implements it, and `testing.MemoryNodes` is its twin."""

    def all(self) -> Iterable[NodeView]: ...

    def fresh(self, node_id: str) -> NodeView | None:
        """The node if its last heartbeat is recent enough, else None."""
        ...

    def is_gone(self, node_id: str) -> bool:
        """Whether the node has no entry at all. A late heartbeat alone does not make a node gone."""
        ...

    def last_address(self, node_id: str) -> str | None:
        """The gRPC address of the node's last heartbeat, even if the node is gone; None if unknown."""
        ...

    def settled(self) -> bool:
        """Whether a missing node can be taken for gone: not before the list is read, nor soon after a
        reconnect."""
        ...

    async def wait_until_known(self, timeout_ms: int) -> bool:
        """Waits until the list of nodes has been read once; False if the timeout passes first."""
        ...

    def on_gone(self, listener: GoneListener) -> None:
        """Calls `listener(node_id)` whenever a node's entry expires or is deleted."""
        ...


class NodeDirectory:
    """`Nodes` from the broker, for as long as `follow` runs."""

    def __init__(self, clock: Clock, timeout_ms: int, silence_ms: int = 2_500) -> None:
        self._clock = clock
        self._timeout_ms = timeout_ms
        self._silence_ms = silence_ms
        self._nodes: dict[str, NodeView] = {}
        self._last_addresses: dict[str, str] = {}
        self._connected_at_ms = clock.monotonic_ms()
        self._departures = 0
        self._synced = asyncio.Event()
        self._reconnected = asyncio.Event()
        self._on_gone: GoneListener | None = None

    def on_gone(self, listener: GoneListener) -> None:
        self._on_gone = listener

    def all(self) -> Iterable[NodeView]:
        return self._nodes.values()

    def fresh(self, node_id: str) -> NodeView | None:
        node = self._nodes.get(node_id)
        return (
            node
            if node is not None and is_fresh(node, self._clock.monotonic_ms(), self._timeout_ms)
            else None
        )

    def is_gone(self, node_id: str) -> bool:
        return node_id not in self._nodes and self.settled()

    @property
    def departures(self) -> int:
        """Number of nodes that have gone so far."""
        return self._departures

    def last_address(self, node_id: str) -> str | None:
        return self._last_addresses.get(node_id)

    def note_connected(self) -> None:
        """Records a (re)connect to the broker: heartbeats may have expired although their nodes are alive."""
        self._connected_at_ms = self._clock.monotonic_ms()
        self._reconnected.set()

    def settled(self) -> bool:
        return self._synced.is_set() and self._clock.monotonic_ms() - self._connected_at_ms >= SETTLING_MS

    def fresh_count(self) -> int:
        now_ms = self._clock.monotonic_ms()
        return sum(is_fresh(node, now_ms, self._timeout_ms) for node in self._nodes.values())

    def note_placed(self, node_id: str) -> None:
        """Counts a newly placed room as load of the node until its next heartbeat."""
        node = self._nodes.get(node_id)
        if node is not None:
            self._nodes[node_id] = replace(node, placed_since=node.placed_since + 1)

    def forget(self, node_id: str) -> int:
        """Treats a node that does not answer as stale until its next heartbeat; returns when its last one
        came."""
        node = self._nodes.get(node_id)
        if node is None:
            return self._clock.monotonic_ms() - self._timeout_ms
        self._nodes[node_id] = replace(node, seen_at_ms=self._clock.monotonic_ms() - self._timeout_ms)
        return node.seen_at_ms

    async def falls_silent(self, node_id: str, heard_at_ms: int) -> bool:
        """Whether no heartbeat arrives within the silence limit, counted from `heard_at_ms`.

        Distinguishes a dead node from one that only this process cannot reach: a live node keeps writing
        heartbeats. Call it after `forget`.
        """
        until_ms = heard_at_ms + self._silence_ms
        while self.fresh(node_id) is None:
            left_ms = until_ms - self._clock.monotonic_ms()
            if left_ms <= 0:
                return True
            await asyncio.sleep(min(left_ms / 1000, _SILENCE_STEP_SECONDS))
        return False

    async def wait_until_known(self, timeout_ms: int) -> bool:
        return self._synced.is_set() or await is_set_within(self._synced, timeout_ms / 1000)

    async def follow(self, bucket: KeyValue) -> None:
        """Follows the bucket until cancelled. The watch survives outages; if it ends, a new one is
        started."""
        while True:
            try:
                async with await bucket.watch() as watch:
                    async for step in watch:
                        self._apply(step)
            except BusError as error:
                log.warning("node_watch_interrupted", error=type(error).__name__)
            self._reconnected.clear()
            await is_set_within(self._reconnected, RETRY_SECONDS)

    def _apply(self, step: Change | Synced) -> None:
        if isinstance(step, Synced):
            self._synced.set()
            return
        if step.value is None:
            if self._nodes.pop(step.key, None) is not None:
                self._departures += 1
                log.info("node_gone", node=step.key)
                if self._on_gone is not None:
                    self._on_gone(step.key)
            return
        try:
            record = state_pb2.NodeRecord.FromString(step.value)
        except DecodeError:
            log.warning("node_record_malformed", node=step.key)
            return
        if step.key not in self._nodes:
            if len(self._nodes) >= MAX_NODES:
                log.warning("too_many_nodes", limit=MAX_NODES)
                return
            log.info("node_found", node=record.node_id, address=record.grpc_address, region=record.region)
        self._nodes[step.key] = NodeView(record, seen_at_ms=self._clock.monotonic_ms())
        self._last_addresses.pop(step.key, None)
        self._last_addresses[step.key] = record.grpc_address
        if len(self._last_addresses) > MAX_REMEMBERED:
            self._last_addresses.pop(next(iter(self._last_addresses)))
