"""`/livez`, `/readyz` and `/metrics`, the endpoints for orchestrators and Prometheus.

Live means that the event loop answers. Ready means that *new* work may be sent to this process. A check is
either *required* (its failure makes the service not ready) or *advisory* (its failure is only reported). The
broker's check is advisory wherever media flows: an outage of the broker must not make an orchestrator kill
healthy calls on every replica at once (livekit #4663: an outage of 7 minutes became one of 53). A check that
raises or is too slow has failed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Self

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest

CHECK_TIMEOUT_SECONDS = 2.0

Check = Callable[[], bool | Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class CheckResult:
    ok: bool
    required: bool
    error: str | None = None


class Health:
    """The named checks, and whether the service has started and takes new work.

    `draining` returns the drain state, which `Life` holds.
    """

    def __init__(self, draining: Callable[[], bool]) -> None:
        self._checks: dict[str, tuple[Check, bool]] = {}
        self._draining = draining
        self._started = False

    def add_check(self, name: str, check: Check, *, required: bool) -> None:
        if name in self._checks:
            raise ValueError(f"check {name!r} already exists")
        self._checks[name] = (check, required)

    @property
    def draining(self) -> bool:
        """Whether the service continues its present work and accepts no new work."""
        return self._draining()

    @property
    def started(self) -> bool:
        return self._started

    def note_started(self) -> None:
        """Records that the service has started; before this it is not ready."""
        self._started = True

    async def ready(self) -> bool:
        """Whether new work may be sent to this process."""
        return self.is_ready(await self.results())

    def is_ready(self, results: Mapping[str, CheckResult]) -> bool:
        failed = any(result.required and not result.ok for result in results.values())
        return self._started and not self.draining and not failed

    async def results(self) -> Mapping[str, CheckResult]:
        names = list(self._checks)
        results = await asyncio.gather(*(self._run(*self._checks[name]) for name in names))
        return dict(zip(names, results, strict=True))

    async def _run(self, check: Check, required: bool) -> CheckResult:
        try:
            answer = check()
            if not isinstance(answer, bool):
                async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
                    answer = await answer
        except TimeoutError:
            return CheckResult(False, required, "timeout")
        except Exception as error:
            # Only the type: a message may contain an address or a credential, and this page has no login.
            return CheckResult(False, required, type(error).__name__)
        return CheckResult(answer, required)


class HealthServer:
    """Serves a `Health` over HTTP. Port 0 takes a free port; `self.port` is the port in use."""

    def __init__(self, health: Health, host: str, port: int, registry: CollectorRegistry = REGISTRY) -> None:
        self._health = health
        self._host = host
        self._port = port
        self._registry = registry
        self._runner: web.AppRunner | None = None

    @property
    def port(self) -> int:
        return self._port

    async def start(self) -> None:
        app = web.Application()
        app.add_routes(
            [
                web.get("/livez", self._livez),
                web.get("/readyz", self._readyz),
                web.get("/metrics", self._metrics),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()
        self._port = self._runner.addresses[0][1]

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def _livez(self, _request: web.Request) -> web.Response:
        return web.json_response({"live": True})

    async def _readyz(self, _request: web.Request) -> web.Response:
        results = await self._health.results()
        ready = self._health.is_ready(results)
        body = {
            "ready": ready,
            "started": self._health.started,
            "draining": self._health.draining,
            "checks": {
                name: {"ok": result.ok, "required": result.required}
                | ({"error": result.error} if result.error else {})
                for name, result in results.items()
            },
        }
        return web.json_response(body, status=200 if ready else 503)

    async def _metrics(self, _request: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )
