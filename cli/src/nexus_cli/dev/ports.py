"""Checks that ports are free before any process starts, and reserves them until their owners bind them."""

import errno
import socket
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Final

_KINDS: Final = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


@dataclass(frozen=True, slots=True)
class PortRequest:
    """A port that the user chose with `option`; `kind` is tcp or udp.

    `with_udp` also holds the UDP port of the same number, if it is free. This keeps the SFU from choosing it:
    it takes any free UDP port for media, and then the TCP port of the same number.
    """

    host: str
    port: int
    option: str
    kind: str = "tcp"
    with_udp: bool = False


class PortUnavailable(Exception):
    """The port cannot be bound; the message names it and the option that chooses another."""


@contextmanager
def held(requests: Iterable[PortRequest]) -> Iterator[None]:
    """Reserves ports, so that processes which take any free port (the broker, gRPC, media) do not get them,
    while a process that binds one by its number does. Raises PortUnavailable.

    The kernel never assigns a TCP port that is bound without listening, and a server that sets SO_REUSEADDR
    can still listen on it (socket(7)). So the reservation need not be released at the right moment.
    """
    with ExitStack() as sockets:
        for request in requests:
            for each in _held(request):
                sockets.enter_context(each)
        yield


def free(host: str) -> int:
    """A free TCP port. Another process may take it before it is held. Raises PortUnavailable."""
    with _bound(PortRequest(host, 0, "--host")) as probe:
        return int(probe.getsockname()[1])


def _held(request: PortRequest) -> Iterator[socket.socket]:
    if request.kind == "tcp":
        yield _bound(request)
    if request.with_udp:
        # If it is not free, other processes cannot take it either.
        with suppress(PortUnavailable):
            yield _bound(replace(request, kind="udp"))
    check(request)


def check(request: PortRequest) -> None:
    """Raises PortUnavailable if no server could use the port now."""
    with _bound(request) as probe:
        if request.kind == "tcp":
            try:
                probe.listen(1)
            except OSError as error:
                raise PortUnavailable(_explain(request, error)) from None


def _bound(request: PortRequest) -> socket.socket:
    probe = None
    try:
        probe = socket.socket(family(request.host), _KINDS[request.kind])
        if request.kind == "tcp":
            # As servers do, so that a connection of an earlier run in TIME_WAIT does not count as busy.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if request.host == "::":  # IPv4 has its own request
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        probe.bind((request.host, request.port))
    except OSError as error:
        if probe is not None:
            probe.close()
        raise PortUnavailable(_explain(request, error)) from None
    return probe


def family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _explain(request: PortRequest, error: OSError) -> str:
    where = f"{request.kind.upper()} port {request.port} on {request.host}"
    if error.errno == errno.EADDRINUSE:
        return f"{where} is in use (another `nexus dev`?): choose another with {request.option}"
    if error.errno == errno.EACCES:
        return f"{where} requires privileges: choose one above 1023 with {request.option}"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{request.host} is not an address of this machine: choose another with --host"
    return f"{where} cannot be bound ({error.strerror or error}): choose another with {request.option}"
