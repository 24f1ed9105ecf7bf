"""Which addresses a name may lead to: those of the public Internet, and private ones only for the sandbox granted them.

What is not known to be public is refused. Forms of IPv6 that carry an IPv4 address are refused whatever they carry,
but for NAT64's well-known prefix, with which clusters without IPv4 reach the rest of the world: there the address
that is carried is judged as well.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import TYPE_CHECKING, Final

from sandkeeper.api.egress import METADATA

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sandkeeper.gateway.rules import Rules

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_PUBLIC_IPV6: Final = IPv6Network("2000::/3")
_NAT64: Final = IPv6Network("64:ff9b::/96")
_REMEMBERED: Final = 4096
_ISATAP: Final = 0x0000_5EFE
"""First half of an interface identifier (RFC 5214), where the universal bit is left out."""
_UNIVERSAL: Final = 0x0200_0000

_NEVER: Final[dict[str, str]] = {
    **dict.fromkeys(METADATA, "metadata"),
    "0.0.0.0/8": "unspecified",
    "127.0.0.0/8": "loopback",
    "169.254.0.0/16": "link-local",
    "224.0.0.0/4": "multicast",
    "255.255.255.255/32": "broadcast",
    "::/128": "unspecified",
    "::1/128": "loopback",
    # Covers IPv4-compatible, IPv4-mapped and IPv4-translated addresses.
    "::/16": "IPv4 in IPv6",
    "64:ff9b:1::/48": "NAT64 of local use",
    "2001::/32": "Teredo",
    "2002::/16": "6to4",
    "fe80::/10": "link-local",
    "ff00::/8": "multicast",
}
"""Not even for a sandbox that was granted them: they belong to the gateway, to its node, or to no host."""

_SPECIAL: Final[dict[str, str]] = {
    "10.0.0.0/8": "private",
    "100.64.0.0/10": "shared (CGNAT)",
    "172.16.0.0/12": "private",
    "192.0.0.0/24": "IETF protocols",
    "192.0.2.0/24": "documentation",
    "192.31.196.0/24": "AS112",
    "192.52.193.0/24": "AMT relays",
    "192.88.99.0/24": "6to4 relays",
    "192.168.0.0/16": "private",
    "192.175.48.0/24": "AS112",
    "198.18.0.0/15": "benchmarking",
    "198.51.100.0/24": "documentation",
    "203.0.113.0/24": "documentation",
    "240.0.0.0/4": "reserved",
    "2001::/23": "IETF protocols",
    "2001:db8::/32": "documentation",
    "2620:4f:8000::/48": "AS112",
    "3fff::/20": "documentation",
    "fc00::/7": "unique local",
    "fec0::/10": "site-local",
}
"""Of the registries of special purposes (RFC 6890 and its successors); what IPv6 has beyond is not public at all."""


def _networks(named: dict[str, str]) -> tuple[tuple[Network, str], ...]:
    return tuple((ip_network(cidr), why) for cidr, why in named.items())


_NEVER_NETWORKS: Final = _networks(_NEVER)
_SPECIAL_NETWORKS: Final = _networks(_SPECIAL)


def never(address: Address) -> str:
    """Say why an address is not dialled for anybody; empty where it may be granted."""
    if isinstance(address, IPv6Address):
        if int(address) >> 32 & 0xFFFF_FFFF & ~_UNIVERSAL == _ISATAP:
            return "ISATAP"
        if address in _NAT64:
            return never(_carried(address))
    return _find(address, _NEVER_NETWORKS)


def forbidden(address: Address) -> str:
    """Say why an address is dialled only for a sandbox that was granted it, or for none; empty for a public one."""
    if why := never(address) or _find(address, _SPECIAL_NETWORKS):
        return why
    if isinstance(address, IPv4Address) or address in _PUBLIC_IPV6:
        return ""
    return forbidden(_carried(address)) if address in _NAT64 else "not assigned"


class AddressFilter:
    """Tells which addresses may be dialled for whom.

    Parameters
    ----------
    further
        Networks of the cluster beside those that are private by their numbers: pods, Services, nodes.

    Raises
    ------
    ValueError
        If one of them is no network.
    """

    def __init__(self, further: Iterable[str] = ()) -> None:
        self._further = tuple((ip_network(each), "of the cluster") for each in further)
        self._judged = lru_cache(maxsize=_REMEMBERED)(self._judge)

    def refusal(self, address: Address, port: int, rules: Rules) -> str:
        """Say why a sandbox does not reach an address; empty where it does.

        Parameters
        ----------
        rules
            Of that very sandbox.
        """
        why = self._judged(address)
        if why and not never(address) and rules.grants_address(address, port):
            return ""
        return why

    def _judge(self, address: Address) -> str:
        """Say why an address is dialled for nobody who was not granted it."""
        why = forbidden(address) or _find(address, self._further)
        return why or (_find(_carried(address), self._further) if address in _NAT64 else "")


def _find(address: Address, networks: Iterable[tuple[Network, str]]) -> str:
    return next((why for network, why in networks if address in network), "")


def _carried(address: Address) -> IPv4Address:
    return IPv4Address(int(address) & 0xFFFF_FFFF)
