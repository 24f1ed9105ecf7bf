"""Everything a worker listens on, and what stands behind it."""

from __future__ import annotations

import asyncio
import socket
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sandkeeper.gateway.addresses import AddressFilter
from sandkeeper.gateway.connections import Connections
from sandkeeper.gateway.context import Context, Limits
from sandkeeper.gateway.dialer import Dialer
from sandkeeper.gateway.dns_server import DnsServer
from sandkeeper.gateway.http_front import HttpFront
from sandkeeper.gateway.listening import Listening
from sandkeeper.gateway.nameless_front import NamelessFront
from sandkeeper.gateway.places import DNS_PORT, HTTP_PORT, PROXY_PORT, TLS_PORT, nameless_ports
from sandkeeper.gateway.poll import Poll
from sandkeeper.gateway.proxy_front import ProxyFront
from sandkeeper.gateway.resolver import Resolver, configured_servers, has_ipv6
from sandkeeper.gateway.sockets import BACKLOG, most_files, shared
from sandkeeper.gateway.tls_front import TlsFront

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sandkeeper.gateway.context import Audit, Callers
    from sandkeeper.gateway.settings import GatewaySettings

    Front = Callable[[], asyncio.Protocol]

_FILES: Final = 4
"""Of one connection: both ends, and as much again for what is asked and dialled at the same time, and for refusals."""


def context_of(settings: GatewaySettings, callers: Callers, audit: Audit) -> Context:
    """Put together what fronts work with."""
    limits = Limits()
    limits = replace(limits, total=min(limits.total, most_files() // _FILES))
    given = [(str(each), settings.resolvers_port) for each in settings.resolvers]
    resolver = Resolver(given or configured_servers(), ipv6=has_ipv6())
    addresses = AddressFilter(map(str, settings.cluster_networks))
    return Context(
        callers=callers,
        dialer=Dialer(resolver, addresses, limits.dial_seconds),
        audit=audit,
        connections=Connections(callers, limits, time.time),
        limits=limits,
        now=time.time,
    )


class Fronts:
    """The listening sockets of one worker."""

    def __init__(self, context: Context, settings: GatewaySettings) -> None:
        self._context = context
        self._offset = settings.port_offset
        self._offered = settings.ports
        self._dns = DnsServer(context)
        self._servers: list[Listening] = []
        self._datagrams: list[asyncio.DatagramTransport] = []

    async def open(self) -> None:
        """Take connections and questions.

        Raises
        ------
        OSError
            If somebody else has one of the ports.
        """
        loop = asyncio.get_running_loop()
        for port, front in self._listed():
            for bound in shared(port + self._offset, socket.SOCK_STREAM):
                self._servers.append(Listening(Poll.running(), bound, front, BACKLOG))
        for bound in shared(DNS_PORT + self._offset, socket.SOCK_DGRAM):
            transport, _ = await loop.create_datagram_endpoint(self._dns.datagrams, sock=bound)
            self._datagrams.append(transport)

    def close(self) -> None:
        """Take no more; what is open goes on."""
        for server in self._servers:
            server.close()
        for transport in self._datagrams:
            transport.close()

    def _listed(self) -> Iterator[tuple[int, Front]]:
        yield TLS_PORT, TlsFront(self._context)
        yield HTTP_PORT, HttpFront(self._context)
        yield PROXY_PORT, ProxyFront(self._context)
        yield DNS_PORT, self._dns.stream
        for port, slot, asked in nameless_ports(self._offered):
            yield port, NamelessFront(self._context, slot, asked)
