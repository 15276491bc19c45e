"""Tokens: valid ones, and every way in which one can be invalid."""

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st
from nexus.types.v1.error_pb2 import ErrorCode
from nexus_rpc import RpcError
from nexus_runtime import ConfigError
from nexus_signaling.key_source import KeySource
from nexus_signaling.keys import App, load_apps_file, parse_apps, parse_jwks
from nexus_signaling.tokens import Claims, TokenVerifier
from nexus_testkit import ManualClock

NOW = 1_800_000_000.0
CLOCK = ManualClock(NOW)
SECRET = "a-secret-of-thirty-two-bytes-or-more"
OTHER_SECRET = "another-secret-of-thirty-two-bytes-or-more"
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ED_KEY = ed25519.Ed25519PrivateKey.generate()
RSA_PEM = RSA_KEY.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)


def jwk(key: Any, kid: str) -> dict[str, Any]:
    algorithm = (
        jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.OKPAlgorithm
    )
    return dict(algorithm.to_jwk(key.public_key(), as_dict=True)) | {"kid": kid}


def payload(**claims: Any) -> dict[str, Any]:
    base = {"iss": "app", "sub": "ann", "room": "lobby", "exp": NOW + 60}
    return {name: value for name, value in (base | claims).items() if value is not None}


def signed(key: Any = SECRET, algorithm: str = "HS256", headers: Any = None, **claims: Any) -> str:
    return jwt.encode(payload(**claims), key, algorithm=algorithm, headers=headers)


def raw_token(header: dict[str, Any], body: Any, secret: bytes = b"") -> str:
    """A token that no library would create."""

    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    head = f"{part(header)}.{part(body)}"
    digest = hmac.new(secret, head.encode(), hashlib.sha256).digest() if secret else b""
    return f"{head}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


@pytest.fixture(scope="module")
def jwks_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("jwks") / "keys.json"
    symmetric = {"kty": "oct", "kid": "sym", "k": base64.urlsafe_b64encode(SECRET.encode()).decode()}
    small = jwk(rsa.generate_private_key(public_exponent=65537, key_size=1024), "small")  # noqa: S505 - is to be refused
    keys = [jwk(RSA_KEY, "rsa"), jwk(ED_KEY, "ed"), symmetric, small, {"kty": "RSA"}, 5]
    path.write_text(json.dumps({"keys": keys}))
    return path


@pytest.fixture
def verifier(jwks_file: Path) -> TokenVerifier:
    apps = {
        "app": App("app", secret=SECRET),
        "other": App("other", secret=OTHER_SECRET),
        "jwks": App("jwks", jwks_file=jwks_file),
    }
    return TokenVerifier(KeySource(apps, ManualClock()), CLOCK)


async def verify(verifier: TokenVerifier, token: str, app_id: str = "", room: str = "lobby") -> Claims:
    return await verifier.verify(token, app_id=app_id, room=room)


async def refusal(verifier: TokenVerifier, token: str, app_id: str = "", room: str = "lobby") -> str:
    with pytest.raises(RpcError) as caught:
        await verify(verifier, token, app_id, room)
    assert token not in caught.value.message or not token
    return ErrorCode.Name(caught.value.code)


async def test_the_claims_of_a_valid_token(verifier: TokenVerifier) -> None:
    token = signed(
        name="Ann",
        metadata="m",
        attributes={"a": "b"},
        jti="t1",
        iat=NOW,
        nbf=NOW,
        grants={"publish": True, "admin": True, "unknown": True, "data": False},
    )
    claims = await verify(verifier, token, app_id="app")
    assert (claims.app, claims.identity, claims.room, claims.name, claims.metadata, claims.token_id) == (
        "app",
        "ann",
        "lobby",
        "Ann",
        "m",
        "t1",
    )
    assert claims.attributes == {"a": "b"}
    granted = {field.name for field, value in claims.grants.ListFields() if value}
    assert granted == {"publish", "admin"}


