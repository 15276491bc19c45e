"""A network of the bench's own: servers in one namespace, the load in another, a veth pair between them.

So nothing else is on it, servers find an interface that is no loopback (Janus and libnice pass over those),
and addresses are free: one for the server, 10.128.0.0/9 for as many peer connections as there are. The
program starts itself anew in the servers' namespace; the generator is started in the other. Neither has a way
to anywhere else: what is fetched or built is fetched and built before.
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
    """Returns in the namespace. `prepare` is called once, while the machine's own network is still there.
    Needs root, or a kernel that lets users make namespaces."""
    if MARK in os.environ:
        return
    prepare()
    own = [] if os.geteuid() == 0 else ["--map-root-user"]
    # The outer one is the load's, kept by this process; the inner one the servers'.
    os.environ[MARK] = "outer"
    os.execvp("unshare", ["unshare", *own, "--net", sys.executable, __file__, *sys.argv])  # noqa: S606


def inside_load(command: list[str]) -> list[str]:
    """The command, run in the load's namespace."""
    return ["nsenter", f"--net=/proc/{os.environ[MARK]}/ns/net", *command]


def _ip(*steps: str) -> None:
    for step in steps:
        subprocess.run(["ip", *step.split()], check=True)


def _outer(arguments: list[str]) -> int:
    """In the load's namespace: makes the servers', joins the two, and runs the program there."""
    os.environ[MARK] = str(os.getpid())
    inner = subprocess.Popen(
        ["unshare", "--net", sys.executable, __file__, "wait", *arguments], stdin=subprocess.PIPE
    )
    assert inner.stdin is not None
    while os.readlink(f"/proc/{inner.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
        pass
    _ip("link set lo up", f"link add load type veth peer name sfu netns {inner.pid}")
    _ip(f"addr add {LOAD_GATEWAY}/24 dev load", "link set load up", f"route add local {PEERS} dev lo")
    inner.stdin.close()  # go on
    try:
        return inner.wait()
    except KeyboardInterrupt:  # the program has a session of its own and must stop its server
        inner.send_signal(signal.SIGINT)
        return inner.wait()


def _inner(arguments: list[str]) -> None:
    sys.stdin.read()
    _ip("link set lo up", f"addr add {SERVER_ADDRESS}/24 dev sfu", "link set sfu up")
    _ip(f"route add {PEERS} via {LOAD_GATEWAY}")
    show = ["ip", "link", "show", "dev", "sfu"]
    while "state UP" not in subprocess.run(show, check=True, capture_output=True, text=True).stdout:
        time.sleep(
            0.05
        )  # the kernel notices the carrier a moment later, and servers pass over a dead interface
    os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606


if __name__ == "__main__":
    if sys.argv[1] == "wait":
        _inner(sys.argv[2:])
    sys.exit(_outer(sys.argv[1:]))
