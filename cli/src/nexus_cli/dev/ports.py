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
class PortWish:
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
def held(wishes: Iterable[PortWish]) -> Iterator[None]:
    """Keeps ports from all who take any free one (the broker, gRPC, the media), and lets those have them who
    ask for them by number. Raises PortUnavailable.

    A TCP port that is bound and does not listen is never handed out (socket(7), SO_REUSEADDR); who sets
    SO_REUSEADDR, as servers do, can still listen there. So it need not be let go at the right moment.
    """
    with ExitStack() as sockets:
        for wish in wishes:
            for each in _held(wish):
                sockets.enter_context(each)
        yield


def _held(wish: PortWish) -> Iterator[socket.socket]:
    if wish.kind == "tcp":
        yield _bound(wish)
    if wish.number_too:
        # Where it is not free, others cannot take it either.
        with suppress(PortUnavailable):
            yield _bound(replace(wish, kind="udp"))
    check(wish)


def check(wish: PortWish) -> None:
    """Raises PortUnavailable when nobody could serve there now."""
    with _bound(wish) as probe:
        if wish.kind == "tcp":
            try:
                probe.listen(1)
            except OSError as error:
                raise PortUnavailable(_explain(wish, error)) from None


def _bound(wish: PortWish) -> socket.socket:
    probe = None
    try:
        probe = socket.socket(family(wish.host), _KINDS[wish.kind])
        if wish.kind == "tcp":
            # As servers do, so that a connection of a former run in TIME_WAIT does not count as busy.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if wish.host == "::":  # IPv4 is asked for by itself
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        probe.bind((wish.host, wish.port))
    except OSError as error:
        if probe is not None:
            probe.close()
        raise PortUnavailable(_explain(wish, error)) from None
    return probe


def family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _explain(wish: PortWish, error: OSError) -> str:
    where = f"{wish.kind.upper()} port {wish.port} on {wish.host}"
    if error.errno == errno.EADDRINUSE:
        return f"{where} is in use (another `nexus dev`?): choose another with {wish.option}"
    if error.errno == errno.EACCES:
        return f"{where} needs rights that you do not have: choose one above 1023 with {wish.option}"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{wish.host} is no address of this machine: choose another with --host"
    return f"{where} cannot be had ({error.strerror or error}): choose another with {wish.option}"
