"""TLS between services, from three files: the service's certificate, its key, and the authority of its peers.

A server with a certificate speaks TLS; with an authority it also requires a client certificate (mTLS). A
caller with an authority speaks TLS, and presents its certificate if it has one. Without files both speak
plaintext, which is meant for a single machine or an encrypted network.
"""

from dataclasses import dataclass

import grpc


@dataclass(frozen=True, slots=True)
class RpcTls:
    """PEM texts. `server_name` is the name that a called server's certificate must have; empty: the host of
    the address."""

    certificate: bytes | None = None
    key: bytes | None = None
    authority: bytes | None = None
    server_name: str = ""

    def server_credentials(self) -> grpc.ServerCredentials | None:
        """None means plaintext."""
        if self.certificate is None or self.key is None:
            return None
        return grpc.ssl_server_credentials(
            [(self.key, self.certificate)],
            root_certificates=self.authority,
            require_client_auth=self.authority is not None,
        )

    def channel_credentials(self) -> grpc.ChannelCredentials | None:
        """None means plaintext."""
        if self.authority is None:
            return None
        return grpc.ssl_channel_credentials(self.authority, self.key, self.certificate)

    def channel_options(self) -> list[tuple[str, str]]:
        if self.authority is None or not self.server_name:
            return []
        return [("grpc.ssl_target_name_override", self.server_name)]
