"""The configured apps: the keys that verify their tokens, and the endpoints of their webhooks.

An app either shares a secret with the server (HS256) or publishes a JWKS (RFC 7517) of RSA and Ed25519 keys.
The key determines the algorithm, never the token, so that a public key cannot be used as an HMAC secret (RFC
8725 §3.1).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from nexus_runtime import ConfigError
from nexus_webhooks import RECORDINGS, Endpoint, EndpointRules, parse_endpoints

Algorithm = Literal["HS256", "RS256", "EdDSA"]

# Minimum size of a secret: that of the hash (RFC 7518 §3.2).
MIN_SECRET_BYTES: Final = 32
# Minimum size of an RSA key (RFC 7518 §3.3).
MIN_RSA_BITS: Final = 2048
MAX_JWKS_KEYS: Final = 64
MAX_JWKS_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A key and the only algorithm with which it may be used."""

    algorithm: Algorithm
    key: bytes | RSAPublicKey | Ed25519PublicKey

    def __repr__(self) -> str:
        return f"VerificationKey({self.algorithm})"


@dataclass(frozen=True, slots=True)
class App:
    """An app's key id, with either a secret or the location of its JWKS, and where its webhooks are sent."""

    app_id: str
    secret: str | None = None
    jwks_url: str | None = None
    jwks_file: Path | None = None
    webhooks: tuple[Endpoint, ...] = ()

    def __repr__(self) -> str:
        return f"App({self.app_id!r})"


def parse_jwks(document: Any) -> dict[str, VerificationKey]:
    """Keys by key id. Keys that cannot verify RS256 or EdDSA, such as symmetric ones, are ignored. Raises
    ValueError."""
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list) or len(keys) > MAX_JWKS_KEYS:
        raise ValueError("not a JWKS, or it has too many keys")
    found: dict[str, VerificationKey] = {}
    for entry in keys:
        if (
            isinstance(entry, dict)
            and entry.get("kty") in ("RSA", "OKP")
            and entry.get("use", "sig") == "sig"
        ):
            key = _verification_key(entry)
            if key is not None:
                found[str(entry.get("kid", ""))] = key
    return found


def _verification_key(entry: dict[str, Any]) -> VerificationKey | None:
    try:
        key = jwt.PyJWK.from_dict(entry, algorithm="RS256" if entry["kty"] == "RSA" else "EdDSA").key
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    if (
        isinstance(key, RSAPublicKey)
        and key.key_size >= MIN_RSA_BITS
        and entry.get("alg", "RS256") == "RS256"
    ):
        return VerificationKey("RS256", key)
    if isinstance(key, Ed25519PublicKey):
        return VerificationKey("EdDSA", key)
    return None


def parse_apps(text: str, *, development: bool) -> dict[str, App]:
    """Parses `id:secret,id:secret`. Raises ConfigError."""
    apps: dict[str, App] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        app_id, separator, secret = part.partition(":")
        if not separator or not app_id or not secret:
            raise ConfigError(["NEXUS_APPS: each entry must be <app id>:<secret>"])
        apps[app_id] = _checked(App(app_id, secret=secret), development=development)
    return apps


def load_apps_file(path: Path, *, development: bool, webhooks_over_http: bool = False) -> dict[str, App]:
    """Reads `{"apps": [{"id": …, "secret": … | "jwks_url": … | "jwks_file": …, "webhooks": […]}]}`. Raises
    ConfigError."""
    faults: list[str] = []
    rules = EndpointRules(RECORDINGS.types, allow_http=webhooks_over_http or development)
    try:
        document = json.loads(path.read_text())
        entries: list[Mapping[str, Any]] = document["apps"]
        apps = [
            App(
                app_id=str(entry["id"]),
                secret=entry.get("secret"),
                jwks_url=entry.get("jwks_url"),
                jwks_file=Path(path.parent, entry["jwks_file"]) if "jwks_file" in entry else None,
                webhooks=_webhooks(str(entry["id"]), entry, rules, faults),
            )
            for entry in entries
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        # Without the parser's message, which might quote a secret.
        raise ConfigError(["NEXUS_APPS_FILE: cannot be read as a list of apps"]) from None
    if faults:
        raise ConfigError(faults)
    return {app.app_id: _checked(app, development=development) for app in apps}


def _webhooks(
    app_id: str, entry: Mapping[str, Any], rules: EndpointRules, faults: list[str]
) -> tuple[Endpoint, ...]:
    endpoints, found = parse_endpoints(app_id, entry.get("webhooks", []), rules)
    faults += [f"NEXUS_APPS_FILE: app {app_id!r}: {fault}" for fault in found]
    return tuple(endpoints)


def _checked(app: App, *, development: bool) -> App:
    sources = [source for source in (app.secret, app.jwks_url, app.jwks_file) if source]
    if not app.app_id or len(app.app_id.encode()) > 256 or len(sources) != 1:
        raise ConfigError([f"app {app.app_id!r} needs an id and one of secret, jwks_url, jwks_file"])
    if app.secret is not None and not development and len(app.secret.encode()) < MIN_SECRET_BYTES:
        raise ConfigError(
            [
                f"app {app.app_id!r}: in production a secret must have at least {MIN_SECRET_BYTES} bytes "
                "(RFC 7518 section 3.2)"
            ]
        )
    if app.jwks_url is not None and not development and not app.jwks_url.startswith("https://"):
        raise ConfigError([f"app {app.app_id!r}: the URL of a JWKS must be https"])
    return app
