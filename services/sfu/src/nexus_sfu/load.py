"""The load of this node for its record in KV `nodes`, from the engine's last stats."""

from dataclasses import dataclass

from nexus.types.v1 import state_pb2

from nexus_sfu.core.node import NodeState
from nexus_sfu.engine_port import EngineStats


@dataclass(frozen=True, slots=True)
class _Sample:
    at_ms: int
    datagrams_in: int
    datagrams_out: int
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    node_id: str
    region: str
    grpc_address: str
    version: str
    shards: int
    max_participants: int


class Load:
    """Rates between the last two reports, on the monotonic clock."""

    def __init__(self, identity: NodeIdentity) -> None:
        self._identity = identity
        self._before: _Sample | None = None
        self._rates = (0.0, 0.0, 0.0)

    def update(self, stats: EngineStats, now_ms: int) -> None:
        """Adds a sample. `now_ms` is on the monotonic clock."""
        sample = _Sample(now_ms, stats.datagrams_in, stats.datagrams_out, stats.cpu_seconds)
        before, self._before = self._before, sample
        if before is None or now_ms <= before.at_ms:
            return
        seconds = (now_ms - before.at_ms) / 1000
        cpu = (sample.cpu_seconds - before.cpu_seconds) / seconds / self._identity.shards
        self._rates = (
            min(1.0, max(0.0, cpu)),
            (sample.datagrams_in - before.datagrams_in) / seconds,
            (sample.datagrams_out - before.datagrams_out) / seconds,
        )

    def record(self, node: NodeState, epoch_ms: int) -> state_pb2.NodeRecord:
        cpu, packets_in, packets_out = self._rates
        return state_pb2.NodeRecord(
            node_id=self._identity.node_id,
            region=self._identity.region,
            grpc_address=self._identity.grpc_address,
            version=self._identity.version,
            draining=node.draining,
            heartbeat_at_ms=epoch_ms,
            load=state_pb2.NodeLoad(
                cpu=cpu,
                rooms=len(node.rooms),
                participants=node.participant_count,
                tracks=node.track_count(),
                packets_in_per_second=packets_in,
                packets_out_per_second=packets_out,
                max_participants=self._identity.max_participants,
            ),
        )
