"""The skeleton of every service, tested on the running process: configuration, health, metrics, shutdown, and
an outage of the broker. A new service is one more entry in `SERVICES`."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import aiohttp
import pytest
from configuration import configuration_of
from nexus_runtime import describe
from nexus_testkit import NatsServer, wait_until

ROOT = Path(__file__).parents[2]
PATIENCE = 90.0  # a busy machine takes many seconds to start Python


@dataclass(frozen=True)
class Kind:
    name: str
    # Variables that a start needs besides the defaults; ports are free ones.
    environment: dict[str, str] = field(default_factory=dict)
    # An invalid value beside that of the health port, and its variable.
    fault: tuple[str, str] = ("", "")


SERVICES = [
    Kind(
        "recorder",
        {
            "NEXUS_RECORDER_GRPC_PORT": "0",
            "NEXUS_STORES": '{"local": {"kind": "folder", "path": "/var/tmp/nexus-store", "create": true}}',
        },
        ("NEXUS_RECORDER_GRPC_PORT", "70000"),
    ),
    Kind(
        "sfu",
        {"NEXUS_SFU_MEDIA_HOST": "127.0.0.1", "NEXUS_SFU_MEDIA_PORT": "0"},
        ("NEXUS_SFU_MEDIA_PORT", "70000"),
    ),
    Kind(
        "signaling",
        {"NEXUS_SIGNALING_PORT": "0", "NEXUS_APPS": "app:a-secret-of-thirty-two-bytes-or-more"},
        ("NEXUS_SIGNALING_PORT", "70000"),
    ),
]


@pytest.fixture(params=SERVICES, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    chosen: Kind = request.param
    return chosen


def environment(kind: Kind, **more: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("NEXUS_")}
    return inherited | {"NEXUS_LOG_FORMAT": "json"} | kind.environment | more


def answer_of(kind: Kind, option: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", f"nexus_{kind.name}", option],
        env=environment(kind, **more),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


class Process:
    """A running service with its log in a file."""

    def __init__(self, kind: Kind, folder: Path, nats_url: str) -> None:
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", f"nexus_{kind.name}"],
                env=environment(kind, NEXUS_NATS_URL=nats_url),
                stdout=log,
                stderr=log,
            )

    def line(self, event: str) -> dict[str, object] | None:
        lines = [json.loads(line) for line in self._log.read_text().splitlines() if line.startswith("{")]
        return next((line for line in lines if line.get("event") == event), None)

    async def ready(self) -> dict[str, object]:
        await wait_until(lambda: self.line("ready") or self.process.poll() is not None, PATIENCE)
        line = self.line("ready")
        assert line is not None, self._log.read_text()
        return line

    async def exit_code(self) -> int:
        await wait_until(lambda: self.process.poll() is not None, PATIENCE)
        return self.process.wait()

    @property
    def text(self) -> str:
        return self._log.read_text()


@pytest.fixture
def process(kind: Kind, tmp_path: Path, nats_server: NatsServer) -> Iterator[Process]:
    """A service that was started while the broker was stopped."""
    nats_server.stop()
    started = Process(kind, tmp_path, nats_server.url)
    yield started
    if started.process.poll() is None:
        started.process.kill()
        started.process.wait()


def test_the_version_is_printed(kind: Kind) -> None:
    printed = answer_of(kind, "--version")
    assert (printed.returncode, printed.stdout.strip()) == (0, version(f"nexus-{kind.name}"))


def test_a_valid_configuration_passes_without_a_broker(kind: Kind) -> None:
    checked = answer_of(kind, "--check-config", NEXUS_NATS_URL="nats://127.0.0.1:1")
    assert (checked.returncode, checked.stderr) == (0, "")


def test_all_faults_are_listed(kind: Kind) -> None:
    variable, value = kind.fault
    health_port = f"NEXUS_{kind.name.upper()}_HEALTH_PORT"
    checked = answer_of(kind, "--check-config", **{variable: value, health_port: "x"})
    assert checked.returncode == 2
    assert {line.partition(":")[0] for line in checked.stderr.splitlines()} == {variable, health_port}
    assert "Traceback" not in checked.stderr


def test_faults_between_settings_are_listed(kind: Kind) -> None:
    checked = answer_of(
        kind, "--check-config", NEXUS_NATS_URL="http://broker", NEXUS_RPC_TLS_AUTHORITY="/nowhere/ca.crt"
    )
    assert checked.returncode == 2
    assert {line.partition(":")[0] for line in checked.stderr.splitlines()} == {
        "NEXUS_NATS_URL",
        "NEXUS_RPC_TLS_AUTHORITY",
    }


def test_the_documented_table_matches_the_configuration(kind: Kind) -> None:
    assert describe(configuration_of(kind.name)) in (ROOT / "services" / kind.name / "README.md").read_text()


def test_durations_have_one_unit(kind: Kind) -> None:
    units = {
        name: extra["unit"]
        for name, declared in configuration_of(kind.name).model_fields.items()
        if isinstance(extra := declared.json_schema_extra, dict)
    }
    assert not [name for name, unit in units.items() if unit in ("s", "min", "h")]
    assert not [name for name, unit in units.items() if (unit == "ms") != name.endswith("_ms")]


async def test_a_service_survives_outages_at_start_and_later(
    process: Process, kind: Kind, nats_server: NatsServer
) -> None:
    ready = await process.ready()
    assert ready["service"] == kind.name
    base = f"http://127.0.0.1:{ready['health_port']}"
    async with aiohttp.ClientSession() as http:

        async def status() -> tuple[int, bool]:
            async with http.get(f"{base}/readyz") as response:
                body = await response.json()
                assert not body["checks"]["nats"]["required"]
                return response.status, body["checks"]["nats"]["ok"]

        assert await status() == (200, False)
        async with http.get(f"{base}/livez") as response:
            assert response.status == 200

        async def connected(wanted: bool) -> bool:
            return await status() == (200, wanted)

        nats_server.start()
        await wait_until(lambda: connected(True), PATIENCE, "the broker is found")
        nats_server.stop()
        await wait_until(lambda: connected(False), PATIENCE, "the outage is noticed")
        nats_server.start()
        await wait_until(lambda: connected(True), PATIENCE, "the broker is found again")

        async with http.get(f"{base}/metrics") as response:
            metrics = await response.text()
    names = set(re.findall(r"^# TYPE (\S+)", metrics, re.MULTILINE))
    ours = {name for name in names if not name.startswith(("python_", "process_"))}
    assert ours
    assert all(name.startswith(f"nexus_{kind.name}_") for name in ours), sorted(ours)
    assert f"nexus_{kind.name}_nats_connected 1.0" in metrics
    process.process.send_signal(signal.SIGTERM)
    assert await process.exit_code() == 0
    assert "Traceback" not in process.text


async def test_a_stop_during_an_outage_is_clean(process: Process, kind: Kind) -> None:
    await process.ready()
    process.process.send_signal(signal.SIGTERM)
    assert await process.exit_code() == 0
    assert "Traceback" not in process.text
