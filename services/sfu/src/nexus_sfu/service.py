"""Assembles the SFU from its configuration, a `Runtime` and an engine."""

import asyncio
import random
import socket
from collections.abc import Coroutine, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import structlog
from nexus_runtime import Runtime

from nexus_sfu.config import SfuConfig
from nexus_sfu.core.model import Kind, Reason
from nexus_sfu.core.node import NodeState
from nexus_sfu.engine_port import EnginePort
from nexus_sfu.grpc_server import SfuServicer, make_server, serve
from nexus_sfu.load import Load, NodeIdentity
from nexus_sfu.metrics import Metrics
from nexus_sfu.nats_bus import EventPublisher, Heartbeat
from nexus_sfu.quality import QualityWatch
from nexus_sfu.sdp_worker import SdpWorker
from nexus_sfu.sfu import Sfu
from nexus_sfu.stats import Stats, StatsLost, StatsRequests
from nexus_sfu.track_stream import TrackStreams

log = structlog.get_logger()

HOUSEKEEPING_SECONDS = 0.5
DRAIN_POLL_SECONDS = 0.2
FLUSH_SECONDS = 2.0


def reachable_host(bound: str) -> str:
    """The host under which other services reach a bound address: the host's name for an unspecified
    address."""
    if ip_address_or_none(bound) in (IPv4Address(0), IPv6Address(0)):
        return socket.gethostname()
    return f"[{bound}]" if ":" in bound else bound


def ip_address_or_none(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


class SfuService:
    """A `nexus_runtime.Service`. The constructor binds the gRPC port; nothing runs before `start`."""

    def __init__(self, config: SfuConfig, runtime: Runtime, engine: EnginePort) -> None:
        """Raises ClientError if the gRPC port is in use."""
        self._config = config
        self._runtime = runtime
        self.engine = engine
        clock, rng = runtime.clock, random.SystemRandom()
        self.metrics = Metrics(runtime.metrics)
        self.grpc = make_server(config, self.metrics)
        self.events = EventPublisher(runtime.bus, self.metrics, config.event_buffer)
        self._sdp = SdpWorker(config.bounds(), config.codec_order())
        self._node = NodeState(config.limits(), rng)
        self.sfu = Sfu(self._node, engine, self._sdp, self.metrics, clock, rng)
        self.sfu.emit_events_to(self.events.emit)
        requests = StatsRequests(engine)
        self.sfu.on_stats(requests.received)
        self._stats = Stats(requests, self.sfu.media, clock)
        self._quality = QualityWatch(self.sfu)
        self.streams = TrackStreams(self.sfu, engine, self.metrics, clock)
        servicer = SfuServicer(self.sfu, self._stats, self.streams, config.node_id, self.set_draining)
        serve(self.grpc, servicer, self.streams)
        self._load = Load(self._identity())
        self.heartbeat = Heartbeat(
            runtime.bus,
            lambda: self._load.record(self._node, clock.epoch_ms()),
            self.metrics,
            interval_ms=config.heartbeat_ms,
            ttl_ms=config.node_ttl_ms,
        )
        runtime.life.on_drain(self._follow_drain)

    def _identity(self) -> NodeIdentity:
        config = self._config
        return NodeIdentity(
            node_id=config.node_id,
            region=config.region,
            grpc_address=config.grpc_address or f"{reachable_host(config.grpc_host)}:{self.grpc.port}",
            version=self._runtime.version,
            shards=config.shards,
            max_participants=config.max_participants,
        )

    async def start(self) -> Mapping[str, object]:
        loop = asyncio.get_running_loop()
        loop.add_reader(self.engine.event_fd, self.sfu.handle_engine_events)
        loop.add_reader(self.engine.tap_fd, self.streams.readers.wake)
        await self.grpc.start()
        return {
            "grpc_port": self.grpc.port,
            "media_ports": list(self.engine.ports),
            "gcm_library": self.engine.gcm_library,
        }

    def work(self) -> Mapping[str, Coroutine[Any, Any, None]]:
        return {
            "housekeeping": self._housekeeping(),
            "heartbeat": self.heartbeat.run(),
            "events": self.events.run(),
        }

    async def _housekeeping(self) -> None:
        """Closes empty rooms and updates the measurements until cancelled."""
        while True:
            self.sfu.close_expired()
            self.streams.named.expire()
            await self.measure()
            await asyncio.sleep(HOUSEKEEPING_SECONDS)

    async def measure(self) -> None:
        self.metrics.rooms.set(len(self._node.rooms))
        self.metrics.participants.set(self._node.participant_count)
        for kind in Kind:
            self.metrics.tracks.labels(kind.name.lower()).set(self._node.track_count(kind))
        now_ms = self._runtime.clock.monotonic_ms()
        due = self._quality.is_due(now_ms)
        try:
            stats = await self._stats.node(details=due)
        except StatsLost:
            log.warning("stats_lost")
            return
        self.metrics.engine.update(stats.engine)
        self._load.update(stats.engine, self._runtime.clock.monotonic_ms())
        if due:
            self._quality.observe(stats, now_ms)

    def set_draining(self, draining: bool, refuse_joins: bool) -> None:
        """A draining node accepts no new room, and with `refuse_joins` no new participant. Present ones
        stay."""
        self._node.refuse_joins = refuse_joins
        if draining or refuse_joins:
            self._runtime.life.drain()
        else:
            self._runtime.life.resume()
        log.info("draining_set", draining=self._node.draining, refuse_joins=refuse_joins)

    def _follow_drain(self, draining: bool) -> None:
        self._node.draining = draining
        self.heartbeat.beat_now()

    async def drain(self) -> None:
        """Accepts no new rooms or participants; returns when all have left, or after the configured wait."""
        self._node.refuse_joins = True
        await self.grpc.set_serving(False)
        try:
            async with asyncio.timeout(self._config.drain_ms / 1000):
                while self._node.participant_count:  # noqa: ASYNC110 - the core has no asyncio events
                    await asyncio.sleep(DRAIN_POLL_SECONDS)
        except TimeoutError:
            log.info("drain_ended_early", participants=self._node.participant_count)

    async def close(self) -> None:
        self.sfu.close_all(Reason.SERVER_SHUTDOWN)
        if self._runtime.bus.connected:
            try:
                async with asyncio.timeout(FLUSH_SECONDS):
                    await self.events.flushed()
            except TimeoutError:
                log.warning("events_not_flushed")
            await self.heartbeat.forget(self._config.node_id)
        await self.grpc.close()
        loop = asyncio.get_running_loop()
        loop.remove_reader(self.engine.event_fd)
        loop.remove_reader(self.engine.tap_fd)
        self.engine.close()
        self._sdp.close()
