"""The recorder's configuration: NEXUS_RECORDER_*, read once by `__main__`."""

import os
from collections.abc import Iterator
from pathlib import Path

from nexus_jobs import Capacity
from nexus_rooms import NodesConfig
from nexus_rpc import RpcConfig
from nexus_runtime import ConfigError, name_of_process, service_settings, setting
from nexus_storage import StorageConfig
from pydantic import field_validator


class RecorderConfig(StorageConfig, NodesConfig, RpcConfig):
    model_config = service_settings("NEXUS_RECORDER_")

    replica_id: str = setting(
        "",
        reason="this replica's name in logs and jobs; empty: host name and process ID",
        pattern=r"^[A-Za-z0-9_-]{0,64}$",
    )
    grpc_host: str = setting(
        "127.0.0.1", reason="only signaling may call it: without mTLS there is no authentication"
    )
    grpc_port: int = setting(7890, unit="port", reason="signaling expects this port", ge=0, le=65_535)
    grpc_message_bytes: int = setting(
        1 << 20, unit="bytes", reason="a request with a selection of 1,000 patterns has 600 kB", ge=65_536
    )
    spool_dir: Path = setting(
        Path("/var/tmp/nexus-recorder"),  # noqa: S108 - the spool must survive a restart of the host
        reason="segments until they are in the store; a disk of its own that survives restarts",
    )
    cpu_millicores: int = setting(
        0, unit="thousandths of a core", reason="for recordings; 0: all cores of the host", ge=0
    )
    memory_mb: int = setting(2_048, unit="MiB", reason="for recordings", ge=64)
    spool_mb: int = setting(
        20_480,
        unit="MiB",
        reason="for segments while the store does not answer: 100 tracks for 18 minutes",
        ge=1,
    )
    run_cpu_millicores: int = setting(
        100,
        unit="thousandths of a core",
        reason="reserved for a recording until it is measured: 15 tracks",
        ge=1,
    )
    run_memory_mb: int = setting(64, unit="MiB", reason="the same: 32 tracks of 2 MiB", ge=1)
    run_spool_mb: int = setting(512, unit="MiB", reason="the same: 5 minutes of 9 tracks", ge=1)
    after_cpu_millicores: int = setting(
        500, unit="thousandths of a core", reason="reserved while files are made, which is remuxing", ge=1
    )
    job_replicas: int = setting(
        1, unit="servers", reason="NATS servers that store jobs; 3 in a cluster", ge=1, le=5
    )
    max_recordings: int = setting(
        200_000,
        unit="recordings",
        reason="of all apps, ended ones included; each takes 0.5 kB of memory",
        ge=1,
    )
    keep_deleted_ms: int = setting(
        24 * 3_600_000,
        unit="ms",
        reason="how long a deleted recording is still listed",
        ge=0,
    )
    spool_wait_ms: int = setting(
        600_000,
        unit="ms",
        reason="how long files wait for segments on a recorder that is silent: a restart of its host",
        ge=0,
        le=30 * 24 * 3_600_000,
    )
    command_wait_ms: int = setting(
        5_000,
        unit="ms",
        reason="how long stop, pause and resume wait for the owner, and start for the room's media server",
        ge=0,
    )
    drain_ms: int = setting(
        20_000,
        unit="ms",
        reason="how long SIGTERM waits until segments have ended and jobs are returned",
        gt=0,
    )
    links_host: str = setting("127.0.0.1", reason="serves signed links of folder stores, behind a TLS proxy")
    links_port: int = setting(
        7891,
        unit="port",
        reason="used only if a folder store has a `link_url`; 0 takes a free port",
        ge=0,
        le=65_535,
    )

    @field_validator("replica_id")
    @classmethod
    def _name_the_replica(cls, replica_id: str) -> str:
        return replica_id or name_of_process("rec")

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        try:
            if not self.load_stores():
                yield "NEXUS_STORES or NEXUS_STORES_FILE: no store is configured"
        except ConfigError:
            return  # reported by `StorageConfig`

    def capacity(self) -> Capacity:
        """The resources of this replica that jobs may use."""
        cores = self.cpu_millicores or 1000 * (os.cpu_count() or 1)
        return Capacity(cores, self.memory_mb << 20, self.spool_mb << 20)

    def log_fields(self) -> dict[str, str]:
        return {"replica": self.replica_id}
