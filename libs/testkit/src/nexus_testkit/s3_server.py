"""A real S3 server for tests: versitygw, as a child process on a free port, with its objects in a
temporary folder."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from nexus_testkit.server_process import ServerProcess, find_binary


def versitygw_binary() -> Path:
    """The executable that `scripts/setup test` builds into the environment, otherwise the one in PATH."""
    return find_binary("versitygw", "scripts/setup test has not been run")


class S3Server(ServerProcess):
    """``with S3Server() as server: server.make_bucket("calls")``

    With the paths of a certificate and its key (PEM), the server speaks TLS. `stop()` and a second
    `start()` simulate an outage: port and objects stay the same.
    """

    access_key: Final = "nexus-test-key"
    secret_key: Final = "nexus-test-secret-0123456789"  # noqa: S105 - only the test reaches this server
    region: Final = "eu-test-1"

    def __init__(self, certificate: Path | None = None, key: Path | None = None) -> None:
        super().__init__("s3")
        self._objects = self._folder / "objects"
        self._objects.mkdir()
        (self._folder / "sidecars").mkdir()
        (self._folder / "versions").mkdir()
        self._tls = [] if certificate is None else ["--cert", str(certificate), "--key", str(key)]

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    def make_bucket(self, name: str) -> Path:
        """Makes a bucket, and returns the folder in which the server keeps its objects as files."""
        folder = self._objects / name
        folder.mkdir()
        return folder

    def _command(self) -> Sequence[str]:
        return [
            str(versitygw_binary()),
            *("--port", f"127.0.0.1:{self._port}", "--region", self.region, "--quiet", "--keep-alive"),
            *self._tls,
            # Sidecars instead of extended attributes, which not every temporary folder has.
            *("posix", "--sidecar", str(self._folder / "sidecars")),
            *("--versioning-dir", str(self._folder / "versions"), str(self._objects)),
        ]

    def _environment(self) -> Mapping[str, str]:
        return os.environ | {"ROOT_ACCESS_KEY": self.access_key, "ROOT_SECRET_KEY": self.secret_key}
