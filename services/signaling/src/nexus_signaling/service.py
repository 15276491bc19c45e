"""Assembles signaling from its configuration and a `Runtime`."""

import asyncio
from collections.abc import Coroutine, Mapping
from random import SystemRandom
from typing import Any

import structlog
from nexus.types.v1 import media_pb2
from nexus_bus import LazyKeyValue
from nexus_bus.subjects import NODES, PARTICIPANTS, ROOMS
from nexus_rooms import NodeDirectory, RoomFeeds, SfuClient
from nexus_runtime import Runtime
from nexus_webhooks import RECORDINGS, WebhookDeliverer

from nexus_signaling.config import SignalingConfig
from nexus_signaling.connection import Services
from nexus_signaling.core.data_budget import AppBudget, DataBudget
from nexus_signaling.data_endpoint import DataEndpoint
from nexus_signaling.demo import DemoPage
from nexus_signaling.departures import Departures
from nexus_signaling.dev_token import DevTokens
from nexus_signaling.gateway import Gateway
from nexus_signaling.housekeeping import Housekeeping
from nexus_signaling.http_server import HttpServer, Routes, make_app
from nexus_signaling.joining import Joiner, JoinTerms
from nexus_signaling.key_source import KeySource
from nexus_signaling.keys import App
from nexus_signaling.metrics import Metrics
from nexus_signaling.origins import OriginPolicy
from nexus_signaling.outgoing import SharedEvent
from nexus_signaling.participant_directory import ParticipantDirectory
from nexus_signaling.recorder_client import RecorderClient
from nexus_signaling.recordings_endpoint import RecordingsEndpoint
from nexus_signaling.room_directory import PlacementRules, RoomDirectory
from nexus_signaling.tokens import TokenVerifier
from nexus_signaling.turn import ice_servers
from nexus_signaling.webhooks_endpoint import WebhooksEndpoint

log = structlog.get_logger()

_SNAPSHOTS_AT_ONCE = 32


