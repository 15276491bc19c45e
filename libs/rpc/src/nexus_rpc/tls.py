"""TLS between services, from three files: an own certificate, its key, and the authority that signs peers.

A server with a certificate speaks TLS; with an authority it also demands a certificate of its callers
(mTLS). A caller with an authority speaks TLS; with a certificate it presents it. Without any file both speak
plaintext, which is meant for one machine or a network that encrypts by itself.
"""

from dataclasses import dataclass

import grpc


@dataclass(frozen=True, slots=True)
class RpcTls:
    """PEM texts. `server_name` is the name that a server's certificate must carry, where it is not the host
    that is called; empty means the host."""

    certificate: bytes | None = None
    key: bytes | None = None
    authority: bytes | None = None
    server_name: str = ""

    def server_credentials(self) -> grpc.ServerCredentials | None:
        """None: plaintext."""
        if self.certificate is None or self.key is None:
            return None
        return grpc.ssl_server_credentials(
            [(self.key, self.certificate)],
            root_certificates=self.authority,
            require_client_auth=self.authority is not None,
        )

    def channel_credentials(self) -> grpc.ChannelCredentials | None:
        """None: plaintext."""
        if self.authority is None:
            return None
        return grpc.ssl_channel_credentials(self.authority, self.key, self.certificate)

    def channel_options(self) -> list[tuple[str, str]]:
        if self.authority is None or not self.server_name:
            return []
        return [("grpc.ssl_target_name_override", self.server_name)]
