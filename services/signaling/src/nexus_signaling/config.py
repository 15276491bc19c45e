"""Signaling's configuration, read from the environment once, in `__main__`."""

import secrets
from collections.abc import Iterator
from pathlib import Path

from nexus_rooms import NodesConfig
from nexus_rpc import RpcConfig
from nexus_runtime import ConfigError, TextList, service_settings, setting
from nexus_webhooks import DelivererConfig, QueueLimits, SenderConfig
from pydantic import SecretStr, field_validator

from nexus_signaling.core.data_budget import DataLimits
from nexus_signaling.core.limits import SessionLimits
from nexus_signaling.keys import App, load_apps_file, parse_apps


class SignalingConfig(NodesConfig, RpcConfig):
    model_config = service_settings("NEXUS_SIGNALING_")

    host: str = setting(
        "127.0.0.1", reason="clients connect through a proxy that terminates TLS; containers set 0.0.0.0"
    )
    port: int = setting(7880, unit="port", reason="SDKs and the demo expect this port", ge=0, le=65535)
    replica_id: str = setting("", reason="this replica's name in logs and records; empty: a random one")
    region: str = setting("", reason="SFU nodes of the same region are preferred")
    development: bool = setting(
        False,
        reason="allows weak secrets, localhost origins and POST /v1/dev/token; never on the internet",
        validation_alias="NEXUS_DEV",
    )
    apps: SecretStr = setting(
        SecretStr(""),
        reason="apps that sign with a shared secret: id:secret,id:secret",
        validation_alias="NEXUS_APPS",
    )
    apps_file: Path | None = setting(
        None,
        reason="JSON file of apps, for secrets in files, JWKS and webhooks",
        validation_alias="NEXUS_APPS_FILE",
    )
    origins: TextList = setting((), reason="web origins that may join, separated by commas; * allows all")
    public_url: str = setting("", reason="the `url` in development tokens; empty: the page's own origin")
    demo_dir: Path | None = setting(None, reason="the built demo page, served at /; unset: no demo")

    max_connections: int = setting(10_000, unit="connections", reason="open WebSockets of this replica", ge=1)
    max_rooms_per_app: int = setting(
        10_000, unit="rooms", reason="one app must not fill every node; 0: no limit", ge=0
    )
    max_message_bytes: int = setting(
        256 * 1024, unit="bytes", reason="after inflation; an offer has 20 to 40 kB", ge=1024
    )
    messages_per_second: float = setting(
        50.0, unit="1/s", reason="of each client; a busy client sends one or two", gt=0
    )
    message_burst: int = setting(
        100, unit="messages", reason="messages that may exceed the rate at once", ge=1
    )
    bytes_per_second: int = setting(
        1 << 20, unit="bytes/s", reason="of each client; the cost of parsing grows with size", ge=1024
    )
    bytes_burst: int = setting(2 << 20, unit="bytes", reason="a few offers at once", ge=1024)
    max_rate_limited: int = setting(
        100, unit="messages", reason="refused messages before the session is closed", ge=1
    )
    max_malformed: int = setting(
        8, unit="messages", reason="malformed messages before the session is closed", ge=1
    )
    data_messages_per_second: float = setting(
        100.0, unit="1/s", reason="POST /v1/data, of each app; each message may have 256 KiB", gt=0
    )
    data_message_burst: int = setting(
        200, unit="messages", reason="messages that may exceed that rate at once", ge=1
    )
    data_bytes_per_second: int = setting(
        4 << 20, unit="bytes/s", reason="as much as one participant may send; the SFU multiplies it", ge=1024
    )
    data_bytes_burst: int = setting(4 << 20, unit="bytes", reason="the bytes of one second at once", ge=1024)
    recorder_address: str = setting(
        "", reason="host:port of the recorder for /v1/recordings; empty: this deployment has none"
    )
    recorder_timeout_ms: int = setting(
        10_000, unit="ms", reason="a start probes the store, which may be slow", gt=0
    )
    recording_requests_per_second: float = setting(
        20.0, unit="1/s", reason="requests about recordings and webhooks, of each app", gt=0
    )
    recording_request_burst: int = setting(
        60, unit="requests", reason="a page of recordings, with a link of each", ge=1
    )
    webhook_timeout_ms: int = setting(
        15_000, unit="ms", reason="of one attempt; Standard Webhooks recommends 15 to 30 s", gt=0
    )
    webhook_attempts_at_once: int = setting(
        8, unit="attempts", reason="to one endpoint; a slow one must not be flooded", ge=1
    )
    webhook_attempts_in_all: int = setting(
        256, unit="attempts", reason="of this replica; 32 endpoints may be slow and delay no other", ge=1
    )
    webhook_waiting_rooms: int = setting(
        500,
        unit="rooms",
        reason="with undelivered events, of one endpoint; one message of the broker must hold them",
        ge=1,
        le=1000,
    )
    webhook_allow_http: bool = setting(
        False, reason="allows http:// URLs of webhooks; events are then readable on the network"
    )
    webhook_allow_private: bool = setting(
        False, reason="allows webhooks to addresses of private networks, where other services may listen"
    )
    join_timeout_ms: int = setting(10_000, unit="ms", reason="the first message must be the join", gt=0)
    ping_interval_ms: int = setting(10_000, unit="ms", reason="three silent intervals end a session", gt=0)
    outbox_messages: int = setting(
        2048,
        unit="messages",
        reason="queued for a slow client: enough for a full room that joins at once",
        ge=1,
    )
    outbox_bytes: int = setting(
        8 << 20,
        unit="bytes",
        reason="the same in bytes: 200 participants with 32 KiB of metadata and attributes each",
        ge=1024,
    )

    sfu_join_timeout_ms: int = setting(10_000, unit="ms", reason="of joins and offers, which parse SDP", gt=0)
    sweep_ms: int = setting(
        60_000, unit="ms", reason="interval for removing records of rooms whose node is gone", gt=0
    )
    shutdown_ms: int = setting(
        10_000, unit="ms", reason="how long SIGTERM waits for sessions to close and SFUs to be notified", gt=0
    )
    jwks_refresh_ms: int = setting(600_000, unit="ms", reason="keys rotate slowly", gt=0)

    stun_urls: TextList = setting((), reason="stun: URLs for clients, separated by commas")
    turn_urls: TextList = setting((), reason="turn: and turns: URLs for clients, separated by commas")
    turn_secret: SecretStr = setting(
        SecretStr(""), reason="the secret shared with the TURN server (REST credentials)"
    )
    turn_ttl_ms: int = setting(6 * 3_600_000, unit="ms", reason="longer than most calls", ge=60_000)

    @field_validator("replica_id")
    @classmethod
    def _name_the_replica(cls, replica_id: str) -> str:
        return replica_id or f"sig-{secrets.token_hex(4)}"

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        if self.turn_urls and not self.turn_secret.get_secret_value():
            yield "NEXUS_SIGNALING_TURN_SECRET: required with NEXUS_SIGNALING_TURN_URLS"
        try:
            self.load_apps()
        except ConfigError as error:
            yield from error.problems

    def log_fields(self) -> dict[str, str]:
        return {"replica": self.replica_id}

    def load_apps(self) -> dict[str, App]:
        """All apps from both sources, by id. Raises ConfigError."""
        apps = parse_apps(self.apps.get_secret_value(), development=self.development)
        if self.apps_file is not None:
            apps |= load_apps_file(
                self.apps_file, development=self.development, webhooks_over_http=self.webhook_allow_http
            )
        if not apps:
            raise ConfigError(
                ["NEXUS_APPS or NEXUS_APPS_FILE: no app is configured, so no client could join"]
            )
        return apps

    def allowed_origins(self) -> frozenset[str]:
        return frozenset(origin.lower().rstrip("/") for origin in self.origins)

    def webhooks(self) -> DelivererConfig:
        return DelivererConfig(
            sender=SenderConfig(
                timeout_ms=self.webhook_timeout_ms,
                max_connections=self.webhook_attempts_in_all,
                allow_private=self.webhook_allow_private or self.development,
            ),
            limits=QueueLimits(
                max_attempts_at_once=self.webhook_attempts_at_once,
                max_waiting_rooms=self.webhook_waiting_rooms,
            ),
        )

    def session_limits(self) -> SessionLimits:
        return SessionLimits(
            join_timeout_ms=self.join_timeout_ms,
            ping_interval_ms=self.ping_interval_ms,
            messages_per_second=self.messages_per_second,
            message_burst=self.message_burst,
            bytes_per_second=self.bytes_per_second,
            bytes_burst=max(self.bytes_burst, self.max_message_bytes),
            max_rate_limited=self.max_rate_limited,
            max_malformed=self.max_malformed,
            max_message_bytes=self.max_message_bytes,
        )

    def data_limits(self) -> DataLimits:
        return DataLimits(
            messages_per_second=self.data_messages_per_second,
            message_burst=self.data_message_burst,
            bytes_per_second=self.data_bytes_per_second,
            bytes_burst=self.data_bytes_burst,
        )
