"""`nexus webhooks`: secrets, and the receiver that shows webhooks."""

import base64
import json
import subprocess
import sysconfig
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from urllib.error import HTTPError

import pytest
from nexus_cli.main import app
from standardwebhooks import Webhook
from typer.testing import CliRunner

# A loaded machine takes a minute to start the program.
pytestmark = pytest.mark.timeout(300)

NEXUS = str(Path(sysconfig.get_path("scripts")) / "nexus")


def new_secret() -> str:
    printed = CliRunner().invoke(app, ["webhooks", "secret"])
    assert printed.exit_code == 0
    return printed.stdout.strip()


def test_a_secret_has_the_form_of_standard_webhooks() -> None:
    secret = new_secret()
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
    assert secret != new_secret()


def post(url: str, secret: str, body: str) -> int:
    now = datetime.now(UTC)
    headers = {
        "webhook-id": "RC_1-1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign("RC_1-1", now, body),
    }
    request = urllib.request.Request(url, body.encode(), headers, method="POST")  # noqa: S310 - our own server
    try:
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
            return int(response.status)
    except HTTPError as error:
        return error.code


def test_the_receiver_verifies_and_prints() -> None:
    secret = new_secret()
    command = [NEXUS, "webhooks", "listen", "--port", "0", "--secret", secret]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            assert process.stdout is not None
            url = process.stderr.readline().split()[-1]
            assert post(url + "any/path", new_secret(), '{"type": "forged"}') == 400
            assert post(url + "any/path", secret, '{"type": "recording.started"}') == 204
            line = json.loads(process.stdout.readline())
            assert line == {"id": "RC_1-1", "type": "recording.started"}
        finally:
            process.kill()


def test_a_bad_secret_is_named() -> None:
    answered = CliRunner().invoke(app, ["webhooks", "listen", "--secret", "whsec_!"])
    assert answered.exit_code == 2
