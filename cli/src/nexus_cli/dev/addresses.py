"""Addresses to listen on, and the ICE candidates that clients receive (RFC 8839)."""

import ipaddress
import socket
from collections.abc import Iterable

import ifaddr

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def listening(host: str) -> str:
    """The IP address of `host`, which may be a name such as localhost. Raises ValueError."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ValueError(f"--host {host}: {error}") from None
    return str(min(found, key=lambda entry: entry[0] != socket.AF_INET)[4][0])


def is_loopback(host: str) -> bool:
    return ipaddress.ip_address(host).is_loopback


def media_host(candidate_addresses: Iterable[str]) -> str:
    """The address to which the media sockets are bound for these candidates: the loopback address if it is
    the only candidate, otherwise the unspecified address. An empty result means both families, for which the
    SFU opens two sockets."""
    parsed = [ipaddress.ip_address(address) for address in candidate_addresses]
    if len(parsed) == 1 and parsed[0].is_loopback:
        return str(parsed[0])
    if all(address.version == 4 for address in parsed):
        return "0.0.0.0"  # noqa: S104 - ICE authenticates
    return "::" if all(address.version == 6 for address in parsed) else ""


def candidates(host: str) -> list[str]:
    """The candidate addresses without `--media-address`.

    After a loopback `host` follow this machine's other addresses, because Firefox does not use loopback
    addresses for ICE, so a call between two tabs on one machine needs one of them. An IPv6 `host` adds those
    of both families; the SFU sorts them by preference.
    """
    address = ipaddress.ip_address(host)
    if not (address.is_unspecified or address.is_loopback):
        return [host]
    own = (
        ip.ip if isinstance(ip.ip, str) else ip.ip[0]
        for adapter in ifaddr.get_adapters()
        for ip in adapter.ips
    )
    others = reachable(own, with_ipv6=address.version == 6)
    if address.is_loopback:
        return [host, *(other for other in others if other != host)]
    return others or ["127.0.0.1"]


def reachable(addresses: Iterable[str], *, with_ipv6: bool) -> list[str]:
    """The `addresses` that another machine could reach, followed by the loopback for browsers on this
    machine."""
    parsed: list[IPAddress] = [ipaddress.ip_address(address) for address in addresses]
    others = [
        address
        for address in parsed
        if not (address.is_loopback or address.is_link_local) and (with_ipv6 or address.version == 4)
    ]
    loopback = [address for address in parsed if address.is_loopback and address.version == 4]
    return [str(address) for address in dict.fromkeys((*others, *loopback))]


def checked(addresses: Iterable[str]) -> list[str]:
    """Returns the addresses. Raises ValueError unless each is an IP address: a candidate cannot be a name."""
    checked_addresses = []
    for address in addresses:
        try:
            checked_addresses.append(str(ipaddress.ip_address(address)))
        except ValueError:
            raise ValueError(f"--media-address {address} is not an IP address") from None
    return checked_addresses
