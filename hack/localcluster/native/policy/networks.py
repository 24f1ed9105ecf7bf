"""Address ranges of ipBlocks, with their exceptions cut out."""

from collections.abc import Iterable
from ipaddress import IPv4Network, collapse_addresses, ip_network
from typing import Any


def ranges_of(blocks: Iterable[dict[str, Any]]) -> tuple[IPv4Network, ...]:
    """Return what the ipBlocks of one rule cover together; an exception of one does not bind another.

    Notes
    -----
    IPv6 ranges cover nothing here: all IPv6 of pods is dropped.
    """
    found: list[IPv4Network] = []
    for block in blocks:
        whole = ip_network(block["cidr"], strict=False)
        if isinstance(whole, IPv4Network):
            holes = [ip_network(hole, strict=False) for hole in block.get("except") or ()]
            found += _without(whole, [hole for hole in holes if isinstance(hole, IPv4Network)])
    return tuple(collapse_addresses(found))


def _without(whole: IPv4Network, holes: list[IPv4Network]) -> list[IPv4Network]:
    left = [whole]
    for hole in holes:
        left = [piece for network in left for piece in _pieces(network, hole)]
    return left


def _pieces(network: IPv4Network, hole: IPv4Network) -> list[IPv4Network]:
    if hole.supernet_of(network):
        return []
    return list(network.address_exclude(hole)) if hole.subnet_of(network) else [network]
