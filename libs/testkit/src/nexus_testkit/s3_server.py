"""A real S3 server for tests: versitygw, as a child process on a free port, with its objects in a
temporary folder."""

import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import Final, Self

from nexus_testkit.ports import free_port

READY_TIMEOUT_SECONDS: Final = 20.0


class S3ServerFailed(RuntimeError):
    """The server did not become ready; the message contains its log."""


def versitygw_binary() -> Path:
    """The executable that `scripts/setup test` builds into the environment, otherwise the one in PATH."""
    for folder in (sysconfig.get_path("scripts"), str(Path(sys.executable).parent)):
        candidate = Path(folder) / "versitygw"
        if candidate.is_file():
            return candidate
    found = shutil.which("versitygw")
    if found is None:
        raise S3ServerFailed("no versitygw: scripts/setup test has not been run")
    return Path(found)


class S3Server:
    """``with S3Server() as server: server.make_bucket("calls")``

    With the paths of a certificate and its key (PEM), the server speaks TLS. `stop()` and a second
    `start()` simulate an outage: port and objects stay the same.
    """

    access_key: Final = "nexus-test-key"
    secret_key: Final = "nexus-test-secret-0123456789"  # noqa: S105 - only the test reaches this server
    region: Final = "eu-test-1"

    def __init__(self, certificate: Path | None = None, key: Path | None = None) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="nexus-s3-"))
        self._objects = self._folder / "objects"
        self._objects.mkdir()
        (self._folder / "sidecars").mkdir()
        (self._folder / "versions").mkdir()
        self._log = self._folder / "server.log"
        self._tls = [] if certificate is None else ["--cert", str(certificate), "--key", str(key)]
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("not started")
        return self._process.pid

    def make_bucket(self, name: str) -> Path:
        """Makes a bucket, and returns the folder in which the server keeps its objects as files."""
        folder = self._objects / name
        folder.mkdir()
        return folder

    def start(self) -> None:
        if self._port == 0:
            self._port = free_port()
        arguments = [
            "--port",
            f"127.0.0.1:{self._port}",
            "--region",
            self.region,
            "--quiet",
            "--keep-alive",
            *self._tls,
        ]
        # Sidecars instead of extended attributes, which not every temporary folder has.
        arguments += ["posix", "--sidecar", str(self._folder / "sidecars")]
        arguments += ["--versioning-dir", str(self._folder / "versions"), str(self._objects)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(versitygw_binary()), *arguments],
                env=os.environ | {"ROOT_ACCESS_KEY": self.access_key, "ROOT_SECRET_KEY": self.secret_key},
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
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.01)
        log = self._log.read_text()
        self.stop()
        raise S3ServerFailed(f"versitygw is not ready:\n{log}")

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
