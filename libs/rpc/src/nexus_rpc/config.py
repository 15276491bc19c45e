"""The settings of every service that serves or calls gRPC."""

from pathlib import Path

from nexus_runtime import ConfigError, ServiceConfig, setting

from nexus_rpc.tls import RpcTls


class RpcConfig(ServiceConfig):
    rpc_tls_certificate: Path | None = setting(
        None,
        reason="PEM file: this service's certificate between services; unset: plaintext",
        validation_alias="NEXUS_RPC_TLS_CERTIFICATE",
    )
    rpc_tls_key: Path | None = setting(
        None, reason="PEM file: the certificate's key", validation_alias="NEXUS_RPC_TLS_KEY"
    )
    rpc_tls_authority: Path | None = setting(
        None,
        reason="PEM file: who signs the certificates of other services; a server then demands one (mTLS)",
        validation_alias="NEXUS_RPC_TLS_AUTHORITY",
    )
    rpc_tls_server_name: str = setting(
        "",
        reason="the name in the certificates of called services; empty: the host that is called",
        validation_alias="NEXUS_RPC_TLS_SERVER_NAME",
    )

    def rpc_tls(self) -> RpcTls:
        """Reads the files. Raises ConfigError."""
        if (self.rpc_tls_certificate is None) != (self.rpc_tls_key is None):
            raise ConfigError(
                "CONFIG_INVALID", "NEXUS_RPC_TLS_CERTIFICATE and NEXUS_RPC_TLS_KEY: both or neither"
            )
        return RpcTls(
            certificate=_read("NEXUS_RPC_TLS_CERTIFICATE", self.rpc_tls_certificate),
            key=_read("NEXUS_RPC_TLS_KEY", self.rpc_tls_key),
            authority=_read("NEXUS_RPC_TLS_AUTHORITY", self.rpc_tls_authority),
            server_name=self.rpc_tls_server_name,
        )


def _read(variable: str, path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigError("CONFIG_INVALID", f"{variable}: {error.strerror or error}: {path}") from error
    if b"-----BEGIN " not in text:
        raise ConfigError("CONFIG_INVALID", f"{variable}: no PEM text in {path}")
    return text
