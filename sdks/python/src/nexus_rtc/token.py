"""Tokens with which an application's server lets its users join (JWT, RFC 7519, HS256).

Use this on a server only: the app's secret can sign for any identity.
"""

import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import jwt

GRANTS: Final = (
    "create",
    "publish",
    "subscribe",
    "data",
    "hidden",
    "recorder",
    "admin",
    "record",
    "transcribe",
)
"""The grants of a token, as in its `grants` claim."""

USUAL_GRANTS: Final = ("create", "publish", "subscribe", "data")
"""The grants of an ordinary participant, who may also create the room by joining it."""

# Minimum size of a secret: the size of the hash (RFC 7518 section 3.2).
SHORTEST_SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class App:
    """An app of the deployment: its key id (the token's `iss`) and its secret."""

    key_id: str
    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.key_id:
            raise ValueError("the app's key id is empty")
        if len(self.secret.encode()) < SHORTEST_SECRET_BYTES:
            raise ValueError(
                f"the secret needs at least {SHORTEST_SECRET_BYTES} bytes (RFC 7518 section 3.2)"
            )


def mint_token(
    app: App,
    *,
    room: str,
    identity: str,
    name: str = "",
    grants: Iterable[str] = USUAL_GRANTS,
    ttl_seconds: int = 3600,
    attributes: Mapping[str, str] | None = None,
    url: str = "",
    now: float | None = None,
) -> str:
    """Signs a token for one identity in one room. Raises ValueError for an unknown grant, an empty room or
    identity, or a lifetime that is not positive."""
    issued_at = int(time.time() if now is None else now)  # noqa: TID251 - `iat` and `exp` are dates
    claims = _claims(app, room, identity, sorted(set(grants)), ttl_seconds, issued_at)
    if name:
        claims["name"] = name
    if attributes:
        claims["attributes"] = dict(attributes)
    if url:
        claims["url"] = url
    return jwt.encode(claims, app.secret, algorithm="HS256")


def _claims(
    app: App, room: str, identity: str, grants: list[str], ttl_seconds: int, now: int
) -> dict[str, Any]:
    if not room or not identity:
        raise ValueError("room and identity must not be empty")
    if ttl_seconds <= 0:
        raise ValueError("a token must live for at least a second")
    unknown = [grant for grant in grants if grant not in GRANTS]
    if unknown:
        raise ValueError(f"unknown grant {unknown[0]!r}; there are {', '.join(GRANTS)}")
    return {
        "iss": app.key_id,
        "sub": identity,
        "room": room,
        "grants": dict.fromkeys(grants, True),
        "iat": now,
        "exp": now + ttl_seconds,
        "jti": secrets.token_urlsafe(12),
    }


def unverified_claims(token: str) -> dict[str, Any]:
    """Reads the claims of a token without verifying them; only the server can. Raises ValueError."""
    try:
        claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    except jwt.InvalidTokenError as error:
        raise ValueError(f"not a token: {error}") from None
    return claims
