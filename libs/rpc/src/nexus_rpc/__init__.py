"""gRPC between services: one error type for both sides, a server, a channel pool, request ids and TLS."""

from nexus_rpc import request_id
from nexus_rpc.channels import ChannelPool
from nexus_rpc.config import RpcConfig
from nexus_rpc.errors import ERROR_METADATA, RpcError, internal, status_of
from nexus_rpc.server import CallObserver, Context, RpcServer
from nexus_rpc.tls import RpcTls

__all__ = [
    "ERROR_METADATA",
    "CallObserver",
    "ChannelPool",
    "Context",
    "RpcConfig",
    "RpcError",
    "RpcServer",
    "RpcTls",
    "internal",
    "request_id",
    "status_of",
]
