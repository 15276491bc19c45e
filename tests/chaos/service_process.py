"""A process of the system that a test can kill, stop, wake and start again."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from nexus_testkit import wait_until

# How long anything may take on a busy machine.
PATIENCE_SECONDS: Final = 240.0


class ServiceProcess:
    """One service, `python -m <module>`. Each start writes a log of its own."""

    def __init__(self, module: str, name: str, folder: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self._module = module
        self._folder = folder
        self._environment = {**os.environ, "NEXUS_LOG_FORMAT": "json", **environment}
        self._starts = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def grpc_address(self) -> str:
        return f"127.0.0.1:{self._ready_line()['grpc_port']}"

    def log(self) -> str:
        return self._log_path.read_text()

    def start(self) -> None:
        assert not self.running
        self._starts += 1
        with self._log_path.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self._module],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                # Ctrl-C in a terminal must reach only the test runner.
                start_new_session=True,
            )

    async def ready(self) -> None:
        """Returns when the service is ready."""

        def is_ready() -> bool:
            assert self.running, self.log()[-4000:]
            return bool(self._ready_line())

        await wait_until(is_ready, PATIENCE_SECONDS, f"{self.name} is not ready")

    def signal(self, number: signal.Signals) -> None:
        if self.running:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Ends the process as a crash does, and returns when it is gone."""
        self.signal(signal.SIGKILL)
        self._wait()

    def terminate(self) -> int:
        """Asks the process to end, and returns its exit code."""
        self.signal(signal.SIGTERM)
        return self._wait()

    def _wait(self) -> int:
        return self._process.wait(PATIENCE_SECONDS) if self._process is not None else 0

    @property
    def _log_path(self) -> Path:
        return self._folder / f"{self.name}-{self._starts}.log"

    def _ready_line(self) -> dict[str, Any]:
        if not self._log_path.exists():
            return {}
        for line in self.log().splitlines():
            if '"event": "ready"' in line or '"event":"ready"' in line:
                found: dict[str, Any] = json.loads(line)
                return found
        return {}
