"""Name server of the sandboxes: an allowed name leads to the gateway itself, any other does not exist.

Nothing is asked of anybody for an answer, so no question of a sandbox leaves the gateway, whatever its name says.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from dns.rcode import Rcode

from sandkeeper.gateway import dns_packets, reasons
from sandkeeper.gateway.dns_stream import DnsStream
from sandkeeper.gateway.record import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandkeeper.gateway.caller import Caller
    from sandkeeper.gateway.context import Context
    from sandkeeper.gateway.dns_packets import Question

QUESTIONS_PER_SECOND: Final = 500.0
QUESTIONS_AT_ONCE: Final = 2000.0
"""Of one source to one process; a question beyond is dropped, and asked again."""
MOST_SOURCES: Final = 10_000
MOST_WAITING: Final = 1024
MOST_WAITING_OF_A_SOURCE: Final = 16


@dataclass(slots=True)
class _Budget:
    left: float
    counted: float


@dataclass(frozen=True, slots=True)
class _Outcome:
    rcode: Rcode
    addresses: Sequence[str] = ()
    reason: str = ""


class DnsServer:
    """Answers questions; `datagrams` and `stream` are its protocol factories for UDP and TCP."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._waiting: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._budgets: OrderedDict[str, _Budget] = OrderedDict()

    def datagrams(self) -> asyncio.DatagramProtocol:
        """Make what answers the packets of one UDP socket."""
        return _Datagrams(self)

    def stream(self) -> asyncio.Protocol:
        """Make what answers the questions of one TCP connection."""
        return DnsStream(self._context, self.answer)

    def answer(self, wire: bytes, source: str, caller: Caller | None, *, stream: bool) -> bytes | None:
        """Answer a packet; None where nothing is to be said.

        Parameters
        ----------
        source
            Address it came from.
        caller
            Whose that is; None for nobody's.
        """
        question = dns_packets.read(wire)
        if question is None or not self._may_ask(source):
            return None
        outcome = self._judge(question, caller)
        if outcome.reason:
            now = self._context.now()
            record = Record("dns", caller, source, now, domain=question.text, reason=outcome.reason)
            self._context.audit.tell(record)
        return dns_packets.write(question, outcome.rcode, outcome.addresses, identity=wire[:2], stream=stream)

    def receive(self, wire: bytes, source: tuple[str, int], transport: asyncio.DatagramTransport) -> None:
        """Answer a packet of UDP, at once for a caller that is known."""
        address = _plain(source)
        caller = self._context.callers.known(address)
        if caller is not None:
            self._reply(wire, source, caller, transport)
        elif len(self._tasks) < MOST_WAITING and self._waiting[address] < MOST_WAITING_OF_A_SOURCE:
            self._waiting[address] += 1
            task = asyncio.create_task(self._wait(wire, source, transport))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _wait(self, wire: bytes, source: tuple[str, int], transport: asyncio.DatagramTransport) -> None:
        address = _plain(source)
        try:
            await self._context.callers.caller(address)
            # It may have gone again since that answer was given.
            self._reply(wire, source, self._context.callers.known(address), transport)
        finally:
            self._waiting[address] -= 1
            if not self._waiting[address]:
                del self._waiting[address]

    def _reply(
        self, wire: bytes, source: tuple[str, int], caller: Caller | None, transport: asyncio.DatagramTransport
    ) -> None:
        answer = self.answer(wire, _plain(source), caller, stream=False)
        if answer is not None and not transport.is_closing():
            transport.sendto(answer, source)

    def _judge(self, question: Question, caller: Caller | None) -> _Outcome:
        if caller is None:
            return _Outcome(Rcode.REFUSED, reason=reasons.UNKNOWN_SOURCE)
        if question.rcode != Rcode.NOERROR:
            return _Outcome(question.rcode, reason=reasons.BAD_QUESTION)
        if not question.host:
            return _Outcome(Rcode.NXDOMAIN, reason=question.reason)
        if not caller.rules.resolves(question.host, self._context.now()):
            return _Outcome(Rcode.NXDOMAIN, reason=reasons.NOT_ALLOWED)
        own = self._context.callers.slot_addresses(caller.rules.slot(question.host))
        if not own:
            return _Outcome(Rcode.SERVFAIL)
        return _Outcome(Rcode.NOERROR, dns_packets.of_kind(own, question.kind))

    def _may_ask(self, source: str) -> bool:
        """Count a question against what its source may ask, so that one sandbox's flood is not its neighbours'."""
        now = time.monotonic()
        budget = self._budgets.get(source)
        if budget is None:
            budget = self._budgets[source] = _Budget(QUESTIONS_AT_ONCE, now)
            if len(self._budgets) > MOST_SOURCES:
                self._budgets.popitem(last=False)
        budget.left = min(QUESTIONS_AT_ONCE, budget.left + (now - budget.counted) * QUESTIONS_PER_SECOND)
        budget.counted = now
        if budget.left < 1:
            return False
        budget.left -= 1
        return True


class _Datagrams(asyncio.DatagramProtocol):
    """One UDP socket."""

    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the socket."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, source: tuple[str, int]) -> None:
        """Answer a packet."""
        if self._transport is not None:
            self._server.receive(data, source, self._transport)


def _plain(source: tuple[str, int]) -> str:
    """Address of a source: that of IPv4 as such, where the socket is of both families."""
    return source[0].removeprefix("::ffff:")
