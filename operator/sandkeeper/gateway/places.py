"""Where the gateway listens: the ports of its pods, which the fence opens, and what stands behind each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sandkeeper.gateway.rules import SLOTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DNS_PORT: Final = 10053
HTTP_PORT: Final = 10080
TLS_PORT: Final = 10443
PROXY_PORT: Final = 3128
FIRST_NAMELESS_PORT: Final = 11000
"""Of the ports behind which hosts are told apart by slot; one for each slot and offered port."""
MOST_OFFERED: Final = 100
LAST_NAMELESS_PORT: Final = FIRST_NAMELESS_PORT + SLOTS * MOST_OFFERED - 1


def nameless_ports(offered: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """List where the ports without names are listened on.

    Parameters
    ----------
    offered
        Ports that sandboxes can be allowed beside those of the web, in the chart's order; at most `MOST_OFFERED`.

    Yields
    ------
    tuple
        Port of the gateway's pod, slot, and the port that was asked for.
    """
    for slot in range(SLOTS):
        for index, port in enumerate(offered[:MOST_OFFERED]):
            yield FIRST_NAMELESS_PORT + slot * MOST_OFFERED + index, slot, port
