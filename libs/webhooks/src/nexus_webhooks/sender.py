"""Sends one webhook to one endpoint, and says what became of it.

Redirects are not followed, private addresses are refused, and of the answer only the status and `Retry-After`
are used. The body of an answer is read only so far that the connection can be used again, and never logged.
"""

import asyncio
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, Literal

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from nexus_runtime import Clock

from nexus_webhooks.addresses import AddressRefused, checked_sockets
from nexus_webhooks.endpoints import Endpoint
from nexus_webhooks.event import WebhookEvent
from nexus_webhooks.signing import signed_headers

# How much of an answer's body is read, and for how long.
MAX_ANSWER_BYTES: Final = 16 * 1024
ANSWER_SECONDS: Final = 1.0
# How long to send nothing after a 429 that does not say how long.
DEFAULT_PAUSE_MS: Final = 5_000
# Threads that resolve names: a resolver that hangs for some names must leave threads for the others.
RESOLVING_THREADS: Final = 16
_TOO_MANY_REQUESTS: Final = 429
_UNAVAILABLE: Final = 503
_GONE: Final = 410

FailureReason = Literal[
    "timeout", "connection", "tls", "refused_address", "http_3xx", "http_4xx", "http_5xx", "http_other"
]


@dataclass(frozen=True, slots=True)
class Accepted:
    """The endpoint answered with 2xx."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The attempt failed. `retry_after_ms` is how long the endpoint asks to wait; with `pauses`, it asks this
    for all events. `status` is 0 if there was no answer."""

    reason: FailureReason
    status: int = 0
    retry_after_ms: int = 0
    pauses: bool = False


@dataclass(frozen=True, slots=True)
class GoneForever:
    """The endpoint answered with 410: it wants nothing any more."""


Answer = Accepted | Refused | GoneForever


@dataclass(frozen=True, slots=True)
class SenderConfig:
    # Longest time of one attempt, from the resolution of the name to the answer's headers.
    timeout_ms: int = 15_000
    # Connections to all endpoints.
    max_connections: int = 256
    # Whether endpoints may have addresses of private networks.
    allow_private: bool = False


class Sender:
    """Use `open` and `close` in the event loop that sends."""

    def __init__(self, config: SenderConfig, clock: Clock, user_agent: str) -> None:
        self._config = config
        self._clock = clock
        self._user_agent = user_agent
        self._client: aiohttp.ClientSession | None = None

    def open(self) -> None:
        connector = aiohttp.TCPConnector(
            limit=self._config.max_connections,
            resolver=_Resolver(),
            socket_factory=checked_sockets(allow_private=self._config.allow_private),
        )
        self._client = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=self._config.timeout_ms / 1000),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def post(self, endpoint: Endpoint, event: WebhookEvent) -> Answer:
        """Makes one attempt."""
        if self._client is None:
            raise RuntimeError("the sender is not open")
        headers = signed_headers(event, endpoint.secrets, self._clock.epoch_ms())
        headers |= {"Content-Type": "application/json", "User-Agent": self._user_agent}
        try:
            async with self._client.post(
                endpoint.url, data=event.body, headers=headers, allow_redirects=False
            ) as response:
                answer = self._answer(response)
                await _finish(response)
                return answer
        except TimeoutError:
            return Refused("timeout")
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError, ssl.SSLError):
            return Refused("tls")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Refused("refused_address" if _was_refused(error) else "connection")

    def _answer(self, response: aiohttp.ClientResponse) -> Answer:
        status = response.status
        if 200 <= status < 300:
            return Accepted()
        if status == _GONE:
            return GoneForever()
        retry_after_ms = self._retry_after_ms(response.headers.get("Retry-After", ""))
        pauses = status == _TOO_MANY_REQUESTS or (status == _UNAVAILABLE and retry_after_ms > 0)
        if pauses and not retry_after_ms:
            retry_after_ms = DEFAULT_PAUSE_MS
        return Refused(_reason(status), status, retry_after_ms, pauses)

    def _retry_after_ms(self, text: str) -> int:
        """The delay of `Retry-After` (RFC 9110 §10.2.3): seconds or a date; 0 if there is none."""
        if text.isascii() and text.isdigit() and len(text) <= 9:
            return int(text) * 1000
        try:
            at = parsedate_to_datetime(text)
        except (ValueError, TypeError, IndexError):
            return 0
        if at.tzinfo is None:
            at = at.replace(tzinfo=UTC)
        now = datetime.fromtimestamp(self._clock.epoch_ms() / 1000, UTC)
        return max(0, round((at - now).total_seconds() * 1000))


def _reason(status: int) -> FailureReason:
    match status // 100:
        case 3:
            return "http_3xx"
        case 4:
            return "http_4xx"
        case 5:
            return "http_5xx"
        case _:
            return "http_other"


def _was_refused(error: BaseException | None) -> bool:
    """Whether an error, or one of its causes, is the refusal of an address."""
    seen = 0
    while error is not None and seen < 8:
        if isinstance(error, AddressRefused):
            return True
        nested = getattr(error, "os_error", None)
        error = nested if isinstance(nested, BaseException) else error.__cause__ or error.__context__
        seen += 1
    return False


async def _finish(response: aiohttp.ClientResponse) -> None:
    """Reads a short body, so that the connection can be used again; closes the connection otherwise. The
    answer counts whatever happens here."""
    left = MAX_ANSWER_BYTES
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            while left > 0 and not response.content.at_eof():
                left -= len(await response.content.read(left))
    except (aiohttp.ClientError, OSError, TimeoutError):
        left = 0
    if left <= 0:
        response.close()


class _Resolver(AbstractResolver):
    """The system's resolver in threads of its own. Those of the event loop are few, and others need them."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(RESOLVING_THREADS, thread_name_prefix="webhook-dns")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await asyncio.get_running_loop().run_in_executor(
            self._threads,
            lambda: socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM),
        )
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
