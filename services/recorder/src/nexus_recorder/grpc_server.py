"""The gRPC methods of the recorder. Every replica answers every call."""

from typing import Final

from nexus.recorder.v1 import recorder_pb2, recorder_pb2_grpc
from nexus_rpc import RpcServer

from nexus_recorder.config import RecorderConfig
from nexus_recorder.metrics import Metrics

SERVICE: Final = recorder_pb2.DESCRIPTOR.services_by_name["RecorderService"]


def make_server(config: RecorderConfig, metrics: Metrics) -> RpcServer:
    """Binds the port. Raises ClientError."""
    return RpcServer(
        config.grpc_host,
        config.grpc_port,
        max_message_bytes=config.grpc_message_bytes,
        observe=lambda method, outcome: metrics.requests.labels(method, outcome).inc(),
        tls=config.rpc_tls(),
    )


def serve(server: RpcServer, servicer: recorder_pb2_grpc.RecorderServiceServicer) -> None:
    """Adds the methods to the server, before it starts."""
    server.add_service(SERVICE, recorder_pb2_grpc.add_RecorderServiceServicer_to_server, servicer)
