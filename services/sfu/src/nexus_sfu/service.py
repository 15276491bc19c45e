"""The parts put together around an engine and a bus, without reading the environment: `__main__` does that,
tests do it too.
"""

import asyncio
import random
import socket
import time
from dataclasses import dataclass
from importlib.metadata import version
from ipaddress import IPv4Address, IPv6Address, ip_address

import structlog
from nexus_bus import Bus
from nexus_rpc import RpcServer
from nexus_runtime import Health, HealthServer
from prometheus_client import CollectorRegistry

from nexus_sfu.config import SfuConfig, default_node_id
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
from nexus_sfu.stats import ReportLost, Reports, Stats
from nexus_sfu.track_stream import TapReaders, TrackStreams

log = structlog.get_logger()

HOUSEKEEPING_SECONDS = 0.5
DRAIN_POLL_SECONDS = 0.2
FLUSH_SECONDS = 2.0


def reachable_host(bound: str) -> str:
    """What others may call a server that is bound to every address: the host's name."""
    if ip_address_or_none(bound) in (IPv4Address(0), IPv6Address(0)):
        return socket.gethostname()
    return f"[{bound}]" if ":" in bound else bound


def ip_address_or_none(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def wall_clock_ms() -> int:
    """For what is told to people; it steps when the system's time is corrected."""
    return time.time_ns() // 1_000_000  # noqa: TID251


def steady_clock_ms() -> int:
    """For deadlines and rates: nobody sets it, and it never goes back."""
    return time.monotonic_ns() // 1_000_000


@dataclass(slots=True)
class Service:
    """Made by `assemble`; nothing runs before `start`."""

    config: SfuConfig
    node_id: str
    engine: EnginePort
    sfu: Sfu
    stats: Stats
    load: Load
    quality: QualityWatch
    metrics: Metrics
    events: EventPublisher
    heartbeat: Heartbeat
    grpc: RpcServer
    health: HealthServer
    sdp: SdpWorker
    taps: TapReaders

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(self.engine.event_fd, self.sfu.handle_engine_events)
        loop.add_reader(self.engine.tap_fd, self.taps.wake)
        await self.grpc.start()
        await self.health.start()
        log.info(
            "sfu_ready",
            node=self.node_id,
            grpc_port=self.grpc.port,
            media_ports=list(self.engine.ports),
            gcm_library=self.engine.gcm_library,
            health_port=self.health.port,
        )

    async def housekeeping(self) -> None:
        """Ends empty rooms and keeps the figures fresh, for as long as the service lives."""
        while True:
            self.sfu.close_expired()
            await self.measure()
            await asyncio.sleep(HOUSEKEEPING_SECONDS)

    async def measure(self) -> None:
        node = self.sfu.node
        self.metrics.rooms.set(len(node.rooms))
        self.metrics.participants.set(node.participant_count)
        for kind in Kind:
            self.metrics.tracks.labels(kind.name.lower()).set(node.track_count(kind))
        due = self.quality.is_due(steady_clock_ms())
        try:
            report = await self.stats.node(details=due)
        except ReportLost:
            log.warning("report_lost")
            return
        self.metrics.engine.update(report.engine)
        self.load.update(report.engine, steady_clock_ms())
        if due:
            self.quality.observe(report, steady_clock_ms())

    async def drain(self) -> None:
        """Takes nothing new; returns when everybody has left, or after the configured wait."""
        self.sfu.set_draining(True, refuse_joins=True)
        await self.grpc.set_serving(False)
        self.heartbeat.beat_now()
        try:
            async with asyncio.timeout(self.config.drain_seconds):
                while self.sfu.node.participant_count:  # noqa: ASYNC110 - the core knows no events
                    await asyncio.sleep(DRAIN_POLL_SECONDS)
        except TimeoutError:
            log.info("drain_ended_early", participants=self.sfu.node.participant_count)

    async def close(self, bus: Bus | None) -> None:
        self.sfu.close_all(Reason.SERVER_SHUTDOWN)
        if bus is not None and bus.connected:
            try:
                await asyncio.wait_for(self.events.flushed(), FLUSH_SECONDS)
            except TimeoutError:
                log.warning("events_not_flushed")
            await self.heartbeat.forget(bus, self.node_id)
        await self.grpc.close()
        await self.health.close()
        loop = asyncio.get_running_loop()
        loop.remove_reader(self.engine.event_fd)
        loop.remove_reader(self.engine.tap_fd)
        self.engine.close()
        self.sdp.close()


def assemble(config: SfuConfig, engine: EnginePort, registry: CollectorRegistry) -> Service:
    """Binds the gRPC port, starts nothing."""
    node_id = config.node_id or default_node_id()
    rng = random.SystemRandom()
    metrics = Metrics(registry)
    events = EventPublisher(metrics, config.event_buffer)
    sdp = SdpWorker(config.bounds(), config.codec_order())
    node = NodeState(config.limits(), rng)
    sfu = Sfu(node, engine, sdp, metrics, wall_clock_ms, steady_clock_ms, rng)
    sfu.tell_events_to(events.emit)
    reports = Reports(engine)
    sfu.on_report(reports.received)
    stats = Stats(reports, sfu.media, wall_clock_ms)
    grpc = make_server(config, metrics)
    taps = TapReaders(engine)
    serve(grpc, SfuServicer(sfu, stats, node_id), TrackStreams(sfu, sfu.media, taps, metrics))
    address = config.grpc_address or f"{reachable_host(config.grpc_host)}:{grpc.port}"
    identity = NodeIdentity(
        node_id, config.region, address, version("nexus-sfu"), config.shards, config.max_participants
    )
    load = Load(identity)
    heartbeat = Heartbeat(
        lambda: load.record(node, wall_clock_ms()),
        metrics,
        config.heartbeat_ms / 1000,
        config.node_ttl_ms / 1000,
    )
    health = Health()
    health.add_check("taking_rooms", lambda: not node.draining, required=True)
    return Service(
        config=config,
        node_id=node_id,
        engine=engine,
        sfu=sfu,
        stats=stats,
        load=load,
        quality=QualityWatch(sfu),
        metrics=metrics,
        events=events,
        heartbeat=heartbeat,
        grpc=grpc,
        health=HealthServer(health, config.health_host, config.health_port, registry),
        sdp=sdp,
        taps=taps,
    )
