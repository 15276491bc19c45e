"""Ports: is one free before anything is started, does it stay so until its owner comes, and which option
would choose another?"""

import errno
import socket
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Final

_KINDS: Final = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


@dataclass(frozen=True, slots=True)
class PortRequest:
    """A port that somebody asked for by `option`; `kind` is tcp or udp.

    `number_too`: the UDP port of this number is held as well where it is free. For who takes any UDP port and
    then the TCP port of the same number, as the media does.
    """

    host: str
    port: int
    option: str
    kind: str = "tcp"
    number_too: bool = False


class PortUnavailable(Exception):
    """The port cannot be had; the message names it and the option that chooses another."""


@contextmanager
def held(requests: Iterable[PortRequest]) -> Iterator[None]:
    """Keeps ports from all who take any free one (the broker, gRPC, the media), and lets those have them who
    ask for them by number. Raises PortUnavailable.

    A TCP port that is bound and does not listen is never handed out (socket(7), SO_REUSEADDR); who sets
    SO_REUSEADDR, as servers do, can still listen there. So it need not be let go at the right moment.
    """
    with ExitStack() as sockets:
        for request in requests:
            for each in _held(request):
                sockets.enter_context(each)
        yield


def _held(request: PortRequest) -> Iterator[socket.socket]:
    if request.kind == "tcp":
        yield _bound(request)
    if request.number_too:
        # Where it is not free, others cannot take it either.
        with suppress(PortUnavailable):
            yield _bound(replace(request, kind="udp"))
    check(request)


def check(request: PortRequest) -> None:
    """Raises PortUnavailable when nobody could serve there now."""
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
            # As servers do, so that a connection of a former run in TIME_WAIT does not count as busy.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if request.host == "::":  # IPv4 is asked for by itself
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
        return f"{where} needs rights that you do not have: choose one above 1023 with {request.option}"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{request.host} is no address of this machine: choose another with --host"
    return f"{where} cannot be had ({error.strerror or error}): choose another with {request.option}"
