"""Ports: is one free before anything is started, and which option would choose another?"""

import errno
import socket
from dataclasses import dataclass
from typing import Final

_KINDS: Final = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


@dataclass(frozen=True, slots=True)
class PortWish:
    """A port that somebody asked for by `option`; `kind` is tcp or udp."""

    host: str
    port: int
    option: str
    kind: str = "tcp"


class PortUnavailable(Exception):
    """The port cannot be had; the message names it and the option that chooses another."""


def check(wish: PortWish) -> None:
    """Raises PortUnavailable. Between here and its use somebody else may take it: then its owner fails and
    says so."""
    try:
        with socket.socket(family(wish.host), _KINDS[wish.kind]) as probe:
            if wish.kind == "tcp":
                # As servers do, so that a connection of a former run in TIME_WAIT does not count as busy.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if wish.host == "::":  # IPv4 is asked for by itself
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind((wish.host, wish.port))
            if wish.kind == "tcp":
                probe.listen(1)
    except OSError as error:
        raise PortUnavailable(_explain(wish, error)) from None


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
