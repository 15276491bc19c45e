"""Host candidates on a machine without a network: aioice leaves loopback addresses out (as RFC 8445 section
5.1.1.1 asks), and would then have none at all. A laptop on a train must still reach a server on itself."""

from typing import Protocol

from aioice import ice


class HostAddresses(Protocol):
    def __call__(self, use_ipv4: bool, use_ipv6: bool) -> list[str]: ...


def with_loopback_as_last_resort(find: HostAddresses) -> HostAddresses:
    def addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        return find(use_ipv4, use_ipv6) or (["127.0.0.1"] if use_ipv4 else ["::1"])

    return addresses


def install() -> None:
    """For the whole process: aioice has no setting for it. Twice is as good as once."""
    if ice.get_host_addresses.__name__ != "addresses":
        ice.get_host_addresses = with_loopback_as_last_resort(ice.get_host_addresses)
