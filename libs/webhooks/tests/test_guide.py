"""The receivers of the guide, run as they stand there."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest
from nexus_runtime import SystemClock
from nexus_testkit import free_port, wait_until
from nexus_webhooks import SenderConfig, WebhookEvent, make_body
from nexus_webhooks.sender import Accepted, Refused, Sender

from libs.webhooks.tests.receiver import SECRET
from libs.webhooks.tests.site import endpoint

GUIDE = Path(__file__).parents[3] / "docs/guides/webhooks.md"
OTHER = "whsec_" + "A" * 40
PATIENCE = 60.0
BODY = make_body("recording.started", 0, {"recordingId": "RC_1", "room": "Küche"})
EVENT = WebhookEvent("RC_1-1", "Küche", "recording.started", BODY)


def program(language: str, folder: Path) -> list[str]:
    """The command that runs the guide's receiver in this language."""
    (text,) = re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    if language == "python":
        path, interpreter = folder / "receiver.py", sys.executable
    else:
        beside = Path(sys.executable).parent / "node"
        found = str(beside) if beside.is_file() else shutil.which("node")
        if found is None:
            pytest.skip("there is no node")
        path, interpreter = folder / "receiver.mjs", found
    path.write_text(text)
    return [interpreter, str(path)]


@contextmanager
def running(command: list[str], log: Path, port: int) -> Iterator[None]:
    environment = os.environ | {"PORT": str(port), "WEBHOOK_SECRET": SECRET}
    with log.open("w") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("language", ["python", "js"])
async def test_the_receiver_of_the_guide(language: str, tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    url = f"http://127.0.0.1:{port}/hooks/nexus"
    sender = Sender(SenderConfig(allow_private=True), SystemClock(), "test")
    with running(program(language, tmp_path), log, port):
        sender.open()

        async def answers() -> bool:
            return await sender.post(endpoint(url, secret=OTHER), EVENT) == Refused("http_4xx", 400)

        await wait_until(answers, PATIENCE)
        for secrets in (SECRET, [OTHER, SECRET]):
            assert await sender.post(endpoint(url, secret=secrets), EVENT) == Accepted()
        async with aiohttp.ClientSession() as client, client.post(url, data=BODY) as response:
            assert response.status == 400
        await wait_until(lambda: "RC_1" in log.read_text())
        await sender.close()
    lines = [line for line in log.read_text().splitlines() if "recording" in line]
    assert lines == ["recording.started RC_1"]
