"""`nexus dev` and `nexus probe` with real processes, and every step of the probe checked.

aiortc, an independent implementation, joins, publishes and receives with each SRTP profile and codec.
"""

import json
import os
import signal
import socket
import subprocess
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from nexus_testkit import free_port, wait_until

NEXUS = str(Path(sysconfig.get_path("scripts")) / "nexus")
PROBE_SECONDS = 120

# Several real processes have to start, on a machine that may be busy.
pytestmark = pytest.mark.timeout(400)


@dataclass
class Development:
    """A running `nexus dev`."""

    process: subprocess.Popen[str]
    url: str
    log: Path

    def children(self) -> list[int]:
        of = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in of.read_text().split()]

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)


def start(
    folder: Path, *options: str, port: int | None = None, environment: dict[str, str] | None = None
) -> Development:
    port = port or free_port()
    log = folder / f"dev-{port}.log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            [NEXUS, "dev", "--port", str(port), "--data-dir", str(folder), *options],
            stdout=subprocess.PIPE,
            stderr=stream,
            text=True,
            start_new_session=True,
            env={**os.environ, **(environment or {})},
        )
    assert process.stdout is not None
    line = process.stdout.readline()  # returns at the latest after `--ready-timeout`
    if line != f"ready http://127.0.0.1:{port}\n":
        process.kill()
        process.wait()
        pytest.fail(f"nexus dev printed {line!r}\n{log.read_text()[-4000:]}")
    return Development(process, line.split()[1], log)


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Development]:
    running = start(tmp_path_factory.mktemp("dev"))
    children = running.children()
    yield running
    assert running.stop() == 0, running.log.read_text()[-4000:]
    assert not any(_alive(pid) for pid in children)


def probe(dev: Development, room: str, *options: str) -> dict[str, Any]:
    command = [NEXUS, "probe", "--url", dev.url, "--room", room, "--json", "-", "--seconds", "3", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_SECONDS, check=False)
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    report["exit_code"] = done.returncode
    report["log"] = dev.log.read_text()[-3000:]
    return report


def verdict(report: dict[str, Any]) -> str:
    steps = "\n".join(f"{step['name']}: {step['state']} {step['text']}" for step in report["steps"])
    return f"{steps}\n{report['log']}"


@pytest.mark.parametrize("profile", ["AEAD_AES_128_GCM", "AES_CM_128_HMAC_SHA1_80"])
def test_every_step_is_ok_with_each_srtp_profile(dev: Development, profile: str) -> None:
    report = probe(dev, f"probe-{profile}", "--srtp-profile", profile)
    assert report["exit_code"] == 0, verdict(report)
    assert {step["state"] for step in report["steps"]} == {"ok"}, verdict(report)
    assert report["srtp_profile"] == profile
    received = {one["kind"]: one for one in report["received"]}
    assert set(received) == {"audio", "video"}
    assert received["video"]["expected"] is True, verdict(report)
    assert received["audio"]["expected"] is True, verdict(report)
    assert (received["video"]["width"], received["video"]["height"]) == (640, 360)


def test_h264_and_the_json_subprotocol(dev: Development) -> None:
    report = probe(dev, "probe-h264", "--codec", "h264", "--json-subprotocol")
    assert report["exit_code"] == 0, verdict(report)
    assert {one["codec"] for one in report["sent"]} == {"h264", "opus"}
    assert {one["codec"] for one in report["received"]} == {"h264", "opus"}
    assert all(one["expected"] is True for one in report["received"]), verdict(report)


def test_a_forged_token_is_refused_with_a_hint(dev: Development) -> None:
    report = probe(dev, "probe-forged", "--secret", "not-the-secret-of-the-development-app")
    assert report["exit_code"] == 1
    assert report["failed"] == "answer"
    step = next(step for step in report["steps"] if step["name"] == "answer")
    assert "TOKEN_INVALID" in step["text"]
    assert "--secret" in step["hint"]


def test_a_disallowed_srtp_profile_fails_at_dtls(tmp_path: Path) -> None:
    only = {"NEXUS_SFU_SRTP_PROFILES": "AES_CM_128_HMAC_SHA1_80"}
    strict = start(tmp_path, environment=only)
    try:
        report = probe(strict, "strict", "--srtp-profile", "gcm")
        assert report["exit_code"] == 1
        assert report["failed"] == "dtls", verdict(report)
        assert probe(strict, "strict")["srtp_profile"] == "AES_CM_128_HMAC_SHA1_80"
    finally:
        assert strict.stop() == 0


def test_nexus_nodes_lists_the_node(dev: Development) -> None:
    url = next(line.split()[-1] for line in dev.log.read_text().splitlines() if "broker at" in line)
    done = subprocess.run([NEXUS, "nodes", "--nats-url", url], capture_output=True, text=True, check=True)
    assert "sfu-" in done.stdout


def test_a_busy_port_is_reported(dev: Development, tmp_path: Path) -> None:
    port = dev.url.rsplit(":", 1)[1]
    command = [NEXUS, "dev", "--port", port, "--data-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"port {port}" in done.stderr
    assert "--port" in done.stderr


def test_two_instances_and_a_chosen_media_port(dev: Development, tmp_path: Path) -> None:
    media_port = free_port(kind=socket.SOCK_DGRAM)
    second = start(tmp_path, "--media-port", str(media_port))
    try:
        report = probe(second, "beside")
        assert report["exit_code"] == 0, verdict(report)
        ice = next(step for step in report["steps"] if step["name"] == "ice")
        assert ice["text"].endswith(f":{media_port}")
    finally:
        assert second.stop(signal.SIGTERM) == 0


async def test_a_killed_service_stops_all_and_is_named(tmp_path: Path) -> None:
    running = start(tmp_path)
    children = running.children()
    assert len(children) == 4  # the broker, the SFU, the recorder and signaling
    os.kill(children[1], signal.SIGKILL)
    assert running.process.wait(60) == 128 + signal.SIGKILL
    assert "sfu exited" in running.log.read_text()
    await wait_until(lambda: not any(_alive(pid) for pid in children), 30)


async def test_a_restart_after_a_crash_serves_the_same_room(tmp_path: Path) -> None:
    running = start(tmp_path)
    assert probe(running, "again")["exit_code"] == 0
    children = running.children()
    running.process.kill()
    running.process.wait()
    await wait_until(lambda: not any(_alive(pid) for pid in children), 30, "the children to be gone")
    again = start(tmp_path, port=int(running.url.rsplit(":", 1)[1]))
    try:
        report = probe(again, "again")
        assert report["exit_code"] == 0, verdict(report)
    finally:
        assert again.stop() == 0


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
