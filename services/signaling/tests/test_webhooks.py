"""Webhooks as an operator configures them for signaling."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from nexus.recorder.v1 import recording_pb2
from nexus_bus import MemoryBus, StreamSpec, subjects
from nexus_runtime import ConfigError
from nexus_signaling.config import SignalingConfig
from nexus_signaling.keys import load_apps_file
from nexus_testkit import wait_until
from pydantic import SecretStr
from standardwebhooks import Webhook

from services.signaling.tests.harness import APP, SECRET, Harness, grants, mint

HOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ADMIN: dict[str, Any] = grants(admin=True)
RECORD: dict[str, Any] = grants(record=True)


def apps_file(folder: Path, **endpoint: Any) -> Path:
    path = folder / "apps.json"
    entry = {"url": "https://shop.example/hook", "secret": HOOK_SECRET} | endpoint
    path.write_text(json.dumps({"apps": [{"id": APP, "secret": SECRET, "webhooks": [entry]}]}))
    return path


@asynccontextmanager
async def app_server(*statuses: int) -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """A URL, and the webhooks that it receives. It answers with these statuses, and then with 200."""
    received: list[dict[str, Any]] = []
    answers = list(statuses)

    async def hook(request: web.Request) -> web.Response:
        received.append(Webhook(HOOK_SECRET).verify(await request.read(), dict(request.headers)))
        return web.Response(status=answers.pop(0) if answers else 200)

    app = web.Application()
    app.router.add_post("/hook", hook)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook", received
    await runner.cleanup()


async def bus_with_stream() -> MemoryBus:
    bus = MemoryBus()
    await bus.ensure_stream(StreamSpec(subjects.RECORDINGS_STREAM, subjects.RECORDINGS_STREAM_SUBJECTS))
    return bus


async def publish_start(bus: MemoryBus) -> None:
    event = recording_pb2.RecordingEvent(app=APP, room="lobby", recording_id="RC_1", number=1, at_ms=1_000)
    event.started.room_id = "RM_1"
    await bus.publish_durable(subjects.recording_events(APP, "lobby"), event.SerializeToString())


def test_endpoints_stand_beside_the_key_of_the_app(tmp_path: Path) -> None:
    app = load_apps_file(apps_file(tmp_path), development=False)[APP]
    (endpoint,) = app.webhooks
    assert (endpoint.app, endpoint.host, endpoint.secrets) == (APP, "shop.example", (HOOK_SECRET,))


def test_http_and_private_addresses_need_a_setting(tmp_path: Path) -> None:
    path = apps_file(tmp_path, url="http://10.0.0.1/hook")
    with pytest.raises(ConfigError, match="https://"):
        load_apps_file(path, development=False)
    assert load_apps_file(path, development=False, webhooks_over_http=True)
    assert load_apps_file(path, development=True)
    config = SignalingConfig.from_env(apps=SecretStr(f"{APP}:{SECRET}"))
    assert not config.webhooks().sender.allow_private
    for option in ("webhook_allow_private", "development"):
        allowed = SignalingConfig.from_env(apps=SecretStr(f"{APP}:{SECRET}"), **{option: True})
        assert allowed.webhooks().sender.allow_private


@pytest.mark.timeout(400)
def test_the_check_of_the_configuration_names_faults_without_secrets(tmp_path: Path) -> None:
    path = apps_file(tmp_path, secret="hush", events=["recording.begun"], url="http://x.example/?token=hush")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("NEXUS_")}
    checked = subprocess.run(
        [sys.executable, "-m", "nexus_signaling", "--check-config"],
        env=inherited | {"NEXUS_APPS_FILE": str(path)},
        capture_output=True,
        text=True,
        timeout=300,  # a loaded machine takes a minute to start Python
        check=False,
    )
    assert checked.returncode == 2
    lines = checked.stderr.splitlines()
    assert len(lines) == 3
    assert all(line.startswith(f"NEXUS_APPS_FILE: app '{APP}': webhooks[0]: ") for line in lines)
    assert "hush" not in checked.stderr + checked.stdout


async def test_the_event_of_a_recording_reaches_the_apps_server(tmp_path: Path) -> None:
    bus = await bus_with_stream()
    async with (
        app_server() as (url, received),
        Harness(bus, apps_file=apps_file(tmp_path, url=url)) as harness,
    ):
        await wait_until(lambda: harness.metric("webhook_endpoints_running") == 1)
        await publish_start(bus)
        await wait_until(lambda: received)
    assert received == [
        {
            "type": "recording.started",
            "timestamp": "1970-01-01T00:00:01.000Z",
            "data": {
                "app": APP,
                "room": "lobby",
                "recordingId": "RC_1",
                "number": "1",
                "atMs": "1000",
                "started": {"roomId": "RM_1"},
            },
        }
    ]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_an_app_sees_and_enables_an_endpoint_that_answered_410(tmp_path: Path) -> None:
    bus = await bus_with_stream()
    admin = {"Authorization": f"Bearer {mint(grants={'admin': True})}"}
    async with (
        app_server(410) as (url, received),
        Harness(bus, apps_file=apps_file(tmp_path, url=url)) as harness,
    ):

        async def shown() -> dict[str, Any]:
            async with harness.http.get(f"{harness.url}/v1/webhooks", headers=admin) as response:
                assert response.status == 200
                (endpoint,) = (await response.json())["endpoints"]
                return dict(endpoint)

        await wait_until(lambda: harness.metric("webhook_endpoints_running") == 1)
        await publish_start(bus)

        async def disabled() -> bool:
            return "disabledAtMs" in await shown()

        await wait_until(disabled)
        endpoint = await shown()
        assert (endpoint["host"], endpoint["waitingRooms"]) == ("127.0.0.1", 1)
        assert HOOK_SECRET not in json.dumps(endpoint)
        enable = f"{harness.url}/v1/webhooks/{endpoint['id']}/enable"
        for _ in range(2):
            async with harness.http.post(enable, headers=admin) as response:
                assert response.status == 200
                assert "disabledAtMs" not in (await response.json())["endpoint"]
        await wait_until(lambda: len(received) == 2, 20)
        await wait_until(lambda: harness.metric("webhook_delivered_total", endpoint=endpoint["id"]) == 1)


async def test_only_the_app_itself_sees_its_endpoints(tmp_path: Path) -> None:
    bus = MemoryBus()
    async with Harness(bus, apps_file=apps_file(tmp_path)) as harness:
        url = f"{harness.url}/v1/webhooks"
        for token, code in (("", 401), (mint(), 403), (mint(**RECORD), 403)):
            async with harness.http.get(url, headers={"Authorization": f"Bearer {token}"}) as response:
                assert response.status == code
        admin = {"Authorization": f"Bearer {mint(grants={'admin': True})}"}
        async with harness.http.post(f"{url}/WE_unknown/enable", headers=admin) as response:
            assert response.status == 400
            assert (await response.json())["details"] == {"field": "id"}
        bus.set_connected(False)
        async with harness.http.get(url, headers=admin) as response:
            assert response.status == 503
