"""The HTTP port: refused handshakes, health, the demo page and development tokens."""

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
from nexus_runtime import ConfigError
from nexus_signaling.config import SignalingConfig
from nexus_signaling.origins import OriginPolicy
from nexus_testkit import wait_until
from pydantic import SecretStr

from services.signaling.tests.harness import APP, SECRET, Harness

UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Protocol": "nexus.v1",
}
PRODUCTION: dict[str, Any] = {"development": False, "origins": "https://app.example, https://two.example/"}


async def handshake(harness: Harness, **headers: str) -> tuple[int, dict[str, Any]]:
    """Status and body of a handshake; 101 if it was accepted."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    async with harness.http.get(f"{harness.url}/v1/rtc", headers=UPGRADE | names) as response:
        return response.status, {} if response.status == 101 else json.loads(await response.text())


@pytest.mark.parametrize("offered", ["", "nexus.v2", "nexus.v1.jso", "graphql-ws, nexus"])
async def test_an_unknown_subprotocol_is_refused_with_the_known_ones(harness: Harness, offered: str) -> None:
    status, body = await handshake(harness, Sec_WebSocket_Protocol=offered)
    assert status == 400
    assert body["code"] == "UNSUPPORTED_SUBPROTOCOL"
    assert body["fatal"] is True
    assert body["details"] == {"supported": "nexus.v1, nexus.v1.json"}
    assert harness.metric("handshakes_refused_total", code="UNSUPPORTED_SUBPROTOCOL") == 1


async def test_the_first_known_subprotocol_is_chosen(harness: Harness) -> None:
    async with harness.http.ws_connect(
        f"{harness.url}/v1/rtc", protocols=["unknown", "nexus.v1.json", "nexus.v1"]
    ) as socket:
        assert socket.protocol == "nexus.v1.json"


async def test_compression_is_negotiated(harness: Harness) -> None:
    client = await harness.connect(compress=15)
    assert client.socket.compress == 15
    client = await harness.connect(compress=0)
    assert client.socket.compress == 0


@pytest.mark.parametrize(
    ("offered", "agreed"),
    [
        ("", None),
        ("permessage-deflate", "permessage-deflate"),
        ("permessage-deflate; client_max_window_bits", "permessage-deflate"),
        (
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        ),
        (
            "x-unknown, permessage-deflate;client_no_context_takeover",
            "permessage-deflate; client_no_context_takeover",
        ),
        ("x-unknown; client_no_context_takeover", None),
    ],
)
async def test_a_client_without_context_takeover_is_answered_accordingly(
    harness: Harness, offered: str, agreed: str | None
) -> None:
    """RFC 7692 section 7.1.1.2: gorilla/websocket refuses a handshake that does not repeat the parameter."""
    upgrade = UPGRADE | ({"Sec-WebSocket-Extensions": offered} if offered else {})
    async with harness.http.get(f"{harness.url}/v1/rtc", headers=upgrade) as response:
        assert response.status == 101
        assert response.headers.get("Sec-WebSocket-Extensions") == agreed


async def test_a_plain_request_to_the_websocket_is_refused(harness: Harness) -> None:
    async with harness.http.get(
        f"{harness.url}/v1/rtc", headers={"Sec-WebSocket-Protocol": "nexus.v1"}
    ) as response:
        assert response.status == 400
        assert (await response.json())["code"] == "INVALID_MESSAGE"


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://app.example", 101),
        ("HTTPS://TWO.EXAMPLE", 101),
        ("https://app.example.evil.example", 403),
        ("http://app.example", 403),
        ("http://localhost:5173", 403),
        ("null", 403),
        ("", 403),
        ("\N{LATIN SMALL LETTER E WITH ACUTE}", 403),
    ],
)
async def test_production_accepts_only_listed_origins(origin: str, status: int) -> None:
    async with Harness(**PRODUCTION) as harness:
        assert (await handshake(harness, Origin=origin))[0] == status


async def test_a_client_without_an_origin_is_accepted() -> None:
    async with Harness(**PRODUCTION) as harness:
        assert (await handshake(harness))[0] == 101


@pytest.mark.parametrize(
    ("origin", "permitted"),
    [
        ("http://localhost:5173", True),
        ("https://127.0.0.1", True),
        ("http://[::1]:8080", True),
        ("http://demo.localhost", True),
        ("http://192.168.0.9:7880", True),  # the server's own page, seen from the next machine
        ("http://192.168.0.9:7881", False),
        ("https://evil.example", False),
        ("http://localhost.evil.example", False),
        ("file://localhost", False),
        ("http://[", False),
        ("null", False),
    ],
)
def test_development_accepts_local_pages(origin: str, permitted: bool) -> None:
    assert OriginPolicy(frozenset(), development=True).permits(origin, "192.168.0.9:7880") is permitted


async def test_a_full_server_refuses_the_handshake() -> None:
    async with Harness(max_connections=1) as harness:
        await harness.connect()
        status, body = await handshake(harness)
        assert (status, body["code"]) == (503, "SERVICE_UNAVAILABLE")
        assert body["retryAfterMs"] > 0


async def test_health(harness: Harness) -> None:
    async with harness.http.get(f"{harness.url}/livez") as response:
        assert response.status == 200
    async with harness.http.get(f"{harness.url}/readyz") as response:
        assert (response.status, await response.json()) == (200, {"ready": True})
    harness.bus.set_connected(False)  # type: ignore[attr-defined]  # an outage of the broker is no reason to be killed
    async with harness.http.get(f"{harness.url}/readyz") as response:
        assert response.status == 200
    harness.runtime.life.drain()
    async with harness.http.get(f"{harness.url}/readyz") as response:
        assert response.status == 503


async def test_without_a_demo_the_root_names_the_service(harness: Harness) -> None:
    async with harness.http.get(f"{harness.url}/") as response:
        assert (await response.json())["service"] == "nexus-signaling"
    async with harness.http.get(f"{harness.url}/x") as response:
        assert response.status == 404


@pytest.fixture
def page(tmp_path: Path) -> Path:
    folder = tmp_path / "dist"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>demo</title>é")
    (folder / "recordings.html").write_text("<!doctype html><title>recordings</title>")
    (folder / "assets" / "app-1a2b.js").write_text("export {};")
    (folder / "assets" / "app-1a2b.css").write_text("body{}")
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    return folder


async def test_the_demo_page_and_its_headers(page: Path) -> None:
    async with Harness(demo_dir=page) as harness:
        for path in ("/", "/?room=a%20b", "/index.html"):
            async with harness.http.get(harness.url + path) as response:
                assert response.status == 200
                assert response.headers["Content-Type"] == "text/html; charset=utf-8"
                assert response.headers["Cache-Control"] == "no-cache"
                assert "default-src 'self'" in response.headers["Content-Security-Policy"]
                assert response.headers["X-Content-Type-Options"] == "nosniff"
                assert "camera=(self)" in response.headers["Permissions-Policy"]
                assert "demo" in await response.text()
        async with harness.http.get(f"{harness.url}/assets/app-1a2b.js") as response:
            assert response.headers["Content-Type"] == "text/javascript; charset=utf-8"
            assert "immutable" in response.headers["Cache-Control"]
            etag = response.headers["ETag"]
        headers = {"If-None-Match": etag}
        async with harness.http.get(f"{harness.url}/assets/app-1a2b.js", headers=headers) as response:
            assert response.status == 304
        async with harness.http.get(f"{harness.url}/livez") as response:
            assert await response.json() == {"live": True}


async def test_only_the_page_of_recordings_may_load_media_of_other_origins(page: Path) -> None:
    async with Harness(demo_dir=page) as harness:
        policies = []
        for path in ("/recordings?room=a", "/recordings.html", "/"):
            async with harness.http.get(harness.url + path) as response:
                assert response.status == 200
                assert ("recordings" in await response.text()) == ("recordings" in path)
                policies.append(response.headers["Content-Security-Policy"])
    assert ["media-src 'self' http: https: " in policy for policy in policies] == [True, True, False]
    assert {policy.replace(" http: https:", "") for policy in policies} == {policies[2]}


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/link.txt",
        "/assets",
        "/none.js",
        "/%00",
        "/" + "x" * 5000,
        "//etc/passwd",
    ],
)
async def test_nothing_outside_the_demos_folder_is_served(page: Path, path: str) -> None:
    async with Harness(demo_dir=page) as harness:
        reader_url = harness.url.removeprefix("http://")
        host, port = reader_url.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        assert answer.split(b" ", 2)[1] in (b"404", b"400")
        assert b"secret" not in answer.split(b"\r\n\r\n", 1)[1]
        assert b"Traceback" not in answer


async def test_a_demo_that_is_not_built_says_how_to_build_it(tmp_path: Path) -> None:
    async with Harness(demo_dir=tmp_path / "none") as harness, harness.http.get(harness.url) as response:
        assert response.status == 503
        assert "make demo" in await response.text()


async def ask_token(harness: Harness, body: Any, **headers: str) -> tuple[int, Any, aiohttp.ClientResponse]:
    async with harness.http.post(f"{harness.url}/v1/dev/token", json=body, headers=headers) as response:
        text = await response.text()
        return response.status, json.loads(text) if text.startswith("{") else text, response


async def test_a_development_token_joins(harness: Harness) -> None:
    status, body, response = await ask_token(harness, {"room": "a.b", "identity": "ü", "name": "Ü"})
    assert status == 200
    assert body["app_id"] == APP
    assert response.headers["Cache-Control"] == "no-store"
    client = await harness.connect()
    reply = await client.join(body["token"], room="a.b", app_id=APP)
    assert (reply.join.participant.identity, reply.join.participant.name) == ("ü", "Ü")
    assert "url" not in jwt.decode(body["token"], SECRET, algorithms=["HS256"])


async def test_a_development_token_may_record_only_on_request(harness: Harness) -> None:
    granted = []
    for body in ({}, {"record": False}, {"record": True}):
        _, answer, _ = await ask_token(harness, {"room": "r", "identity": "i", **body})
        client = await harness.connect()
        granted.append((await client.join(answer["token"], room="r", app_id=APP)).join.grants.record)
    assert granted == [False, False, True]


async def test_a_page_of_another_local_origin_receives_the_url(harness: Harness) -> None:
    origin = "http://localhost:5173"
    _, body, response = await ask_token(harness, {"room": "r", "identity": "i"}, Origin=origin)
    assert response.headers["Access-Control-Allow-Origin"] == origin
    assert jwt.decode(body["token"], SECRET, algorithms=["HS256"])["url"] == harness.url
    async with harness.http.options(f"{harness.url}/v1/dev/token", headers={"Origin": origin}) as preflight:
        assert preflight.status == 204
        assert preflight.headers["Access-Control-Allow-Headers"] == "content-type"


async def test_a_page_of_a_foreign_origin_receives_no_token(harness: Harness) -> None:
    status, _, response = await ask_token(
        harness, {"room": "r", "identity": "i"}, Origin="https://evil.example"
    )
    assert status == 403
    assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"room": "", "identity": "i"},
        {"room": "r"},
        {"room": 5, "identity": "i"},
        {"room": "r", "identity": "i", "record": "yes"},
        {"room": "r" * 300, "identity": "i"},
    ],
)
async def test_a_malformed_token_request_is_refused(harness: Harness, body: Any) -> None:
    assert (await ask_token(harness, body))[0] == 400


async def test_a_token_request_that_is_not_json_is_refused(harness: Harness) -> None:
    for data, kind in ((b"{", "application/json"), (b"[" * 4096, "application/json"), (b"{}", "text/plain")):
        async with harness.http.post(
            f"{harness.url}/v1/dev/token", data=data, headers={"Content-Type": kind}
        ) as response:
            assert response.status == 400
    async with harness.http.post(f"{harness.url}/v1/dev/token", json={"room": "x" * 5000}) as response:
        assert response.status == 413


async def test_production_mints_no_tokens() -> None:
    async with Harness(**PRODUCTION) as harness:
        status, _, _ = await ask_token(harness, {"room": "r", "identity": "i"})
        assert status == 404


async def test_shutdown_notifies_clients_and_leaves_rooms(harness: Harness) -> None:
    client, _ = await harness.joined("ann")
    harness.runtime.life.stop()
    ending = asyncio.create_task(harness.service.drain())
    farewell = await client.event("disconnected")
    assert farewell.disconnected.can_rejoin
    assert await client.closed() == 1001
    await ending
    await wait_until(lambda: not harness.room().participants)


@pytest.mark.parametrize(
    "fields",
    [
        {"apps": SecretStr("")},
        {"apps": SecretStr("devkey:short")},
        {"apps_file": Path("/nonexistent/apps.json")},
    ],
)
async def test_a_service_without_usable_apps_does_not_start(fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        SignalingConfig.from_env(**({"apps": SecretStr(f"{APP}:{SECRET}")} | fields)).load_apps()


def test_turn_without_its_secret_is_a_configuration_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXUS_SIGNALING_TURN_URLS", "turn:x")
    with pytest.raises(ConfigError):
        SignalingConfig.load()
