"""Assembles the recorder from its configuration and a `Runtime`."""

from collections.abc import Coroutine, Mapping
from typing import Any

from nexus_bus import LazyKeyValue
from nexus_bus.subjects import NODES
from nexus_rooms import NodeDirectory, SfuClient
from nexus_runtime import Runtime

from nexus_recorder.config import RecorderConfig
from nexus_recorder.grpc_server import make_server
from nexus_recorder.metrics import Metrics


class RecorderService:
    """A `nexus_runtime.Service`. The constructor binds the gRPC port; nothing runs before `start`."""

    def __init__(self, config: RecorderConfig, runtime: Runtime) -> None:
        """Raises ClientError if the gRPC port is in use."""
        self._config = config
        self._runtime = runtime
        self.metrics = Metrics(runtime.metrics)
        self.grpc = make_server(config, self.metrics)
        self.nodes = NodeDirectory(runtime.clock, config.node_timeout_ms, config.node_silence_ms)
        self.sfu = SfuClient(
            runtime.metrics,
            timeout_ms=config.sfu_timeout_ms,
            join_timeout_ms=config.sfu_timeout_ms,
            tls=config.rpc_tls(),
        )

    async def start(self) -> Mapping[str, object]:
        await self.grpc.start()
        return {"grpc_port": self.grpc.port}

    def work(self) -> Mapping[str, Coroutine[Any, Any, None]]:
        return {"nodes": self.nodes.follow(LazyKeyValue(self._runtime.bus, NODES))}

    async def drain(self) -> None:
        await self.grpc.set_serving(False)

    async def close(self) -> None:
        await self.grpc.close()
        await self.sfu.close()
