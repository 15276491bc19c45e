"""Signaling's HTTP port: the WebSocket, data from applications' servers, recordings, webhooks, health, the
demo page, and in development its tokens."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog
from aiohttp import web
from nexus_runtime import ClientError, Health

from nexus_signaling.data_endpoint import DataEndpoint
from nexus_signaling.demo import DemoPage
from nexus_signaling.dev_token import MAX_BODY_BYTES, DevTokens
from nexus_signaling.gateway import Gateway
from nexus_signaling.recordings_endpoint import RecordingsEndpoint
from nexus_signaling.web_socket import confirm_independent_messages
from nexus_signaling.webhooks_endpoint import WebhooksEndpoint

log = structlog.get_logger()

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Routes:
    gateway: Gateway
    data: DataEndpoint
    recordings: RecordingsEndpoint
    webhooks: WebhooksEndpoint
    health: Health
    demo: DemoPage | None = None
    dev_tokens: DevTokens | None = None
    version: str = ""


def make_app(routes: Routes) -> web.Application:
    app = web.Application(middlewares=[_plain_errors], client_max_size=MAX_BODY_BYTES)
    app.on_response_prepare.append(confirm_independent_messages)
    app.router.add_get("/v1/rtc", routes.gateway.handle)
    app.router.add_post("/v1/data", routes.data.handle)
    routes.recordings.add_routes(app.router)
    routes.webhooks.add_routes(app.router)
    app.router.add_get("/livez", _livez)
    app.router.add_get("/readyz", _readyz_of(routes.health))
    if routes.dev_tokens is not None:
        app.router.add_post("/v1/dev/token", routes.dev_tokens.mint)
        app.router.add_options("/v1/dev/token", routes.dev_tokens.preflight)
    if routes.demo is not None:
        app.router.add_get("/{path:.*}", routes.demo.handle)
    else:
        app.router.add_get("/", _name_of(routes.version))
    return app


async def _livez(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"live": True})


def _readyz_of(health: Health) -> Handler:
    async def readyz(_request: web.Request) -> web.StreamResponse:
        """Without details, because this port is public; the operator's health port has them."""
        ready = await health.ready()
        return web.json_response({"ready": ready}, status=200 if ready else 503)

    return readyz


def _name_of(version: str) -> Handler:
    async def name(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"service": "nexus-signaling", "version": version})

    return name


@web.middleware
async def _plain_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answers a defect without exposing a stack trace."""
    try:
        return await handler(request)
    except web.HTTPException:
        raise
    except Exception:
        log.exception("request_failed", path=request.path)
        return web.json_response({"code": "INTERNAL"}, status=500)


class HttpServer:
    """Serves an application. Port 0 takes a free port; `self.port` is the port in use."""

    def __init__(self, app: web.Application, host: str, port: int) -> None:
        # `Gateway.shut_down` ends the handlers of WebSockets; the runner waits only for the remaining
        # requests.
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        self._host = host
        self.port = port

    async def start(self) -> None:
        """Raises ClientError if the address is not available."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self.port).start()
        except OSError as error:
            await self._runner.cleanup()
            message = f"cannot listen: {error.strerror or error}"
            raise ClientError("PORT_UNAVAILABLE", message, host=self._host, port=self.port) from error
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        await self._runner.cleanup()
