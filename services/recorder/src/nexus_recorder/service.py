"""Assembles the recorder from its configuration and a `Runtime`."""

import secrets
from collections.abc import Coroutine, Mapping
from random import SystemRandom
from typing import Any

import structlog
from nexus_bus import LazyKeyValue
from nexus_bus.subjects import NODES, ROOMS
from nexus_jobs import JobsConfig
from nexus_rooms import BareEvent, NodeDirectory, RoomFeeds, RoomFollower, RoomLookup, SfuClient
from nexus_runtime import ClientError, Runtime
from nexus_storage import FolderStore, StorageError, StoreMetrics, StoreSet

from nexus_recorder.config import RecorderConfig
from nexus_recorder.control import Control, MediaHalf
from nexus_recorder.grpc_server import RecorderServicer, make_server, serve
from nexus_recorder.left_spools import LeftSpools
from nexus_recorder.link_server import LinkServer
from nexus_recorder.media.live_media import LiveMedia
from nexus_recorder.metrics import Metrics

log = structlog.get_logger()


class RecorderService:
    """A `nexus_runtime.Service`. The constructor binds the gRPC port; nothing runs before `start`."""

    def __init__(self, config: RecorderConfig, runtime: Runtime) -> None:
        """Raises ClientError if the gRPC port is in use, or a file of a store cannot be read."""
        self._config = config
        self._runtime = runtime
        bus, clock = runtime.bus, runtime.clock
        self.metrics = Metrics(runtime.metrics)
        self.grpc = make_server(config, self.metrics)
        self.nodes = NodeDirectory(clock, config.node_timeout_ms, config.node_silence_ms)
        self.sfu = SfuClient(
            runtime.metrics,
            timeout_ms=config.sfu_timeout_ms,
            join_timeout_ms=config.sfu_timeout_ms,
            tls=config.rpc_tls(),
        )
        self.stores = _open_stores(config, runtime)
        rooms = RoomLookup(LazyKeyValue(bus, ROOMS), self.nodes, self.sfu)
        feeds = RoomFeeds(bus, runtime.metrics, BareEvent)
        self.media = LiveMedia(
            self.stores,
            RoomFollower(rooms, feeds, self.sfu, clock),
            self.sfu,
            clock,
            SystemRandom(),
            runtime.metrics,
            spool_folder=config.spool_dir,
            spool_bytes=config.spool_mb << 20,
            owner=f"{config.replica_id}-{secrets.token_hex(4)}",
        )
        self.control = Control(
            config,
            JobsConfig(replicas=config.job_replicas),
            runtime,
            self.metrics,
            rooms,
            self.sfu,
            self.stores,
            MediaHalf(
                self.media.make_run,
                self.media.files,
                self.media.spool_bytes,
                has_room=lambda: self.media.has_room(config.run_spool_mb << 20),
            ),
        )
        self.left_spools = LeftSpools(
            self.media, self.control.directory, self.control.jobs, config.replica_id
        )
        serve(self.grpc, RecorderServicer(self.control.recordings, self.control.rules))
        self.links = LinkServer(self.stores, clock, config.links_host, config.links_port)
        bus.on_connection(self._on_connection)
        # Advisory: without a node there is nothing to record, but other requests are answered.
        runtime.health.add_check("sfu_nodes", lambda: self.nodes.fresh_count() > 0, required=False)

    def _on_connection(self, connected: bool) -> None:
        if connected:
            self.nodes.note_connected()

    async def start(self) -> Mapping[str, object]:
        """Raises ClientError if the spool cannot be written, or the port of the links is in use."""
        try:
            self._config.spool_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ClientError("SPOOL_UNAVAILABLE", f"cannot write the spool: {error}") from error
        fields = {"grpc_port": self.grpc.port, "stores": [store.name for store in self.stores]}
        if any(isinstance(store, FolderStore) and store.signer is not None for store in self.stores):
            fields["links_port"] = await self.links.start()
        await self.grpc.start()
        return fields

    def work(self) -> Mapping[str, Coroutine[Any, Any, None]]:
        nodes = self.nodes.follow(LazyKeyValue(self._runtime.bus, NODES))
        return {"nodes": nodes, "left-spools": self.left_spools.run(), **self.control.work()}

    async def drain(self) -> None:
        """Returns the recordings of this replica to the others, after their segments have ended."""
        await self.grpc.set_serving(False)
        await self.control.drain()

    async def close(self) -> None:
        await self.grpc.close()
        await self.links.close()
        await self.control.close()
        await self.sfu.close()
        await self.stores.close()
        self.media.close()


def _open_stores(config: RecorderConfig, runtime: Runtime) -> StoreSet:
    try:
        return StoreSet.open(config.load_stores(), runtime.clock, StoreMetrics(runtime.metrics))
    except (OSError, ValueError, StorageError) as error:
        raise ClientError("STORE_UNAVAILABLE", f"a store cannot be opened: {error}") from error
