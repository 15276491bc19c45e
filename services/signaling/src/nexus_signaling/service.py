"""Puts signaling together from its configuration and a bus: what `__main__` runs and what tests start in
process."""

import asyncio
import secrets
import time
from collections.abc import Callable
from importlib.metadata import version
from random import SystemRandom

import structlog
from nexus.types.v1 import media_pb2
from nexus_bus import Bus, KeyValue
from nexus_bus.subjects import NODES, PARTICIPANTS, ROOMS
from nexus_runtime import Health
from prometheus_client import CollectorRegistry

from nexus_signaling.background import Background
from nexus_signaling.config import SignalingConfig, split_list
from nexus_signaling.connection import Services
from nexus_signaling.core.data_budget import DataBudget
from nexus_signaling.data_endpoint import DataEndpoint
from nexus_signaling.demo import DemoPage
from nexus_signaling.departures import Departures
from nexus_signaling.dev_token import DevTokens
from nexus_signaling.gateway import Gateway
from nexus_signaling.housekeeping import Housekeeping
from nexus_signaling.http_server import HttpServer, Routes, make_app
from nexus_signaling.joining import Joiner, JoinTerms, holds_room
from nexus_signaling.key_source import KeySource
from nexus_signaling.keys import App
from nexus_signaling.metrics import Metrics
from nexus_signaling.nodes import NodeDirectory
from nexus_signaling.origins import OriginPolicy
from nexus_signaling.participant_directory import ParticipantDirectory
from nexus_signaling.room_directory import PlacementRules, RoomDirectory
from nexus_signaling.room_feed import RoomFeeds
from nexus_signaling.sfu_client import SfuClient
from nexus_signaling.tokens import TokenVerifier
from nexus_signaling.turn import ice_servers

log = structlog.get_logger()

_SNAPSHOTS_AT_ONCE = 32