async def test_without_a_grants_claim_participants_may_publish(verifier: TokenVerifier) -> None:
    claims = await verify(verifier, signed())
    granted = {field.name for field, value in claims.grants.ListFields() if value}
    assert granted == {"create", "publish", "subscribe", "data"}


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"exp": NOW}, "TOKEN_EXPIRED"),
        ({"exp": NOW - 1e6}, "TOKEN_EXPIRED"),
        ({"exp": None}, "TOKEN_INVALID"),
        ({"exp": float("inf")}, "TOKEN_INVALID"),
        ({"exp": float("nan")}, "TOKEN_INVALID"),
        ({"exp": True}, "TOKEN_INVALID"),
        ({"exp": 10**400}, "TOKEN_INVALID"),
        ({"exp": [1]}, "TOKEN_INVALID"),
        ({"nbf": NOW + 31}, "TOKEN_NOT_YET_VALID"),
        ({"iat": NOW + 31}, "TOKEN_NOT_YET_VALID"),
        ({"iss": None}, "TOKEN_INVALID"),
        ({"iss": "nobody"}, "TOKEN_INVALID"),
        ({"sub": None}, "TOKEN_INVALID"),
        ({"sub": ""}, "TOKEN_INVALID"),
        ({"sub": "é" * 129}, "TOKEN_INVALID"),
        ({"sub": "\ud800"}, "TOKEN_INVALID"),
        ({"room": None}, "TOKEN_INVALID"),
        ({"room": ["lobby"]}, "TOKEN_INVALID"),
        ({"room": "elsewhere"}, "ROOM_MISMATCH"),
        ({"grants": ["publish"]}, "TOKEN_INVALID"),
        ({"grants": {"admin": "yes"}}, "TOKEN_INVALID"),
        ({"attributes": {"a": 1}}, "TOKEN_INVALID"),
        ({"attributes": [1]}, "TOKEN_INVALID"),
        ({"attributes": {"\ud800": ""}}, "TOKEN_INVALID"),
        ({"metadata": "x" * 20_000}, "TOKEN_INVALID"),
        ({"name": 5}, "TOKEN_INVALID"),
        ({"name": "n" * 300}, "TOKEN_INVALID"),
        ({"jti": "x" * 300}, "TOKEN_INVALID"),
    ],
)
async def test_invalid_claims_are_refused(verifier: TokenVerifier, claims: dict[str, Any], code: str) -> None:
    body = payload(**claims)
    token = raw_token({"alg": "HS256", "typ": "JWT"}, body, SECRET.encode())
    assert await refusal(verifier, token) == code


async def test_small_differences_of_clocks_are_tolerated(verifier: TokenVerifier) -> None:
    assert (await verify(verifier, signed(iat=NOW + 29, nbf=NOW + 29))).identity == "ann"


@pytest.mark.parametrize(
    "room", [">", "a.b", "*", "ü 漢字 🎉", " spaced ", "../..", "x" * 256, "\u202e", "'\"<b>"]
)
async def test_hostile_names_are_accepted(verifier: TokenVerifier, room: str) -> None:
    claims = await verify(verifier, signed(room=room, sub=room), room=room)
    assert (claims.room, claims.identity) == (room, room)


async def test_a_missing_token_and_text_that_is_not_a_jwt(verifier: TokenVerifier) -> None:
    assert await refusal(verifier, "") == "TOKEN_MISSING"
    for text in ("x", "a.b.c", "...", "\ud800", "e30.e30.", signed()[:-5], "x" * 100_000, signed() + ".x"):
        assert await refusal(verifier, text) == "TOKEN_INVALID"


@given(st.text(max_size=200))
async def test_arbitrary_text_is_refused(text: str) -> None:
    verifier = TokenVerifier(KeySource({"app": App("app", secret=SECRET)}, ManualClock()), CLOCK)
    with pytest.raises(RpcError):
        await verify(verifier, text)


async def test_forged_tokens_are_refused(verifier: TokenVerifier) -> None:
    good = signed()
    head, body, signature = good.split(".")
    admin = (
        base64.urlsafe_b64encode(json.dumps(payload(grants={"admin": True})).encode()).rstrip(b"=").decode()
    )
    assert await refusal(verifier, f"{head}.{admin}.{signature}") == "TOKEN_INVALID"
    assert await refusal(verifier, f"{head}.{body}.") == "TOKEN_INVALID"
    assert await refusal(verifier, signed(key="wrong-secret-of-thirty-two-bytes-or-more")) == "TOKEN_INVALID"
    assert await refusal(verifier, signed(key=OTHER_SECRET)) == "TOKEN_INVALID"


@pytest.mark.parametrize("alg", ["none", "None", "HS384", "HS512", "RS256", "EdDSA", "", None, 5])
async def test_the_key_determines_the_algorithm(verifier: TokenVerifier, alg: Any) -> None:
    for secret in (b"", SECRET.encode()):
        assert await refusal(verifier, raw_token({"alg": alg}, payload(), secret)) == "TOKEN_INVALID"


async def test_a_public_key_cannot_be_an_hmac_secret(verifier: TokenVerifier) -> None:
    for kid in ("rsa", "ed", "sym"):
        forged = raw_token({"alg": "HS256", "kid": kid}, payload(iss="jwks"), RSA_PEM)
        assert await refusal(verifier, forged) == "TOKEN_INVALID"
    symmetric = raw_token({"alg": "HS256", "kid": "sym"}, payload(iss="jwks"), SECRET.encode())
    assert await refusal(verifier, symmetric) == "TOKEN_INVALID"


async def test_unknown_critical_extensions_are_refused(verifier: TokenVerifier) -> None:
    token = raw_token({"alg": "HS256", "crit": ["x"], "x": 1}, payload(), SECRET.encode())
    assert await refusal(verifier, token) == "TOKEN_INVALID"


