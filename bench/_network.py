"""A private network for the bench: servers in one namespace, the load in another, joined by a veth pair.

It carries no other traffic, gives servers an interface other than loopback (which Janus and libnice ignore),
and has free addresses: one for the server, and 10.128.0.0/9 for the peer connections. The program restarts
itself in the servers' namespace and starts the generator in the other one. Neither reaches any other network,
so everything is fetched and built before.
"""

import ipaddress
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

MARK = "NEXUS_BENCH_NETWORK"
SERVER_ADDRESS = "10.77.0.1"
LOAD_GATEWAY = "10.77.0.2"
FIRST_PEER = ipaddress.IPv4Address("10.128.0.0")
PEERS = f"{FIRST_PEER}/9"


def enter(prepare: Callable[[], None]) -> None:
    """Restarts the program in the servers' namespace, and returns there. `prepare` is called once before,
    with the machine's own network. Requires root, or a kernel that allows users to create namespaces."""
    if MARK in os.environ:
        return
    prepare()
    own = [] if os.geteuid() == 0 else ["--map-root-user"]
    # The outer namespace, which this process keeps, is the load's; the inner one is the servers'.
    os.environ[MARK] = "outer"
    os.execvp("unshare", ["unshare", *own, "--net", sys.executable, __file__, *sys.argv])  # noqa: S606


def inside_load(command: list[str]) -> list[str]:
    """The command, run in the load's namespace."""
    return ["nsenter", f"--net=/proc/{os.environ[MARK]}/ns/net", *command]


def _ip(*steps: str) -> None:
    for step in steps:
        subprocess.run(["ip", *step.split()], check=True)


def _outer(arguments: list[str]) -> int:
    """Runs in the load's namespace: creates the servers' namespace, joins the two, and runs the program in
    it."""
    os.environ[MARK] = str(os.getpid())
    inner = subprocess.Popen(
        ["unshare", "--net", sys.executable, __file__, "wait", *arguments], stdin=subprocess.PIPE
    )
    assert inner.stdin is not None
    while os.readlink(f"/proc/{inner.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
        pass
    _ip("link set lo up", f"link add load type veth peer name sfu netns {inner.pid}")
    _ip(f"addr add {LOAD_GATEWAY}/24 dev load", "link set load up", f"route add local {PEERS} dev lo")
    inner.stdin.close()  # lets `_inner` continue
    try:
        return inner.wait()
    except KeyboardInterrupt:  # the program is in its own session and must stop its server
        inner.send_signal(signal.SIGINT)
        return inner.wait()


def _inner(arguments: list[str]) -> None:
    sys.stdin.read()
    _ip("link set lo up", f"addr add {SERVER_ADDRESS}/24 dev sfu", "link set sfu up")
    _ip(f"route add {PEERS} via {LOAD_GATEWAY}")
    show = ["ip", "link", "show", "dev", "sfu"]
    while "state UP" not in subprocess.run(show, check=True, capture_output=True, text=True).stdout:
        # The kernel detects the carrier a moment later, and servers ignore an interface without one.
        time.sleep(0.05)
    os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606


if __name__ == "__main__":
    if sys.argv[1] == "wait":
        _inner(sys.argv[2:])
    sys.exit(_outer(sys.argv[1:]))
