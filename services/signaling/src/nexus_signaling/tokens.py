"""Tokens: JWTs (RFC 7519) that an app's server mints and a client presents when it joins.

Claims: `iss` (the app's key id), `sub` (the identity), `room`, `exp` (all required); `nbf`, `iat`, `jti`,
`name`, `metadata`, `attributes` (object of strings), `grants` (object of booleans), `url` (for SDKs). Without
the claim `grants`, a token allows creating the room, publishing, subscribing and sending data; with it, only
the grants that are true.

A token is checked at the join. Its later expiry does not end the session.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import jwt
from nexus.types.v1 import media_pb2
from nexus.types.v1.error_pb2 import ErrorCode
from nexus_rpc import RpcError
from nexus_runtime import Clock

from nexus_signaling.core.texts import check_attributes, check_metadata, check_name, is_name, utf8_size
from nexus_signaling.key_source import KeySource

MAX_TOKEN_BYTES: Final = 32 * 1024
ISSUED_LEEWAY_SECONDS: Final = 30
MAX_ID_BYTES: Final = 256
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
_DEFAULT_GRANTS: Final = ("create", "publish", "subscribe", "data")


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a verified token."""

    app: str
    identity: str
    room: str
    grants: media_pb2.Grants
    expires_at: float
    token_id: str = ""
    name: str | None = None
    metadata: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


def default_grants() -> media_pb2.Grants:
    return media_pb2.Grants(**dict.fromkeys(_DEFAULT_GRANTS, True))


class TokenVerifier:
    def __init__(self, keys: KeySource, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock

    async def verify(self, token: str, *, app_id: str, room: str | None) -> Claims:
        """Verifies a token and returns its claims. It must be for `room` (None: any room) and `app_id`
        (empty: any app). Raises RpcError."""
        if not token:
            raise RpcError(ErrorCode.TOKEN_MISSING, "No token was sent.")
        header, unverified = _peek(token)
        app = unverified.get("iss")
        if not isinstance(app, str):
            raise _invalid("`iss` is missing")
        # Checked before the signature, so that a developer with two apps finds the cause; it reveals nothing.
        if app_id and app_id != app:
            raise RpcError(ErrorCode.APP_MISMATCH, "`app_id` is not the token's `iss`.")
        key_id = header.get("kid")
        key = await self._keys.key(app, key_id if isinstance(key_id, str) else None)
        payload = _verified_payload(token, key.key, key.algorithm)
        claims = _claims(payload)
        self._check_times(payload, claims.expires_at)
        if room is not None and claims.room != room:
            raise RpcError(ErrorCode.ROOM_MISMATCH, "The requested room is not the token's `room`.")
        return claims

    def _check_times(self, payload: Mapping[str, Any], expires_at: float) -> None:
        now = self._clock.epoch_ms() / 1000
        if now >= expires_at:
            raise RpcError(
                ErrorCode.TOKEN_EXPIRED, "The token has expired.", details={"expired_at": round(expires_at)}
            )
        for name in ("nbf", "iat"):
            at = _time(payload, name)
            if at is not None and at > now + ISSUED_LEEWAY_SECONDS:
                raise RpcError(
                    ErrorCode.TOKEN_NOT_YET_VALID,
                    f"The token's `{name}` lies in the future.",
                    details={"valid_at": round(at)},
                )


def _invalid(why: str) -> RpcError:
    return RpcError(ErrorCode.TOKEN_INVALID, f"The token cannot be accepted: {why}.")


def _peek(token: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The unverified header and payload, only for finding the key."""
    size = utf8_size(token)
    if size is None or size > MAX_TOKEN_BYTES:
        raise _invalid("it is too long")
    try:
        unverified = jwt.decode_complete(token, options={"verify_signature": False})
    except Exception as error:  # a hostile token can raise any exception in the parser
        raise _invalid("it is not a JWT") from error
    header, payload = unverified["header"], unverified["payload"]
    if "crit" in header:
        # RFC 7515 §4.1.11: extensions that are not understood make a token invalid, and this server has none.
        raise _invalid("it requires an extension that this server does not support")
    return header, payload


def _verified_payload(token: str, key: Any, algorithm: str) -> Mapping[str, Any]:
    # `_check_times` checks the times with the service's clock; only the key determines the algorithm (RFC
    # 8725 §3.1).
    unchecked = ("exp", "nbf", "iat", "aud", "sub", "jti", "iss")
    options: Any = {f"verify_{name}": False for name in unchecked}
    try:
        payload: Mapping[str, Any] = jwt.decode(token, key, algorithms=[algorithm], options=options)
    except jwt.InvalidAlgorithmError as error:
        raise _invalid("its algorithm does not match the app's key") from error
    except Exception as error:
        raise _invalid("its signature is wrong") from error
    return payload


def _claims(payload: Mapping[str, Any]) -> Claims:
    expires_at = _time(payload, "exp")
    if expires_at is None:
        raise _invalid("`exp` is missing")
    claims = Claims(
        app=_name(payload, "iss"),
        identity=_name(payload, "sub"),
        room=_name(payload, "room"),
        grants=_grants(payload.get("grants")),
        expires_at=expires_at,
        token_id=_text(payload, "jti") or "",
        name=_text(payload, "name"),
        metadata=_text(payload, "metadata"),
        attributes=_attributes(payload.get("attributes")),
    )
    if (utf8_size(claims.token_id) or 0) > MAX_ID_BYTES:
        raise _invalid("`jti` is too long")
    try:
        check_name(claims.name or "", "name")
        check_metadata(claims.metadata or "")
        check_attributes(claims.attributes)
    except RpcError as refused:
        raise _invalid(refused.message.rstrip(".")) from refused
    return claims


def _time(payload: Mapping[str, Any], name: str) -> float | None:
    value = payload.get(name)
    if value is None:
        return None
    # Python's JSON parser accepts Infinity and NaN, and True is an int.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _invalid(f"`{name}` is not a number")
    try:
        seconds = float(value)
    except OverflowError:
        seconds = math.inf
    if not math.isfinite(seconds):
        raise _invalid(f"`{name}` is not a number")
    return seconds


def _name(payload: Mapping[str, Any], name: str) -> str:
    value = payload.get(name)
    if not isinstance(value, str) or not is_name(value):
        raise _invalid(f"`{name}` must be a text of 1 to 256 bytes")
    return value


def _text(payload: Mapping[str, Any], name: str) -> str | None:
    value = payload.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or utf8_size(value) is None:
        raise _invalid(f"`{name}` is not valid text")
    return value


def _attributes(value: Any) -> Mapping[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise _invalid("`attributes` is not an object of texts")
    return value


def _grants(value: Any) -> media_pb2.Grants:
    if value is None:
        return default_grants()
    if not isinstance(value, dict):
        raise _invalid("`grants` is not an object")
    grants = media_pb2.Grants()
    for name in GRANTS:
        granted = value.get(name, False)
        if not isinstance(granted, bool):
            raise _invalid(f"`grants.{name}` is not true or false")
        setattr(grants, name, granted)
    return grants
