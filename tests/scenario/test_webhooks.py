"""A real recording, and the webhooks that the app's server receives of it, verified without our own code."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from dev_system import Development, development
from nexus.recorder.v1 import recording_pb2
from nexus_cli.development import KEY_ID, SECRET
from nexus_rtc import App, LocalTrack, NexusClient, Recordings, ServerUnavailable, mint_token
from nexus_rtc.synthetic import SyntheticMicrophone
from nexus_testkit import free_port, wait_until
from standardwebhooks import Webhook

APP = App(KEY_ID, SECRET)
ROOM = "webhooks"
KEY = bytes(range(32))
HOOK_SECRET = "whsec_" + base64.b64encode(KEY).decode()
PATIENCE = 180.0

pytestmark = pytest.mark.timeout(500)


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[Development]:
    folder = tmp_path_factory.mktemp("dev")
    apps = folder / "apps.json"
    endpoint = {"url": f"http://127.0.0.1:{port}/hook", "secret": HOOK_SECRET, "events": ["*"]}
    apps.write_text(json.dumps({"apps": [{"id": KEY_ID, "secret": SECRET, "webhooks": [endpoint]}]}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEXUS_APPS_FILE", str(apps))
        with development(folder) as running:
            yield running


@pytest.fixture
async def received(port: int) -> AsyncIterator[list[dict[str, Any]]]:
    """The app's server, which answers the first attempt of every event with an error."""
    accepted: list[dict[str, Any]] = []
    refused: set[str] = set()

    async def hook(request: web.Request) -> web.Response:
        body = await request.read()
        event_id, time = request.headers["webhook-id"], request.headers["webhook-timestamp"]
        if event_id.endswith("-1") and event_id not in refused:
            refused.add(event_id)
            return web.Response(status=503)
        digest = hmac.new(KEY, f"{event_id}.{time}.".encode() + body, hashlib.sha256).digest()
        assert request.headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
        document = Webhook(HOOK_SECRET).verify(body, dict(request.headers))
        accepted.append({"id": event_id, **document})
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/hook", hook)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield accepted
    await runner.cleanup()


async def start(api: Recordings) -> str:
    """Starts a recording. A recorder that has just started may not know the SFU yet."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                spec = recording_pb2.RecordingSpec(tracks=True, segment_ms=2_000)
                return (await api.start(spec, request_id="once")).id
            except ServerUnavailable as error:
                await asyncio.sleep(max(error.retry_after_ms, 500) / 1000)


async def test_a_recording_is_reported_in_order_to_the_apps_server(
    dev: Development, received: list[dict[str, Any]], tmp_path: Path
) -> None:
    token = mint_token(APP, room=ROOM, identity="alice", grants=("create", "publish"))
    client = NexusClient(server_url=dev.url, token=token, connect_seconds=60)
    room = await client.join(tracks=(LocalTrack(SyntheticMicrophone()),))
    api = Recordings(dev.url, mint_token(APP, room=ROOM, identity="host", grants=("record",)))
    recording_id = await start(api)

    def types() -> list[str]:
        return [document["type"] for document in received]

    await wait_until(lambda: "recording.segment" in types(), PATIENCE)
    await api.stop(recording_id)
    await wait_until(lambda: "recording.completed" in types(), PATIENCE)
    await room.leave()
    assert types()[0] in ("recording.queued", "recording.started")
    assert types()[-1] == "recording.completed"
    numbers = [int(document["data"]["number"]) for document in received]
    assert list(dict.fromkeys(numbers)) == list(range(1, numbers[-1] + 1))
    for document in received:
        assert document["id"] == f"{recording_id}-{document['data']['number']}"
        assert document["data"]["room"] == ROOM
    completed = received[-1]["data"]["completed"]
    assert completed["reason"] == "END_REASON_STOPPED"
    assert [Path(file["key"]).suffix for file in completed["files"]] == [".ogg"]
