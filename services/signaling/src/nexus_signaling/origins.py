"""The web origins that may open a session (RFC 6455 §10.2) or request a development token (CORS).

A client that is not a browser sends no Origin and is accepted; its token authorises it.
"""

from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class OriginPolicy:
    """`allowed` holds origins as browsers send them (`https://app.example`), or `*` for all."""

    allowed: Collection[str]
    development: bool

    def permits(self, origin: str | None, host: str) -> bool:
        """Whether pages of `origin` are accepted. `host` is the request's Host header: in development the
        server's own page is always accepted."""
        if origin is None or "*" in self.allowed or origin.lower() in self.allowed:
            return True
        if not self.development:
            return False
        try:
            parts = urlsplit(origin)
            hostname = parts.hostname or ""
        except ValueError:
            return False
        if parts.scheme not in ("http", "https"):
            return False
        local = hostname in _LOCAL_HOSTS or hostname.endswith(".localhost")
        return local or parts.netloc.lower() == host.lower()
