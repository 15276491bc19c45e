"""Tools for tests: servers of NATS and S3, a proxy that fails, clocks that tests move, free ports, and
conditions to wait for."""

from nexus_testkit.clock import ManualClock
from nexus_testkit.fault_proxy import Answer, Fault, FaultProxy, Hang, Reset, Seen, Truncate
from nexus_testkit.nats_server import NatsServer, nats_cluster, nats_server_binary
from nexus_testkit.ports import free_port
from nexus_testkit.s3_server import S3Server, versitygw_binary
from nexus_testkit.server_process import ServerFailed
from nexus_testkit.surroundings import make_runtime
from nexus_testkit.tcp_link import TcpLink
from nexus_testkit.virtual_time import NothingScheduled, VirtualTimeLoop, run_in_virtual_time
from nexus_testkit.waiting import ConditionNotMet, wait_until

__all__ = [
    "Answer",
    "ConditionNotMet",
    "Fault",
    "FaultProxy",
    "Hang",
    "ManualClock",
    "NatsServer",
    "NothingScheduled",
    "Reset",
    "S3Server",
    "Seen",
    "ServerFailed",
    "TcpLink",
    "Truncate",
    "VirtualTimeLoop",
    "free_port",
    "make_runtime",
    "nats_cluster",
    "nats_server_binary",
    "run_in_virtual_time",
    "versitygw_binary",
    "wait_until",
]