class SignalingService:
    """`start()`, then keep the three coroutines that run until cancelled running, `shut_down()` at the
    end."""

    def __init__(
        self,
        config: SignalingConfig,
        bus: Bus,
        registry: CollectorRegistry,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,  # noqa: TID251 - tokens have dates
    ) -> None:
        self._config = config
        self._bus = bus
        self._clock = clock
        self._wall_clock = wall_clock
        self.metrics = Metrics(registry)
        self.health = Health()
        self.nodes = NodeDirectory(clock, config.node_timeout_seconds, config.node_silence_seconds)
        self.sfu = SfuClient(
            self.metrics,
            timeout_seconds=config.sfu_timeout_seconds,
            join_timeout_seconds=config.sfu_join_timeout_seconds,
            tls=config.rpc_tls(),
        )
        self.background = Background()
        self.gateway: Gateway
        self.http: HttpServer
        self.housekeeping: Housekeeping

    @property
    def port(self) -> int:
        return self.http.port

    async def start(self) -> None:
        """Raises ConfigError, BusError, ClientError (the port is taken)."""
        config = self._config
        apps = config.load_apps()
        rooms_bucket = await self._bus.kv(ROOMS)
        participants = ParticipantDirectory(
            await self._bus.kv(PARTICIPANTS), config.replica_id or f"sig-{secrets.token_hex(4)}"
        )
        rooms = self._make_rooms(rooms_bucket)
        feeds = RoomFeeds(self._bus, self.metrics)
        keys = KeySource(apps, self._clock, refresh_seconds=config.jwks_refresh_seconds)
        verifier = TokenVerifier(keys, self._wall_clock)
        services = Services(
            joiner=self._make_joiner(verifier, rooms, feeds),
            feeds=feeds,
            nodes=self.nodes,
            sfu=self.sfu,
            departures=Departures(self.sfu, participants, self.background, self.metrics),
            background=self.background,
            metrics=self.metrics,
            limits=config.session_limits(),
            outbox_messages=config.outbox_messages,
            outbox_bytes=config.outbox_bytes,
            snapshot_turns=asyncio.Semaphore(_SNAPSHOTS_AT_ONCE),
            clock=self._clock,
            wall_clock=self._wall_clock,
        )
        origins = OriginPolicy(config.allowed_origins(), config.development)
        self.gateway = Gateway(services, origins, config.max_connections)
        self.housekeeping = Housekeeping(self._bus, rooms, self.nodes, participants)
        self.nodes.on_gone(self.gateway.node_gone)
        self._bus.on_connection(self._on_connection)
        self.metrics.nodes.set_function(self.nodes.fresh_count)
        # Advisory: while the broker is away nobody new can join, but whoever is here must not be cut off for
        # it.
        self.health.add_check("nats", lambda: self._bus.connected, required=False)
        self.health.add_check("sfu_nodes", lambda: self.nodes.fresh_count() > 0, required=False)
        budget = DataBudget(config.data_limits())
        data = DataEndpoint(verifier, rooms, self.sfu, budget, self.metrics, self._clock)
        await self._listen(apps, origins, data)

    async def _listen(self, apps: dict[str, App], origins: OriginPolicy, data: DataEndpoint) -> None:
        config = self._config
        signing = next((app for app in apps.values() if app.secret is not None), None)
        routes = Routes(
            gateway=self.gateway,
            data=data,
            health=self.health,
            demo=DemoPage(config.demo_dir) if config.demo_dir is not None else None,
            dev_tokens=(
                DevTokens(signing, origins, config.public_url, self._wall_clock)
                if config.development and signing is not None
                else None
            ),
            version=version("nexus-signaling"),
        )
        self.http = HttpServer(make_app(routes), config.host, config.port)
        await self.http.start()
        if config.development and config.host not in ("127.0.0.1", "::1", "localhost"):
            log.warning("development_mode_is_open", host=config.host, risk="anybody here can mint tokens")
        log.info(
            "listening", host=config.host, port=self.http.port, development=config.development, apps=len(apps)
        )

    def _make_rooms(self, bucket: KeyValue) -> RoomDirectory:
        async def asks_node(address: str, app: str, room: str) -> bool:
            return await holds_room(self.sfu, address, app, room)

        rules = PlacementRules(
            region=self._config.region,
            node_timeout_seconds=self._config.node_timeout_seconds,
            max_rooms_per_app=self._config.max_rooms_per_app,
        )
        return RoomDirectory(
            bucket,
            self.nodes,
            rules,
            clock=self._clock,
            wall_clock=self._wall_clock,
            random_source=SystemRandom(),
            holds_room=asks_node,
        )

    def _make_joiner(self, verifier: TokenVerifier, rooms: RoomDirectory, feeds: RoomFeeds) -> Joiner:
        config = self._config
        terms = JoinTerms(
            ping_interval_ms=round(config.ping_interval_seconds * 1000),
            max_participants=config.max_participants,
            server_version=version("nexus-signaling"),
        )
        return Joiner(verifier, rooms, self.nodes, feeds, self.sfu, self._ice_servers, terms)

    def _ice_servers(self, identity: str) -> list[media_pb2.IceServer]:
        return ice_servers(
            stun_urls=split_list(self._config.stun_urls),
            turn_urls=split_list(self._config.turn_urls),
            turn_secret=self._config.turn_secret.get_secret_value(),
            identity=identity,
            now_epoch_seconds=self._wall_clock(),
            ttl_seconds=self._config.turn_ttl_seconds,
        )

    def _on_connection(self, connected: bool) -> None:
        if connected:
            self.nodes.note_connected()

    async def follow_nodes(self) -> None:
        """Runs until cancelled."""
        await self.nodes.follow(await self._bus.kv(NODES))

    async def follow_closed_rooms(self) -> None:
        """Runs until cancelled."""
        await self.housekeeping.follow_closed_rooms()

    async def sweep(self) -> None:
        """Runs until cancelled."""
        await self.housekeeping.sweep_forever(self._config.sweep_seconds)

    async def shut_down(self) -> None:
        """Farewells, departures, then the port and the channels."""
        self.health.drain()
        await self.gateway.shut_down(self._config.shutdown_seconds)
        await self.background.finish(self._config.shutdown_seconds)
        await self.http.close()
        await self.sfu.close()
