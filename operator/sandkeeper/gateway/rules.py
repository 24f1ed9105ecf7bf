"""What one sandbox may reach: pure, and asked for every connection, request and question.

Ports other than those of the web carry no name. Each host of such a port has a slot, an address of the gateway's own
that names lead to: two hosts that share a port have two slots, chosen by their order in the spec alone, so that all
replicas agree.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final

from sandkeeper.api.domains import MAX_HOST, WEB_PORTS, domain
from sandkeeper.gateway import reasons

if TYPE_CHECKING:
    from collections.abc import Iterable
    from ipaddress import IPv4Address, IPv6Address

    from sandkeeper.api.egress import EgressGrant

SLOTS: Final = 9
"""Hosts of one sandbox that may share a port: one by the gateway's main Service, the others by its pool."""

# Underscores are no letters of host names, but of names that are asked for, and some servers' certificates hold them.
_NAME: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
_NUMBER: Final = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether something may be reached.

    Attributes
    ----------
    rule
        Pattern that allows it; empty where none does.
    reason
        One of `reasons`; empty where it is allowed.
    """

    rule: str = ""
    reason: str = ""

    @property
    def allowed(self) -> bool:
        """Whether it may."""
        return not self.reason


@lru_cache(maxsize=1024)
def normal_name(name: str) -> str:
    """Bring a host name into the form in which names are compared: lower case, without the root's dot.

    Raises
    ------
    ValueError
        If it is none; the message is one of `reasons`: ``ip-literal`` for whatever some program takes for an address
        (RFC 3986, and the odd numbers that inet_aton reads), otherwise ``bad-name``.
    """
    normal = name.lower().removesuffix(".")
    if normal.startswith("[") or ":" in normal or _NUMBER.fullmatch(normal.rpartition(".")[2]):
        raise ValueError(reasons.IP_LITERAL)
    # Before anything was made lower: the Kelvin sign would become a k.
    if not name.isascii() or len(normal) > MAX_HOST or not _NAME.fullmatch(normal):
        raise ValueError(reasons.BAD_NAME)
    return normal


@dataclass(frozen=True, slots=True)
class _Patterns:
    """Hosts, and suffixes of hosts, each with its patterns by port."""

    hosts: dict[str, dict[int, str]] = field(default_factory=dict)
    suffixes: dict[str, dict[int, str]] = field(default_factory=dict)

    def find(self, host: str) -> Iterable[dict[int, str]]:
        """Ports and patterns that a host has, the nearest first."""
        if found := self.hosts.get(host):
            yield found
        _, _, suffix = host.partition(".")
        while suffix:
            if found := self.suffixes.get(suffix):
                yield found
            _, _, suffix = suffix.partition(".")

    def verdict(self, host: str, port: int) -> Verdict:
        """Judge a host's port."""
        known = False
        for ports in self.find(host):
            known = True
            if rule := ports.get(port):
                return Verdict(rule)
        return Verdict(reason=reasons.PORT_NOT_ALLOWED if known else reasons.NOT_ALLOWED)


class Rules:
    """What a sandbox may reach.

    Parameters
    ----------
    grant
        As its pod's annotation says.
    """

    __slots__ = ("_cidrs", "_hosts", "_patterns", "_setup", "_setup_until", "_slots")

    def __init__(self, grant: EgressGrant) -> None:
        self._patterns = _read(grant.domains)
        self._setup = _read(grant.setup)
        self._setup_until = grant.setup_until.timestamp() if grant.setup_until else 0.0
        self._cidrs = tuple((ip_network(each.cidr), frozenset(each.ports)) for each in grant.cidrs)
        self._slots = assigned_slots(grant.domains)
        self._hosts = {
            (slot, port): host
            for host, slot in self._slots.items()
            for port in self._patterns.hosts[host]
            if port not in WEB_PORTS
        }

    def verdict(self, host: str, port: int, now: float) -> Verdict:
        """Judge a host's port.

        Parameters
        ----------
        host
            As `normal_name` gives it.
        now
            Seconds since the epoch.
        """
        found = self._patterns.verdict(host, port)
        if not found.allowed and now < self._setup_until:
            return min(found, self._setup.verdict(host, port), key=lambda each: bool(each.reason))
        return found

    def setup_ended(self, now: float) -> bool:
        """Whether there were setup domains whose time is over: what only they allowed is allowed no more."""
        return 0.0 < self._setup_until <= now

    def resolves(self, host: str, now: float) -> bool:
        """Whether a name is answered at all: some port of it may be reached."""
        setup = self._setup.find(host) if now < self._setup_until else ()
        return any(True for _ in self._patterns.find(host)) or any(True for _ in setup)

    def slot(self, host: str) -> int:
        """Which of the gateway's own addresses a name leads to."""
        return self._slots.get(host, 0)

    def host_at(self, slot: int, port: int) -> str | None:
        """Host that is meant by a port of one of the gateway's own addresses; None for no host."""
        return self._hosts.get((slot, port))

    def grants_address(self, address: IPv4Address | IPv6Address, port: int) -> bool:
        """Whether an address may be dialled although it is private."""
        return any(address in cidr and (not ports or port in ports) for cidr, ports in self._cidrs)


def assigned_slots(patterns: Iterable[str]) -> dict[str, int]:
    """Give each host that has ports beside those of the web a slot in which no earlier host has one of them.

    A host for which none is left has none, and is not reached by such a port; the operator says so.
    """
    ports: dict[str, set[int]] = {}
    for each in map(domain, patterns):
        if each.port is not None and each.port not in WEB_PORTS and not each.below:
            ports.setdefault(each.host, set()).add(each.port)
    taken: set[tuple[int, int]] = set()
    slots: dict[str, int] = {}
    for host, own in ports.items():
        free = (slot for slot in range(SLOTS) if not any((slot, port) in taken for port in own))
        if (slot := next(free, None)) is not None:
            slots[host] = slot
            taken |= {(slot, port) for port in own}
    return slots


def _read(patterns: Iterable[str]) -> _Patterns:
    read = _Patterns()
    for text in patterns:
        each = domain(text)
        ports = (read.suffixes if each.below else read.hosts).setdefault(each.host, {})
        for port in WEB_PORTS if each.port is None else (each.port,):
            ports.setdefault(port, text)
    return read
