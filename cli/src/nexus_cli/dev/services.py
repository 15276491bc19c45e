"""The processes of `nexus dev`, in order: the broker, then every service. A new service is one more function
in `SERVICES`.

Only settings that differ from production are set here (addresses, ports, the development app); the services'
defaults apply otherwise. As in production, the services are separate processes that communicate over NATS and
gRPC.
"""

import asyncio
import json
import os
import secrets
import shutil
import sys
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nexus_cli import development
from nexus_cli.dev.supervisor import NeverReady, Stage

POLL_SECONDS: Final = 0.02
BROKER_READY_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class RecorderPorts:
    grpc: int
    # Serves the links to recorded files.
    links: int


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings from the options of `nexus dev`. With media port 0 the SFU takes a free one."""

    host: str
    port: int
    media_host: str
    media_port: int
    media_addresses: tuple[str, ...]
    folder: Path  # this instance's state: the broker's store
    log_level: str
    coloured: bool
    demo_folder: Path | None = None
    # Ports of the recorder, which were free; None: it is left out.
    recorder: "RecorderPorts | None" = None

    @property
    def url(self) -> str:
        """The URL of the server for clients on this machine."""
        return _http({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host), self.port)  # noqa: S104

    @property
    def links_url(self) -> str:
        """The URL of recorded files, which the pages of other machines must reach too."""
        assert self.recorder is not None
        unspecified = self.host in ("0.0.0.0", "::")  # noqa: S104
        return _http(self.media_addresses[0] if unspecified else self.host, self.recorder.links)


def _http(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def stages(settings: Settings) -> list[Stage]:
    left_out = () if settings.recorder else (recorder,)
    return [service(settings) for service in SERVICES if service not in left_out]


def broker(settings: Settings) -> Stage:
    """NATS with JetStream. It chooses its port and writes it to a file, so that two instances cannot
    collide."""
    ports = settings.folder / "ports"
    shutil.rmtree(ports, ignore_errors=True)
    ports.mkdir(parents=True)
    command = [_beside_python("nats-server"), "--addr", "127.0.0.1", "--port", "-1", "--name", "nexus-dev"]
    command += ["--jetstream", "--store_dir", str(settings.folder / "nats"), "--ports_file_dir", str(ports)]
    return Stage(
        "nats",
        command,
        started=lambda: _broker_address(ports),
        # nats-server has no log level, and writes forty informational lines at its start.
        shown=lambda line: settings.log_level == "debug" or "[INF]" not in line,
    )


def sfu(settings: Settings) -> Stage:
    return _service(
        settings,
        "sfu",
        {
            "NEXUS_SFU_MEDIA_HOST": settings.media_host,
            "NEXUS_SFU_MEDIA_PORT": str(settings.media_port),
            "NEXUS_SFU_MEDIA_ADDRESSES": ",".join(settings.media_addresses),
            "NEXUS_SFU_GRPC_PORT": "0",
        },
    )


def recorder(settings: Settings) -> Stage:
    """The recorder, with a folder as its store."""
    assert settings.recorder is not None
    store = {
        "kind": "folder",
        "path": str(settings.folder / "recordings"),
        "create": True,
        "link_url": f"{settings.links_url}/v1/objects",
        "link_secret_file": str(_link_secret(settings.folder)),
    }
    return _service(
        settings,
        "recorder",
        {
            "NEXUS_RECORDER_GRPC_PORT": str(settings.recorder.grpc),
            "NEXUS_RECORDER_LINKS_HOST": settings.host,
            "NEXUS_RECORDER_LINKS_PORT": str(settings.recorder.links),
            "NEXUS_RECORDER_SPOOL_DIR": str(settings.folder / "spool"),
            "NEXUS_STORES": json.dumps({"default": store}),
        },
    )


def _link_secret(folder: Path) -> Path:
    """The file with the secret of this instance's links, which is written once."""
    path = folder / "link-secret"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(32))
    return path


def signaling(settings: Settings) -> Stage:
    optional = {}
    if settings.demo_folder is not None:
        optional["NEXUS_SIGNALING_DEMO_DIR"] = str(settings.demo_folder)
    if settings.recorder is not None:
        optional["NEXUS_SIGNALING_RECORDER_ADDRESS"] = f"127.0.0.1:{settings.recorder.grpc}"
    return _service(
        settings,
        "signaling",
        {
            "NEXUS_SIGNALING_HOST": settings.host,
            "NEXUS_SIGNALING_PORT": str(settings.port),
            "NEXUS_APPS": f"{development.KEY_ID}:{development.SECRET}",
            "NEXUS_DEV": "1",
            **optional,
        },
    )


SERVICES: Final[tuple[Callable[[Settings], Stage], ...]] = (broker, sfu, recorder, signaling)


def _service(settings: Settings, name: str, environment: Mapping[str, str]) -> Stage:
    common = {
        "NEXUS_LOG_FORMAT": os.environ.get("NEXUS_LOG_FORMAT") or "console",
        "NEXUS_LOG_LEVEL": settings.log_level,
        "PYTHONUNBUFFERED": "1",
        **({"FORCE_COLOR": "1"} if settings.coloured else {"NO_COLOR": "1"}),
    }
    return Stage(name, [sys.executable, "-m", f"nexus_{name}"], {**common, **environment})


async def _broker_address(ports: Path) -> Mapping[str, str]:
    """Waits for the ports file, which the broker writes once it listens."""
    try:
        async with asyncio.timeout(BROKER_READY_SECONDS):
            while True:
                if address := _written_address(ports):
                    return {"NEXUS_NATS_URL": address}
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        raise NeverReady(f"the broker did not listen within {BROKER_READY_SECONDS:g} s") from None


def _written_address(ports: Path) -> str | None:
    for path in ports.glob("*.ports"):
        try:
            return str(json.loads(path.read_text())["nats"][0])
        except (ValueError, LookupError):  # the file is not complete yet
            continue
    return None


def _beside_python(name: str) -> str:
    """The program of a package in this environment, otherwise the one in PATH."""
    beside = Path(sysconfig.get_path("scripts")) / name
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"there is no {name}: the package {name}-bin is not installed")
    return found
