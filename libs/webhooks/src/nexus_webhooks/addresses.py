"""The addresses to which webhooks may be sent.

A URL that an app chose must not reach the operator's own network (server-side request forgery): databases,
metadata of a cloud, other services behind the firewall. The address is checked when the socket is made, after
the name was resolved, so that a name cannot resolve to another address in between.
"""

import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any, Final

# IPv4 addresses within IPv6 (RFC 6052). The gateway would connect to the address inside.
_NAT64: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))

AddressInfo = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[Any, ...]]


class AddressRefused(OSError):
    """The endpoint's name has an address of a private network."""


def is_public(text: str) -> bool:
    """Whether an IP address belongs to the public internet. Raises ValueError if it is not an address."""
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address) and (inner := _inner(address)) is not None:
        address = inner
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not address.is_unspecified
    )


def _inner(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address to which a packet to this address finally goes."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if any(address in network for network in _NAT64):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return None


def checked_sockets(*, allow_private: bool) -> Callable[[AddressInfo], socket.socket]:
    """A maker of sockets, which raises AddressRefused for addresses that are not public."""

    def make(info: AddressInfo) -> socket.socket:
        family, kind, protocol, _, address = info
        if not allow_private and not is_public(str(address[0])):
            raise AddressRefused("the endpoint has an address that is not public")
        return socket.socket(family, kind, protocol)

    return make
