"""Tokens: what an application's own server gives to its users so that they may join (JWT, RFC 7519, HS256).

This belongs on a server: whoever holds the app's secret can be anybody.
"""

import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import jwt

GRANTS: Final = ("create", "publish", "subscribe", "data", "hidden", "recorder", "admin")
"""What a token can allow, in the words of the `grants` claim."""

USUAL_GRANTS: Final = ("create", "publish", "subscribe", "data")
"""What somebody who takes part in a call needs, and may open the room by joining it."""

# A key shorter than the hash is weaker than the hash (RFC 7518 section 3.2).
SHORTEST_SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class App:
    """An application as signaling knows it: the key's id (the token's `iss`) and the secret that signs."""

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
    """A signed token for one identity in one room. Raises ValueError for an unknown grant, an empty room or
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
    """What a token says, without proof: only the server can tell whether it is genuine. Raises ValueError."""
    try:
        claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    except jwt.InvalidTokenError as error:
        raise ValueError(f"not a token: {error}") from None
    return claims
