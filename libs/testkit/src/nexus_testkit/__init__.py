"""Tools for tests: a NATS server, a clock that tests move, free ports, and conditions to wait for."""

from nexus_testkit.clock import ManualClock
from nexus_testkit.nats_server import NatsServer, NatsServerFailed, nats_server_binary
from nexus_testkit.ports import free_port
from nexus_testkit.surroundings import make_runtime
from nexus_testkit.tcp_link import TcpLink
from nexus_testkit.waiting import ConditionNotMet, wait_until

__all__ = [
    "ConditionNotMet",
    "ManualClock",
    "NatsServer",
    "NatsServerFailed",
    "TcpLink",
    "free_port",
    "make_runtime",
    "nats_server_binary",
    "wait_until",
]
