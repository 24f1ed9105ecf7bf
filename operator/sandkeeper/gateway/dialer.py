"""Connects to hosts that a verdict allowed: the address that was checked is the one that is dialled.

No name goes to the system's resolver: sockets are given literals, and what they are connected to is looked at again
before a byte goes over them.
"""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

import aiohappyeyeballs

from sandkeeper.gateway import reasons
from sandkeeper.gateway.connecting import Connecting, connect
from sandkeeper.gateway.context import DialError
from sandkeeper.gateway.poll import Poll
from sandkeeper.gateway.resolver import UnresolvableError
from sandkeeper.gateway.tcp import TcpTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sandkeeper.gateway.addresses import Address, AddressFilter
    from sandkeeper.gateway.caller import Caller
    from sandkeeper.gateway.resolver import Resolver

ATTEMPT_DELAY_SECONDS: Final = 0.25
"""After which the next address is tried beside the one that has not answered (RFC 8305, section 5)."""
MOST_QUESTIONS: Final = 64
"""Names that are asked for at one time for one caller: its slow names hold up nobody else's."""


class Dialer:
    """Resolves, strips and connects.

    Parameters
    ----------
    seconds
        For all of it.
    """

    def __init__(self, resolver: Resolver, addresses: AddressFilter, seconds: float = 10.0) -> None:
        self._resolver = resolver
        self._filter = addresses
        self._seconds = seconds
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def at_once(
        self, caller: Caller, host: str, port: int, protocol: asyncio.Protocol, done: Callable[[str], None]
    ) -> Connecting | None:
        """Begin to connect to a host whose one address is known; see `context.Dialer`."""
        found = self._resolver.known(host)
        if not found or len(found) > 1 or self._filter.refusal(found[0], port, caller.rules):
            return None
        literal = str(found[0])
        try:
            return Connecting(Poll.running(), literal, port, protocol, lambda made: done(literal if made else ""))
        except OSError:
            return None

    async def dial(
        self, caller: Caller, host: str, port: int, factory: Callable[[], asyncio.Protocol]
    ) -> tuple[asyncio.Transport, asyncio.Protocol, str]:
        """Connect to a host that the caller's rules were found to allow; see `context.Dialer`."""
        try:
            async with asyncio.timeout(self._seconds):
                found = self._resolver.known(host) or await self._resolve(caller, host)
                allowed = [each for each in found if not self._filter.refusal(each, port, caller.rules)]
                if not allowed:
                    raise DialError(reasons.FORBIDDEN_ADDRESS)
                return await _connect(allowed, port, factory)
        except UnresolvableError as error:
            raise DialError(reasons.UNRESOLVABLE) from error
        except TimeoutError as error:
            raise DialError(reasons.TIMEOUT) from error
        except OSError as error:
            raise DialError(reasons.UNREACHABLE) from error

    async def _resolve(self, caller: Caller, host: str) -> tuple[Address, ...]:
        turn = self._turns.setdefault(caller.pod_uid, asyncio.Semaphore(MOST_QUESTIONS))
        await turn.acquire()
        # Questions go on where who asked is gone: its turn is over with them, and not by closing the connection.
        asking = asyncio.create_task(self._resolver.addresses(host))
        asking.add_done_callback(lambda _: turn.release())
        asking.add_done_callback(lambda each: each.cancelled() or each.exception())
        await asyncio.wait((asking,))
        return asking.result()


async def _connect(
    addresses: Sequence[Address], port: int, factory: Callable[[], asyncio.Protocol]
) -> tuple[asyncio.Transport, asyncio.Protocol, str]:
    if len(addresses) == 1:
        literal, protocol = str(addresses[0]), factory()
        return await connect(literal, port, protocol), protocol, literal
    targets = [_target(each, port) for each in addresses]
    connected = await aiohappyeyeballs.start_connection(targets, happy_eyeballs_delay=ATTEMPT_DELAY_SECONDS)
    try:
        peer = connected.getpeername()
        # Both are in the one canonical spelling of an address.
        if peer[0] not in map(str, addresses):
            raise DialError(reasons.FORBIDDEN_ADDRESS)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        connected.close()
        raise
    protocol = factory()
    transport = TcpTransport(Poll.running(), connected, peer[:2], protocol)
    transport.begin()
    return transport, protocol, peer[0]


def _target(address: Address, port: int) -> aiohappyeyeballs.AddrInfoType:
    kind, protocol = socket.SOCK_STREAM, socket.IPPROTO_TCP
    if isinstance(address, IPv6Address):
        return socket.AF_INET6, kind, protocol, "", (str(address), port, 0, 0)
    return socket.AF_INET, kind, protocol, "", (str(address), port)
