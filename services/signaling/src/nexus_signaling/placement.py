"""Chooses the node for a room, as a pure function: the least loaded node of the own region that is fresh, not
full and not draining.

A draining node gets no new room. Participants may still join a room that it holds, because a room cannot be
on two nodes, although such a node may never become empty. The node ends this by answering NODE_DRAINING
(`SetDraining(refuse_joins)`), which signaling passes to the client with a time to retry. A room that has a
record but no longer exists on its node is placed again.
"""

import random
from collections.abc import Iterable
from typing import Final

from nexus_rooms import NodeView, is_fresh

# Load that a room placed since the last heartbeat is assumed to add, so that many rooms placed between two
# heartbeats are spread over nodes.
_ASSUMED_CPU_PER_ROOM: Final = 0.02


def takes_new_room(node: NodeView) -> bool:
    limit = node.record.load.max_participants
    full = limit > 0 and node.record.load.participants >= limit
    return not node.record.draining and not full and bool(node.record.grpc_address)


def choose_node(
    nodes: Iterable[NodeView],
    *,
    region: str,
    now_ms: int,
    timeout_ms: int,
    random_source: random.Random,
    excluding: frozenset[str] = frozenset(),
) -> NodeView | None:
    """The node for a room, or None if there is none. Nodes of other regions are used only if `region` has
    none."""
    usable = [
        node
        for node in nodes
        if node.node_id not in excluding and is_fresh(node, now_ms, timeout_ms) and takes_new_room(node)
    ]
    near = [node for node in usable if node.record.region == region]
    candidates = near or usable
    if not candidates:
        return None
    # Ties (idle nodes) are broken at random, because replicas with the same view must not all choose the same
    # node.
    return min(candidates, key=lambda node: (_load(node), random_source.random()))


def _load(node: NodeView) -> tuple[float, int]:
    load = node.record.load
    # CPU load in steps of 5 %, because it is not more precise; then the number of participants.
    cpu = load.cpu + node.placed_since * _ASSUMED_CPU_PER_ROOM
    return round(cpu * 20), load.participants + node.placed_since
