"""A server of another project as a child process, on a free port and with its files in a temporary folder."""

import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from nexus_testkit.ports import free_port

READY_TIMEOUT_SECONDS: Final = 20.0


class ServerFailed(RuntimeError):
    """The server is not installed or did not become ready; the message contains its log."""


def find_binary(name: str, remedy: str) -> Path:
    """The executable of the environment, otherwise the one in PATH. Raises ServerFailed, which says that
    `remedy` is missing."""
    for folder in (sysconfig.get_path("scripts"), str(Path(sys.executable).parent)):
        candidate = Path(folder) / name
        if candidate.is_file():
            return candidate
    found = shutil.which(name)
    if found is None:
        raise ServerFailed(f"no {name}: {remedy}")
    return Path(found)


class ServerProcess:
    """A server that can be stopped and started again: its port and its files stay the same.

    A subclass implements `_command` and, if an open port does not mean that it is ready, `_is_ready`.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._folder = Path(tempfile.mkdtemp(prefix=f"nexus-{name}-"))
        self._log = self._folder / "server.log"
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("not started")
        return self._process.pid

    def _command(self) -> Sequence[str]:
        """The command line that listens on `self._port`."""
        raise NotImplementedError

    def _environment(self) -> Mapping[str, str] | None:
        """The environment; None: that of this process."""
        return None

    def _is_ready(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
        except OSError:
            return False
        return True

    def start(self) -> None:
        if self._port == 0:
            self._port = free_port()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                list(self._command()),
                env=self._environment(),
                stdout=log,
                stderr=log,
                # Ctrl-C in a terminal must reach only the test runner, which then stops the server.
                start_new_session=True,
            )
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            assert self._process is not None
            if self._process.poll() is not None:
                break
            if self._is_ready():
                return
            time.sleep(0.01)
        log = self._log.read_text()
        self.stop()
        raise ServerFailed(f"{self._name} is not ready:\n{log}")

    def stop(self) -> None:
        """Kills the process, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

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
