"""What one entry of a policy allows, as nftables rules.

Both directions of a connection are judged by the connection's own addresses: the client is its original source, the
server the source of its replies, which after kube-proxy's rewriting is the pod behind a Service. So a change of policy
cuts an open connection both ways.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from ipaddress import IPv4Network

from localcluster.native.policy.objects import Clause, Group, Port

CLIENT = "ct original ip saddr"
SERVER = "ct reply ip saddr"
SERVER_PORT = "ct reply proto-src"


@dataclass(frozen=True)
class Rule:
    """One rule that lets pass what fits peer and port.

    Parameters
    ----------
    peer
        Whom it allows: a group, ranges, or with None everybody.
    port
        What it allows: with None everything.
    """

    peer: Group | tuple[IPv4Network, ...] | None
    port: Port | None

    def line(self, side: str) -> str:
        """Return the rule as text; the peer is on the given side, CLIENT or SERVER."""
        return " ".join([*_whom(side, self.peer), *_what(self.port), "return"])


def rules_of(clause: Clause) -> list[Rule]:
    """Return the rules of one entry."""
    peers: list[Group | tuple[IPv4Network, ...] | None] = [None] if clause.anyone else [*clause.groups]
    if clause.ranges:
        peers.append(clause.ranges)
    return [Rule(peer, port) for peer in peers for port in clause.ports or (None,)]


def _whom(side: str, peer: Group | tuple[IPv4Network, ...] | None) -> list[str]:
    match peer:
        case None:
            return []
        case tuple():
            return [side, "{", ", ".join(map(str, peer)), "}"]
        case _:
            return [side, f"@{group_set(peer)}"]


def _what(port: Port | None) -> list[str]:
    if port is None:
        return []
    protocol = ["meta", "l4proto", port.protocol.lower()]
    if port.name is not None:
        return [*protocol, SERVER, ".", SERVER_PORT, f"@{name_set(port.protocol, port.name)}"]
    if port.first is None:
        return protocol
    return [*protocol, SERVER_PORT, str(port.first) if port.first == port.last else f"{port.first}-{port.last}"]


@lru_cache(maxsize=10_000)
def group_set(group: Group) -> str:
    """Return the name of the set that has a group's addresses."""
    return f"group_{_digest(repr(_plain(group)))}"


def name_set(protocol: str, name: str) -> str:
    """Return the name of the set that has address and number of every port of that name."""
    return f"port_{_digest(f'{protocol}/{name}')}"


def chain_name(lines: Iterable[str]) -> str:
    """Return the name of the chain with these lines: a chain never changes, another one takes its place."""
    return f"allow_{_digest('|'.join(lines))}"


def _plain(group: Group) -> list[object]:
    # A frozenset's representation has no order that lasts from one process to the next.
    selectors = (group.namespaces, group.pods)
    return [group.namespace, *([[r.key, r.operator, sorted(r.values)] for r in s.requirements] for s in selectors)]


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]
