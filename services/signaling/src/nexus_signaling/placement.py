"""Which node gets a room: a pure choice. The least loaded of our region that is fresh, not full and not
draining.

Rules for draining, since this is where others went wrong (a draining node that still takes joins never
empties):
* a draining node takes no new room;
* people of a room that lives on it may still join it, because a room cannot be on two nodes and splitting a
conversation is
  worse than a longer drain, until the node itself says NODE_DRAINING (`SetDraining(refuse_joins)`), which
  signaling hands on with a time to retry;
* a room that has a record but no longer lives there is placed anew.
"""

import random
from collections.abc import Iterable
from typing import Final

from nexus_rooms import NodeView, is_fresh

# What one room placed since the last heartbeat is assumed to add to a node's load, so that a rush between two
# heartbeats does not all land on one node.
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
    """None when no node will do. Without a node in `region`, another region's serves: far away is better than
    not at all."""
    usable = [
        node
        for node in nodes
        if node.node_id not in excluding and is_fresh(node, now_ms, timeout_ms) and takes_new_room(node)
    ]
    near = [node for node in usable if node.record.region == region]
    candidates = near or usable
    if not candidates:
        return None
    # Ties (idle nodes) are broken at random: replicas that all see the same picture must not all choose the
    # same node.
    return min(candidates, key=lambda node: (_load(node), random_source.random()))


def _load(node: NodeView) -> tuple[float, int]:
    load = node.record.load
    # Steps of 5 %, since a CPU figure is not more exact than that; then whoever carries fewer people.
    cpu = load.cpu + node.placed_since * _ASSUMED_CPU_PER_ROOM
    return round(cpu * 20), load.participants + node.placed_since
