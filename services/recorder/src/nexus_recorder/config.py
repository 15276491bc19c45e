"""The recorder's configuration: NEXUS_RECORDER_*, read once by `__main__`."""

import os
import socket
from pathlib import Path

from nexus_rpc import RpcConfig
from nexus_runtime import service_settings, setting
from pydantic import field_validator


def default_replica_id() -> str:
    """A readable name of letters, digits and dashes: the host's name and the process id."""
    host = "".join(c if c.isalnum() and c.isascii() else "-" for c in socket.gethostname())
    return f"rec-{host.strip('-') or 'host'}-{os.getpid()}"


class RecorderConfig(RpcConfig):
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
    sfu_timeout_ms: int = setting(5_000, unit="ms", reason="of one call to an SFU", gt=0)
    node_timeout_ms: int = setting(10_000, unit="ms", reason="five heartbeats of an SFU node", gt=0)
    node_silence_ms: int = setting(
        2_500,
        unit="ms",
        reason="more than one heartbeat: a node that refuses calls and is silent for this long is gone",
        gt=0,
    )

    @field_validator("replica_id")
    @classmethod
    def _name_the_replica(cls, replica_id: str) -> str:
        return replica_id or default_replica_id()

    def log_fields(self) -> dict[str, str]:
        return {"replica": self.replica_id}
