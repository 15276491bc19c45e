"""The whole system as a child process, `nexus dev`, for tests that also call its parts directly."""

import json
import os
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nexus_testkit import free_port


@dataclass
class Development:
    """A running system: the address for clients, of the SFU's gRPC (host:port), and of the broker, and the
    folder that is the recorder's store."""

    url: str
    sfu: str
    nats_url: str
    recordings: Path


@contextmanager
def development(folder: Path, *options: str) -> Iterator[Development]:
    log = folder / "log"
    nexus = str(Path(sysconfig.get_path("scripts")) / "nexus")
    with log.open("w") as out:
        process = subprocess.Popen(
            [nexus, "dev", "--port", str(free_port()), "--data-dir", str(folder), *options],
            stdout=subprocess.PIPE,
            stderr=out,
            text=True,
            env={**os.environ, "NEXUS_LOG_FORMAT": "json"},
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("ready "), log.read_text()[-4000:]
        (instance,) = folder.glob("dev-*")
        (ports,) = instance.glob("ports/*.ports")
        nats_url = json.loads(ports.read_text())["nats"][0]
        sfu = f"127.0.0.1:{_grpc_port(log.read_text())}"
        yield Development(line.split()[1], sfu, nats_url, instance / "recordings")
    finally:
        process.terminate()
        code = process.wait(60)
    assert code == 0


def _grpc_port(log: str) -> int:
    for line in log.splitlines():
        start = line.find("{")
        # Each line begins with the name of its process.
        if start >= 0 and line.startswith("sfu") and '"grpc_port"' in line:
            return int(json.loads(line[start:])["grpc_port"])
    raise AssertionError(f"the log names no gRPC port: {log[-2000:]}")
