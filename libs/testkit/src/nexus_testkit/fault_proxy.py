"""An HTTP proxy in front of a real server that fails on demand: it answers itself, breaks the connection,
does not answer, or cuts an answer off.

    async with FaultProxy(server.url) as proxy:
        proxy.inject(Answer(503, headers={"Retry-After": "2"}), times=1, methods=("PUT",))

Requests are passed on byte for byte, with their `Host`, so that signatures stay valid.
"""

import asyncio
import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import aiohttp
from aiohttp import web
from yarl import URL

# Header fields of one hop (RFC 9110 section 7.6.1), and the length, which aiohttp writes itself.
_HOP = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "content-length"}
)


@dataclass(frozen=True, slots=True)
class Answer:
    """The proxy answers; the server does not see the request."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection is reset (TCP RST): before the server sees the request, or, with `served`, after it
    has carried the request out."""

    served: bool = False


@dataclass(frozen=True, slots=True)
class Hang:
    """No answer comes; the server does not see the request. The proxy's end releases the connection."""


@dataclass(frozen=True, slots=True)
class Truncate:
    """The connection ends after this many bytes of the answer's body, which announces its whole length."""

    after: int


Fault = Answer | Reset | Hang | Truncate


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as it arrived. The names of its header fields are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    size: int


@dataclass(slots=True)
class _Plan:
    fault: Fault
    left: int
    skip: int
    methods: Sequence[str]
    containing: str


class FaultProxy:
    """Forwards to the server at `target` (``http://host:port``). `seen` lists all requests."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._plans: list[_Plan] = []
        self._released = asyncio.Event()
        self._session: aiohttp.ClientSession | None = None
        self._runner: web.ServerRunner | None = None
        self._port = 0
        self.seen: list[Seen] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def inject(
        self,
        fault: Fault,
        *,
        times: int = 1,
        skip: int = 0,
        methods: Sequence[str] = (),
        containing: str = "",
    ) -> None:
        """Applies a fault to the next `times` requests, after the first `skip` of them, that have one of
        the methods (any if empty) and whose target contains a text."""
        self._plans.append(_Plan(fault, times, skip, methods, containing))

    @property
    def pending(self) -> bool:
        """Whether a fault waits for requests that have not come yet."""
        return any(plan.left for plan in self._plans)

    def clear(self) -> None:
        """Forgets the faults that have not been applied, and releases the requests that hang."""
        self._plans.clear()
        self._released.set()
        self._released = asyncio.Event()

    def _next_fault(self, request: web.BaseRequest) -> Fault | None:
        for plan in self._plans:
            if (
                plan.left
                and plan.containing in request.raw_path
                and (request.method in plan.methods or not plan.methods)
            ):
                if plan.skip:
                    plan.skip -= 1
                    return None
                plan.left -= 1
                return plan.fault
        return None

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.content.read()  # request.read() has a limit
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.seen.append(Seen(request.method, request.raw_path, headers, len(body)))
        fault = self._next_fault(request)
        match fault:
            case Answer(status=status, headers=fields, body=content):
                return web.Response(status=status, headers=fields, body=content)
            case Reset(served=False):
                return self._reset(request)
            case Hang():
                await self._released.wait()
                return self._reset(request)
        assert self._session is not None
        forwarded = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
        async with self._session.request(
            request.method,
            URL(self._target + request.raw_path, encoded=True),
            data=body or None,
            headers=forwarded,
            skip_auto_headers=("Content-Type", "User-Agent", "Accept", "Accept-Encoding"),
            allow_redirects=False,
        ) as answer:
            content = await answer.read()
            if isinstance(fault, Reset):
                return self._reset(request)
            fields = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP}
            if request.method == "HEAD":
                fields["Content-Length"] = answer.headers.get("Content-Length", "0")
                return web.Response(status=answer.status, headers=fields)
            if isinstance(fault, Truncate):
                return await self._truncate(request, answer.status, fields, content, fault.after)
            return web.Response(status=answer.status, headers=fields, body=content)

    async def _truncate(
        self, request: web.BaseRequest, status: int, fields: Mapping[str, str], content: bytes, after: int
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=status, headers={**fields, "Content-Length": str(len(content))})
        await response.prepare(request)
        await response.write(content[:after])
        if request.transport is not None:
            request.transport.close()
        return response

    def _reset(self, request: web.BaseRequest) -> web.Response:
        transport = request.transport
        if transport is not None:
            # Without lingering, closing sends RST instead of FIN.
            transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            transport.abort()
        return web.Response()

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(auto_decompress=False)
        self._runner = runner = web.ServerRunner(web.Server(self._handle))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self._port = runner.addresses[0][1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._released.set()
        if self._session is not None:
            await self._session.close()
        if self._runner is not None:
            await self._runner.cleanup()
