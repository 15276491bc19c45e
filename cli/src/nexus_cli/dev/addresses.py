"""Addresses: where to listen and which candidates clients are told (RFC 8839)."""

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
    """Where the media sockets are bound for these candidates: on a loopback nothing else, otherwise
    everywhere; empty for everywhere in both families, which are two sockets to the SFU."""
    parsed = [ipaddress.ip_address(address) for address in candidate_addresses]
    if len(parsed) == 1 and parsed[0].is_loopback:
        return str(parsed[0])
    if all(address.version == 4 for address in parsed):
        return "0.0.0.0"  # noqa: S104 - ICE authenticates
    return "::" if all(address.version == 6 for address in parsed) else ""


def candidates(host: str) -> list[str]:
    """What clients are told when nobody says otherwise.

    With `host` a loopback, this machine's other addresses follow: Firefox takes no loopback address into ICE,
    so that a call between two tabs on one machine needs one of them. An IPv6 `host` brings those of both
    families; the SFU puts them in the order of preference.
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
    """Those of `addresses` that another machine could use, and the loopback last for browsers on this one."""
    parsed: list[IPAddress] = [ipaddress.ip_address(address) for address in addresses]
    others = [
        address
        for address in parsed
        if not (address.is_loopback or address.is_link_local) and (with_ipv6 or address.version == 4)
    ]
    loopback = [address for address in parsed if address.is_loopback and address.version == 4]
    return [str(address) for address in dict.fromkeys((*others, *loopback))]


def checked(addresses: Iterable[str]) -> list[str]:
    """Raises ValueError for what is no IP address: a candidate is never a name here."""
    checked_addresses = []
    for address in addresses:
        try:
            checked_addresses.append(str(ipaddress.ip_address(address)))
        except ValueError:
            raise ValueError(f"--media-address {address} is no IP address") from None
    return checked_addresses
