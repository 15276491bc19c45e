"""A real HTTP server that receives webhooks, verifies them, and answers as a test says."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from standardwebhooks import Webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

Respond = Callable[["Received", web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Received:
    id: str
    type: str
    data: dict[str, Any]
    headers: dict[str, str]

    @property
    def room(self) -> str:
        return str(self.data["room"])

    @property
    def number(self) -> int:
        return int(self.data["number"])


async def accept(_received: Received, _request: web.Request) -> web.StreamResponse:
    return web.Response(status=204)


def status(code: int, **headers: str) -> Respond:
    async def respond(_received: Received, _request: web.Request) -> web.StreamResponse:
        return web.Response(status=code, headers=headers)

    return respond


@dataclass
class Receiver:
    """`received` has every request in the order of arrival, `accepted` those that were answered with 2xx."""

    url: str
    respond: Respond = accept
    secret: str = SECRET
    received: list[Received] = field(default_factory=list)
    accepted: list[Received] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        document = Webhook(self.secret).verify(body, headers)  # raises if it is not genuine
        received = Received(headers["webhook-id"], document["type"], document["data"], headers)
        self.received.append(received)
        self.arrived.set()
        answer = await self.respond(received, request)
        if 200 <= answer.status < 300:
            self.accepted.append(received)
        return answer

    def numbers(self, room: str) -> list[int]:
        """The numbers of the accepted events of a room, without repetitions."""
        seen: dict[str, int] = {}
        for received in self.accepted:
            if received.room == room:
                seen.setdefault(received.id, received.number)
        return list(seen.values())


@asynccontextmanager
async def receiver(respond: Respond = accept, path: str = "/hook") -> AsyncIterator[Receiver]:
    app = web.Application(client_max_size=4 << 20)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    running = Receiver("", respond)
    app.router.add_post(path, running.handle)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    running.url = f"http://127.0.0.1:{runner.addresses[0][1]}{path}"
    try:
        yield running
    finally:
        await runner.cleanup()
