"""Settings of every service that serves or calls gRPC."""

from collections.abc import Iterator
from pathlib import Path

from nexus_runtime import ServiceConfig, setting

from nexus_rpc.tls import RpcTls


class RpcConfig(ServiceConfig):
    rpc_tls_certificate: Path | None = setting(
        None,
        reason="PEM file: certificate of this service for gRPC; unset: plaintext",
        validation_alias="NEXUS_RPC_TLS_CERTIFICATE",
    )
    rpc_tls_key: Path | None = setting(
        None, reason="PEM file: private key of the certificate", validation_alias="NEXUS_RPC_TLS_KEY"
    )
    rpc_tls_authority: Path | None = setting(
        None,
        reason="PEM file: authority that signs other services' certificates; set, servers require one (mTLS)",
        validation_alias="NEXUS_RPC_TLS_AUTHORITY",
    )
    rpc_tls_server_name: str = setting(
        "",
        reason="name expected in the certificates of called services; empty: their host",
        validation_alias="NEXUS_RPC_TLS_SERVER_NAME",
    )

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        if (self.rpc_tls_certificate is None) != (self.rpc_tls_key is None):
            yield "NEXUS_RPC_TLS_CERTIFICATE and NEXUS_RPC_TLS_KEY: both or neither must be set"
        for variable, path in (
            ("NEXUS_RPC_TLS_CERTIFICATE", self.rpc_tls_certificate),
            ("NEXUS_RPC_TLS_KEY", self.rpc_tls_key),
            ("NEXUS_RPC_TLS_AUTHORITY", self.rpc_tls_authority),
        ):
            try:
                if path is not None and b"-----BEGIN " not in path.read_bytes():
                    yield f"{variable}: {path} contains no PEM text"
            except OSError as error:
                yield f"{variable}: {error.strerror or error}: {path}"

    def rpc_tls(self) -> RpcTls:
        """Reads the files, which `problems` has already checked. Raises OSError."""
        return RpcTls(
            certificate=_read(self.rpc_tls_certificate),
            key=_read(self.rpc_tls_key),
            authority=_read(self.rpc_tls_authority),
            server_name=self.rpc_tls_server_name,
        )


def _read(path: Path | None) -> bytes | None:
    return None if path is None else path.read_bytes()
