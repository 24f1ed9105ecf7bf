"""Addresses of names, asked of the gateway's own resolvers: absolute names only, and only those a verdict allowed.

What is kept is what the resolvers said, nothing of who asked: which of the addresses a sandbox may reach is judged
anew for each. An answer lives no longer than its TTL, and simultaneous questions for one name are one.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import time
from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

import dns.asyncquery
import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.resolver
from dns.rdatatype import RdataType

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from sandkeeper.gateway.addresses import Address

SHORTEST_SECONDS: Final = 1.0
LONGEST_SECONDS: Final = 300.0
LONGEST_NEGATIVE_SECONDS: Final = 5.0
MOST_ANSWERS: Final = 10_000
MOST_ADDRESSES: Final = 32
"""Of one answer: more are not dialled anyhow."""
RESOLUTION_DELAY_SECONDS: Final = 0.05
"""How long one family waits for the other (RFC 8305, section 3)."""
PAYLOAD: Final = 1232
ROUNDS: Final = 2

Server = tuple[str, int]


class UnresolvableError(Exception):
    """A name has no address, or no resolver said which; one sentence."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a resolver said of one name and family; no addresses is an answer, too.

    Attributes
    ----------
    seconds
        How long it holds.
    """

    addresses: tuple[Address, ...]
    seconds: float


class Resolver:
    """Asks, and remembers.

    Parameters
    ----------
    servers
        Address and port of each resolver, in the order in which they are asked.
    ipv6
        Whether addresses of IPv6 are asked for.
    seconds, try_seconds
        How long a name is asked for, and how long one resolver is waited for; each is tried `ROUNDS` times.
    """

    def __init__(
        self,
        servers: Sequence[Server],
        *,
        ipv6: bool,
        seconds: float = 5.0,
        try_seconds: float = 2.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._servers = tuple(servers)
        self._kinds = (RdataType.A, RdataType.AAAA) if ipv6 else (RdataType.A,)
        self._seconds = seconds
        self._try_seconds = try_seconds
        self._now = now
        self._kept: OrderedDict[tuple[str, RdataType], tuple[float, Answer]] = OrderedDict()
        self._asked: dict[tuple[str, RdataType], asyncio.Task[Answer]] = {}

    def known(self, name: str) -> tuple[Address, ...] | None:
        """Give the addresses of a name, if nothing has to be asked for them."""
        found: tuple[Address, ...] = ()
        for kind in self._kinds:
            if (answer := self._keeps(name, kind)) is None:
                return None
            found += answer.addresses
        return found

    async def addresses(self, name: str) -> tuple[Address, ...]:
        """Give the addresses of a name, of IPv4 first, and those of the family that was quicker at least.

        Parameters
        ----------
        name
            As `rules.normal_name` gives it.

        Raises
        ------
        UnresolvableError
            If it has none, or if no resolver answered.
        """
        if (found := self.known(name)) is None:
            found = await _gather([self._task(name, kind) for kind in self._kinds])
        if not found:
            raise UnresolvableError(f"{name} has no address.")
        return found

    def _keeps(self, name: str, kind: RdataType) -> Answer | None:
        kept = self._kept.get((name, kind))
        return kept[1] if kept and self._now() < kept[0] else None

    def _task(self, name: str, kind: RdataType) -> asyncio.Task[Answer]:
        key = name, kind
        if (task := self._asked.get(key)) is None:
            task = self._asked[key] = asyncio.create_task(self._remember(name, kind))
            task.add_done_callback(lambda _: self._asked.pop(key))
            # Nobody may be waiting any longer for what went wrong.
            task.add_done_callback(lambda each: each.cancelled() or each.exception())
        return task

    async def _remember(self, name: str, kind: RdataType) -> Answer:
        if (kept := self._keeps(name, kind)) is not None:
            return kept
        try:
            answer = await self._ask(name, kind)
        except UnresolvableError:
            # For a moment: a storm of connections is not to be one of questions.
            self._keep(name, kind, Answer((), SHORTEST_SECONDS))
            raise
        self._keep(name, kind, answer)
        return answer

    def _keep(self, name: str, kind: RdataType, answer: Answer) -> None:
        self._kept[name, kind] = self._now() + answer.seconds, answer
        self._kept.move_to_end((name, kind))
        if len(self._kept) > MOST_ANSWERS:
            self._kept.popitem(last=False)

    async def _ask(self, name: str, kind: RdataType) -> Answer:
        trouble = "no resolver answered in time"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._seconds):
                for server in self._servers * ROUNDS:
                    try:
                        return read_answer(await self._query(server, name, kind))
                    except (dns.exception.DNSException, UnresolvableError, OSError, EOFError) as error:
                        trouble = f"{server[0]} said {str(error) or type(error).__name__!r}"
        raise UnresolvableError(f"{name} was not resolved: {trouble}.")

    async def _query(self, server: Server, name: str, kind: RdataType) -> dns.message.Message:
        """Ask one resolver, in random case: what comes back in another case is not believed, but asked for by TCP."""
        asked = dns.name.from_text(_random_case(f"{name}."))
        query = dns.message.make_query(asked, kind, use_edns=0, payload=PAYLOAD)
        address, port = server
        response, by_tcp = await dns.asyncquery.udp_with_fallback(
            query, address, self._try_seconds, port, ignore_unexpected=True, ignore_errors=True
        )
        if not by_tcp and [each.name.labels for each in response.question] != [asked.labels]:
            return await dns.asyncquery.tcp(query, address, self._try_seconds, port)
        return response


async def _gather(asked: Collection[asyncio.Task[Answer]]) -> tuple[Address, ...]:
    done, late = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    if late:
        found = any(not each.exception() and each.result().addresses for each in done)
        await asyncio.wait(late, timeout=RESOLUTION_DELAY_SECONDS if found else None)
    failed = [error for each in asked if each.done() and (error := each.exception())]
    answers = [each.result() for each in asked if each.done() and not each.exception()]
    if failed and not any(each.addresses for each in answers):
        raise failed[0]
    return tuple(address for each in answers for address in each.addresses)


def read_answer(response: dns.message.Message) -> Answer:
    """Follow an answer's aliases to its addresses.

    Raises
    ------
    UnresolvableError
        If the resolver failed.
    dns.exception.DNSException
        If the aliases lead nowhere.
    """
    if not isinstance(response, dns.message.QueryMessage):
        raise UnresolvableError("the answer is to another kind of question")
    if response.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        raise UnresolvableError(dns.rcode.to_text(response.rcode()))
    chain = response.resolve_chaining()
    seconds = max(SHORTEST_SECONDS, chain.minimum_ttl)
    if chain.answer is None:
        return Answer((), min(seconds, LONGEST_NEGATIVE_SECONDS))
    addresses = tuple(ip_address(each.address) for each in chain.answer)[:MOST_ADDRESSES]
    return Answer(addresses, min(seconds, LONGEST_SECONDS))


def configured_servers(path: str = "/etc/resolv.conf") -> list[Server]:
    """Read which resolvers a machine uses; its search domains and other options are not ours.

    Raises
    ------
    dns.resolver.NoResolverConfiguration
        If it names none.
    """
    return [(str(each), 53) for each in dns.resolver.Resolver(path).nameservers]


def has_ipv6() -> bool:
    """Tell whether there is a way into the Internet by IPv6; nothing is sent."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
            sender.connect(("2000::1", 53))
    except OSError:
        return False
    return True


def _random_case(name: str) -> str:
    bits = random.SystemRandom().getrandbits(len(name))
    return "".join(each.upper() if bits >> place & 1 else each for place, each in enumerate(name))
