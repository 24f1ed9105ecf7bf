"""Connects to hosts that a verdict allowed: the address that was checked is the one that is dialled.

No name goes to the system's resolver: sockets are given literals, and what they are connected to is looked at again
before a byte goes over them.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

from sandkeeper.gateway import reasons
from sandkeeper.gateway.context import DialError
from sandkeeper.gateway.happy_eyeballs import Race, connect
from sandkeeper.gateway.resolver import UnresolvableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sandkeeper.gateway.addresses import Address, AddressFilter
    from sandkeeper.gateway.caller import Caller
    from sandkeeper.gateway.resolver import Resolver
    from sandkeeper.gateway.tcp import TcpTransport

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
    ) -> Race | None:
        """Begin to connect to a host whose addresses are known; see `context.Dialer`."""
        allowed = self._allowed(self._resolver.known(host) or (), caller, port)
        if not allowed:
            return None

        def made(transport: TcpTransport | None) -> None:
            done(transport.get_extra_info("peername")[0] if transport else "")

        try:
            return Race(allowed, port, protocol, made)
        except OSError:
            return None

    async def dial(
        self, caller: Caller, host: str, port: int, factory: Callable[[], asyncio.Protocol]
    ) -> tuple[asyncio.Transport, asyncio.Protocol, str]:
        """Connect to a host that the caller's rules were found to allow; see `context.Dialer`."""
        try:
            async with asyncio.timeout(self._seconds):
                found = self._resolver.known(host) or await self._resolve(caller, host)
                allowed = self._allowed(found, caller, port)
                if not allowed:
                    raise DialError(reasons.FORBIDDEN_ADDRESS)
                protocol = factory()
                transport = await connect(allowed, port, protocol)
                return transport, protocol, transport.get_extra_info("peername")[0]
        except UnresolvableError as error:
            raise DialError(reasons.UNRESOLVABLE) from error
        except TimeoutError as error:
            raise DialError(reasons.TIMEOUT) from error
        except OSError as error:
            raise DialError(reasons.UNREACHABLE) from error

    def _allowed(self, found: Iterable[Address], caller: Caller, port: int) -> list[str]:
        """Give those addresses that the caller may be connected to, as they are dialled."""
        return [str(each) for each in found if not self._filter.refusal(each, port, caller.rules)]

    async def _resolve(self, caller: Caller, host: str) -> tuple[Address, ...]:
        turn = self._turns.setdefault(caller.pod_uid, asyncio.Semaphore(MOST_QUESTIONS))
        await turn.acquire()
        # Questions go on where who asked is gone: its turn is over with them, and not by closing the connection.
        asking = asyncio.create_task(self._resolver.addresses(host))
        asking.add_done_callback(lambda _: turn.release())
        asking.add_done_callback(lambda each: each.cancelled() or each.exception())
        await asyncio.wait((asking,))
        return asking.result()