class SignalingService:
    """A `nexus_runtime.Service`."""

    def __init__(self, config: SignalingConfig, runtime: Runtime) -> None:
        self._config = config
        self._runtime = runtime
        self.metrics = Metrics(runtime.metrics)
        self.nodes = NodeDirectory(runtime.clock, config.node_timeout_ms, config.node_silence_ms)
        self.sfu = SfuClient(
            runtime.metrics,
            timeout_ms=config.sfu_timeout_ms,
            join_timeout_ms=config.sfu_join_timeout_ms,
            tls=config.rpc_tls(),
        )
        apps = config.load_apps()
        keys = KeySource(apps, runtime.clock, refresh_ms=config.jwks_refresh_ms)
        verifier = TokenVerifier(keys, runtime.clock)
        rooms = self._make_rooms()
        feeds = RoomFeeds(runtime.bus, runtime.metrics, SharedEvent)
        participants = ParticipantDirectory(LazyKeyValue(runtime.bus, PARTICIPANTS), config.replica_id)
        services = Services(
            joiner=self._make_joiner(verifier, rooms, feeds),
            feeds=feeds,
            nodes=self.nodes,
            sfu=self.sfu,
            departures=Departures(self.sfu, participants, runtime.background, self.metrics),
            background=runtime.background,
            metrics=self.metrics,
            limits=config.session_limits(),
            outbox_messages=config.outbox_messages,
            outbox_bytes=config.outbox_bytes,
            snapshot_turns=asyncio.Semaphore(_SNAPSHOTS_AT_ONCE),
            clock=runtime.clock,
        )
        origins = OriginPolicy(config.allowed_origins(), config.development)
        self.gateway = Gateway(services, origins, config.max_connections, runtime.life)
        self._housekeeping = Housekeeping(runtime.bus, rooms, self.nodes, participants)
        budget = DataBudget(config.data_limits())
        data = DataEndpoint(verifier, rooms, self.sfu, budget, self.metrics, runtime.clock)
        self.recorder = RecorderClient(
            runtime.metrics,
            config.recorder_address,
            timeout_ms=config.recorder_timeout_ms,
            tls=config.rpc_tls(),
        )
        app_requests = AppBudget(
            "messages", config.recording_requests_per_second, config.recording_request_burst
        )
        recordings = RecordingsEndpoint(
            verifier,
            self.recorder,
            app_requests,
            origins,
            self.metrics,
            runtime.clock,
        )
        self.webhooks = WebhookDeliverer(
            [endpoint for app in apps.values() for endpoint in app.webhooks],
            [RECORDINGS],
            config.webhooks(),
            runtime.bus,
            runtime.clock,
            runtime.metrics,
            replica=config.replica_id,
            version=runtime.version,
            random_source=SystemRandom(),
        )
        hooks = WebhooksEndpoint(verifier, self.webhooks.overview, app_requests, runtime.clock)
        self.http = self._make_http(apps, origins, data, recordings, hooks)
        self._watch(runtime)

    def _watch(self, runtime: Runtime) -> None:
        self.nodes.on_gone(self.gateway.node_gone)
        runtime.bus.on_connection(self._on_connection)
        runtime.life.on_drain(lambda draining: self.webhooks.set_accepting(not draining))
        self.metrics.nodes.set_function(self.nodes.fresh_count)
        runtime.health.add_check("webhooks", self.webhooks.has_begun, required=True)
        # Advisory: without a node no client can join, but present sessions must continue.
        runtime.health.add_check("sfu_nodes", lambda: self.nodes.fresh_count() > 0, required=False)

    @property
    def port(self) -> int:
        return self.http.port

    async def start(self) -> Mapping[str, object]:
        """Raises ClientError if the port is in use."""
        config = self._config
        await self.http.start()
        if config.development and config.host not in ("127.0.0.1", "::1", "localhost"):
            log.warning(
                "development_mode_is_open", host=config.host, risk="any host of this network can mint tokens"
            )
        return {"host": config.host, "port": self.port, "development": config.development}

    def work(self) -> Mapping[str, Coroutine[Any, Any, None]]:
        return {
            "nodes": self.nodes.follow(LazyKeyValue(self._runtime.bus, NODES)),
            "closed-rooms": self._housekeeping.follow_closed_rooms(),
            "sweep": self._housekeeping.sweep_forever(self._config.sweep_ms),
            **self.webhooks.work(),
        }

    async def drain(self) -> None:
        """Ends all sessions, and waits until the SFUs have been notified. Leaves the webhooks to others."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.webhooks.drain(self._config.shutdown_ms))
            await self.gateway.shut_down(self._config.shutdown_ms)
            await self._runtime.background.finish(self._config.shutdown_ms)

    async def close(self) -> None:
        await self.webhooks.close()
        await self.http.close()
        await self.sfu.close()
        await self.recorder.close()

    def _make_http(
        self,
        apps: Mapping[str, App],
        origins: OriginPolicy,
        data: DataEndpoint,
        recordings: RecordingsEndpoint,
        webhooks: WebhooksEndpoint,
    ) -> HttpServer:
        config = self._config
        dev_tokens = None
        signing = next((app for app in apps.values() if app.secret is not None), None)
        if config.development and signing is not None:
            dev_tokens = DevTokens(signing, origins, config.public_url, self._runtime.clock)
        routes = Routes(
            gateway=self.gateway,
            data=data,
            recordings=recordings,
            webhooks=webhooks,
            health=self._runtime.health,
            demo=DemoPage(config.demo_dir) if config.demo_dir is not None else None,
            dev_tokens=dev_tokens,
            version=self._runtime.version,
        )
        return HttpServer(make_app(routes), config.host, config.port)

    def _make_rooms(self) -> RoomDirectory:
        rules = PlacementRules(
            region=self._config.region,
            node_timeout_ms=self._config.node_timeout_ms,
            max_rooms_per_app=self._config.max_rooms_per_app,
        )
        return RoomDirectory(
            LazyKeyValue(self._runtime.bus, ROOMS),
            self.nodes,
            rules,
            clock=self._runtime.clock,
            random_source=SystemRandom(),
            sfu=self.sfu,
        )

    def _make_joiner(
        self, verifier: TokenVerifier, rooms: RoomDirectory, feeds: RoomFeeds[SharedEvent]
    ) -> Joiner:
        terms = JoinTerms(
            ping_interval_ms=self._config.ping_interval_ms, server_version=self._runtime.version
        )
        return Joiner(verifier, rooms, self.nodes, feeds, self.sfu, self._ice_servers, terms)

    def _ice_servers(self, identity: str) -> list[media_pb2.IceServer]:
        return ice_servers(
            stun_urls=self._config.stun_urls,
            turn_urls=self._config.turn_urls,
            turn_secret=self._config.turn_secret.get_secret_value(),
            identity=identity,
            now_epoch_seconds=self._runtime.clock.epoch_ms() / 1000,
            ttl_seconds=self._config.turn_ttl_ms // 1000,
        )

    def _on_connection(self, connected: bool) -> None:
        if connected:
            self.nodes.note_connected()
