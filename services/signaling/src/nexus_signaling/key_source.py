"""Finds the key that a token names: in the configuration, in a file, or in a JWKS fetched over https, with a
bounded cache.

A JWKS is fetched when it is older than `refresh_ms`, and when a token names an unknown key (keys rotate), but
never more often than once per `miss_ms`. So forged tokens cannot flood the app's server with requests.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp
import structlog
from nexus.types.v1.error_pb2 import ErrorCode
from nexus_rpc import RpcError
from nexus_runtime import Clock

from nexus_signaling.keys import MAX_JWKS_BYTES, App, VerificationKey, parse_jwks

log = structlog.get_logger()

FETCH_TIMEOUT_SECONDS = 5.0


@dataclass(slots=True)
class _Cached:
    keys: dict[str, VerificationKey] = field(default_factory=dict)
    fetched_at_ms: int | None = None
    tried_at_ms: int | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class KeySource:
    def __init__(
        self,
        apps: Mapping[str, App],
        clock: Clock,
        *,
        refresh_ms: int = 600_000,
        miss_ms: int = 30_000,
    ) -> None:
        self._apps = apps
        self._clock = clock
        self._refresh_ms = refresh_ms
        self._miss_ms = miss_ms
        self._cached = {app_id: _Cached() for app_id, app in apps.items() if app.secret is None}
        self.fetches = 0

    def knows(self, app_id: str) -> bool:
        return app_id in self._apps

    async def key(self, app_id: str, key_id: str | None) -> VerificationKey:
        """The key of an app. Raises RpcError TOKEN_INVALID for an unknown app or key, and SERVICE_UNAVAILABLE
        if its JWKS has never been fetched."""
        app = self._apps.get(app_id)
        if app is None:
            raise RpcError(ErrorCode.TOKEN_INVALID, "The token's `iss` is not an app of this deployment.")
        if app.secret is not None:
            return VerificationKey("HS256", app.secret.encode())
        cached = self._cached[app_id]
        found = self._pick(cached, key_id)
        if found is None or self._is_old(cached):
            async with cached.lock:
                await self._refresh(app, cached, missing=self._pick(cached, key_id) is None)
            found = self._pick(cached, key_id)
        if found is not None:
            return found
        if cached.fetched_at_ms is None:
            raise RpcError(
                ErrorCode.SERVICE_UNAVAILABLE,
                "The app's keys cannot be fetched at the moment.",
                retry_after_ms=self._miss_ms,
            )
        raise RpcError(ErrorCode.TOKEN_INVALID, "The app has no key with the token's `kid`.")

    def _pick(self, cached: _Cached, key_id: str | None) -> VerificationKey | None:
        if key_id is None:
            # Without a `kid`, only a single key is unambiguous.
            return next(iter(cached.keys.values())) if len(cached.keys) == 1 else None
        return cached.keys.get(key_id)

    def _is_old(self, cached: _Cached) -> bool:
        return (
            cached.fetched_at_ms is None
            or self._clock.monotonic_ms() - cached.fetched_at_ms >= self._refresh_ms
        )

    async def _refresh(self, app: App, cached: _Cached, *, missing: bool) -> None:
        now_ms = self._clock.monotonic_ms()
        if cached.tried_at_ms is not None and now_ms - cached.tried_at_ms < self._miss_ms:
            return
        if not missing and not self._is_old(cached):
            return
        cached.tried_at_ms = now_ms
        self.fetches += 1
        try:
            cached.keys = parse_jwks(json.loads(await self._read(app)))
            cached.fetched_at_ms = now_ms
        except (OSError, ValueError, aiohttp.ClientError, TimeoutError) as error:
            # The old keys stay in use, so that clients can join while the app's JWKS is unavailable.
            log.warning("jwks_unavailable", app=app.app_id, error=type(error).__name__)

    async def _read(self, app: App) -> bytes:
        if app.jwks_file is not None:
            return await asyncio.to_thread(app.jwks_file.read_bytes)
        assert app.jwks_url is not None
        timeout = aiohttp.ClientTimeout(total=FETCH_TIMEOUT_SECONDS)
        async with (
            aiohttp.ClientSession(timeout=timeout) as client,
            client.get(
                app.jwks_url, allow_redirects=False, headers={"Accept": "application/json"}
            ) as response,
        ):
            if response.status != 200:
                raise ValueError(f"status {response.status}")
            body = bytearray()
            async for chunk in response.content.iter_chunked(16 * 1024):
                body += chunk
                if len(body) > MAX_JWKS_BYTES:
                    raise ValueError("the JWKS is too large")
            return bytes(body)
