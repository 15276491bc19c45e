"""The settings of a service that follows SFU nodes and calls them. Its configuration inherits them."""

from nexus_runtime import ServiceConfig, setting


class NodesConfig(ServiceConfig):
    node_timeout_ms: int = setting(10_000, unit="ms", reason="five heartbeats of an SFU node", gt=0)
    node_silence_ms: int = setting(
        2_500,
        unit="ms",
        reason="more than one heartbeat: a node that refuses calls and is silent for this long is gone",
        gt=0,
    )
    sfu_timeout_ms: int = setting(5_000, unit="ms", reason="of one call to an SFU", gt=0)