async def test_jwks_keys_verify_with_their_own_algorithm(verifier: TokenVerifier) -> None:
    rs = signed(RSA_KEY, "RS256", {"kid": "rsa"}, iss="jwks")
    ed = signed(ED_KEY, "EdDSA", {"kid": "ed"}, iss="jwks")
    assert (await verify(verifier, rs)).app == "jwks"
    assert (await verify(verifier, ed)).app == "jwks"
    assert await refusal(verifier, signed(RSA_KEY, "RS512", {"kid": "rsa"}, iss="jwks")) == "TOKEN_INVALID"
    assert await refusal(verifier, signed(ED_KEY, "EdDSA", {"kid": "rsa"}, iss="jwks")) == "TOKEN_INVALID"
    assert await refusal(verifier, signed(RSA_KEY, "RS256", iss="jwks")) == "TOKEN_INVALID"  # ambiguous
    for kid in ("small", "nobody"):
        assert await refusal(verifier, signed(RSA_KEY, "RS256", {"kid": kid}, iss="jwks")) == "TOKEN_INVALID"


async def test_a_key_verifies_only_tokens_of_its_app(verifier: TokenVerifier) -> None:
    assert await refusal(verifier, signed(key=OTHER_SECRET, iss="app")) == "TOKEN_INVALID"
    assert (await verify(verifier, signed(key=OTHER_SECRET, iss="other"))).app == "other"
    assert await refusal(verifier, signed(), app_id="other") == "APP_MISMATCH"


class JwksServer:
    """An app's server that publishes its keys and counts requests."""

    def __init__(self) -> None:
        self.body = b""
        self.status = 200
        self.requests = 0
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def __aenter__(self) -> "JwksServer":
        app = web.Application()
        app.router.add_get("/keys", self._keys)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/keys"
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _keys(self, _request: web.Request) -> web.Response:
        self.requests += 1
        return web.Response(body=self.body, status=self.status)

    def publish(self, *keys: dict[str, Any]) -> None:
        self.body = json.dumps({"keys": keys}).encode()


async def test_a_jwks_is_fetched_cached_and_refreshed_when_keys_rotate() -> None:
    clock = ManualClock()
    async with JwksServer() as server:
        server.publish(jwk(RSA_KEY, "old"))
        source = KeySource({"jwks": App("jwks", jwks_url=server.url)}, clock)
        verifier = TokenVerifier(source, CLOCK)
        old = signed(RSA_KEY, "RS256", {"kid": "old"}, iss="jwks")
        new = signed(ED_KEY, "EdDSA", {"kid": "new"}, iss="jwks")
        for _ in range(3):
            await verify(verifier, old)
        assert server.requests == 1

        server.publish(jwk(ED_KEY, "new"))
        for _ in range(3):  # invented key ids cause no requests to the app's server
            assert await refusal(verifier, new) == "TOKEN_INVALID"
        assert server.requests == 1
        clock.advance(31)
        await verify(verifier, new)
        assert await refusal(verifier, old) == "TOKEN_INVALID"
        assert server.requests == 2

        server.status = 500
        clock.advance(601)
        await verify(verifier, new)  # the app's server is down: the cached keys stay in use
        assert server.requests == 3


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"keys": 5}', b"x" * 300_000, b'{"keys": [' + b"{}," * 99 + b"{}]}"]
)
async def test_an_invalid_jwks_is_not_blamed_on_the_token(body: bytes) -> None:
    async with JwksServer() as server:
        server.body = body
        source = KeySource({"jwks": App("jwks", jwks_url=server.url)}, ManualClock())
        token = signed(RSA_KEY, "RS256", {"kid": "rsa"}, iss="jwks")
        assert await refusal(TokenVerifier(source, CLOCK), token) == "SERVICE_UNAVAILABLE"


def test_unsupported_keys_of_a_jwks_are_ignored() -> None:
    assert parse_jwks({"keys": [{"kty": "EC"}, {"kty": "OKP", "crv": "X25519", "x": "AA"}, None]}) == {}


def test_apps_are_read_from_text_and_files(tmp_path: Path) -> None:
    apps = parse_apps(f"one:{SECRET}, two:{OTHER_SECRET},", development=False)
    assert set(apps) == {"one", "two"}
    assert SECRET not in repr(apps)
    path = tmp_path / "apps.json"
    path.write_text(json.dumps({"apps": [{"id": "a", "secret": SECRET}, {"id": "b", "jwks_file": "k.json"}]}))
    assert load_apps_file(path, development=False)["b"].jwks_file == tmp_path / "k.json"


@pytest.mark.parametrize("text", ["x", ":y", "x:", "a:short", f"{'a' * 300}:{SECRET}"])
def test_errors_about_apps_do_not_contain_secrets(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_apps(text, development=False)
    assert "short" not in str(caught.value)


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"id": "a"},
        {"id": "a", "secret": SECRET, "jwks_url": "https://x"},
        {"id": "a", "jwks_url": "http://x"},
        5,
    ],
)
def test_invalid_app_files_are_refused(tmp_path: Path, entry: Any) -> None:
    path = tmp_path / "apps.json"
    path.write_text(json.dumps({"apps": [entry]}))
    with pytest.raises(ConfigError):
        load_apps_file(path, development=False)
