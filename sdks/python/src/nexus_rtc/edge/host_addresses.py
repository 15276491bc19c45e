"""Host candidates on a machine without a network: aioice omits loopback addresses (RFC 8445 section 5.1.1.1)
and would have no candidate at all. A client must still reach a server on the same machine."""

from typing import Protocol

from aioice import ice


class HostAddresses(Protocol):
    def __call__(self, use_ipv4: bool, use_ipv6: bool) -> list[str]: ...


def with_loopback_as_last_resort(find: HostAddresses) -> HostAddresses:
    def addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        return find(use_ipv4, use_ipv6) or (["127.0.0.1"] if use_ipv4 else ["::1"])

    return addresses


def install() -> None:
    """Patches aioice for the whole process, because it has no setting for this. Idempotent."""
    if ice.get_host_addresses.__name__ != "addresses":
        ice.get_host_addresses = with_loopback_as_last_resort(ice.get_host_addresses)
