"""A resolver of the tests' own, on loopback by UDP and TCP, that logs every question that reaches it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import cast

import dns.flags
import dns.message
import dns.rrset
from dns.rcode import Rcode
from dns.rdatatype import RdataType

LOOPBACK = "127.0.0.1"


@dataclass
class Nameserver:
    """Answers from what it is given; each can be changed while it serves.

    Attributes
    ----------
    addresses
        By name; of both families.
    aliases
        By name, what it is another one of.
    rcodes
        By name, what goes wrong with it.
    slow
        By name and type, how many seconds it takes.
    truncated
        Names whose answers do not fit into a packet of UDP.
    silent
        How many questions get no answer before others do.
    lower
        Whether the question's case is lost.
    asked
        Each question: name in lower case, type, and whether it came by TCP.
    """

    addresses: dict[str, list[str]] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    rcodes: dict[str, Rcode] = field(default_factory=dict)
    slow: dict[tuple[str, str], float] = field(default_factory=dict)
    truncated: set[str] = field(default_factory=set)
    seconds: int = 60
    silent: int = 0
    lower: bool = False
    asked: list[tuple[str, str, bool]] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def server(self) -> tuple[str, int]:
        """Where it is."""
        return LOOPBACK, self.port

    def names(self) -> list[str]:
        """Names that were asked for, each once."""
        return sorted({name for name, _, _ in self.asked})

    def _aliases(self, name: str) -> list[str]:
        found = [name]
        while (alias := self.aliases.get(found[-1])) and found.count(alias) < 2:
            found.append(alias)
        return found[1:]

    async def answer(self, wire: bytes, *, tcp: bool) -> bytes | None:
        """Answer a packet, in its time."""
        query = dns.message.from_wire(wire)
        question = query.question[0]
        written = question.name.to_text(omit_final_dot=True)
        name, kind = written.lower(), RdataType.to_text(question.rdtype)
        self.asked.append((name, kind, tcp))
        self.raw.append(written)
        await asyncio.sleep(self.slow.get((name, kind), 0.0))
        if self.silent > 0:
            self.silent -= 1
            return None
        response = dns.message.make_response(query, recursion_available=True)
        if self.lower:
            response.question = [dns.rrset.RRset(question.name.canonicalize(), question.rdclass, question.rdtype)]
        if name in self.truncated and not tcp:
            response.flags |= dns.flags.TC
            return response.to_wire()
        response.set_rcode(self.rcodes.get(name, Rcode.NOERROR))
        for alias in self._aliases(name):
            response.answer.append(dns.rrset.from_text(f"{name}.", self.seconds, "IN", "CNAME", f"{alias}."))
            name = alias
        found = [each for each in self.addresses.get(name, ()) if (":" in each) == (kind == "AAAA")]
        if found:
            response.answer.append(dns.rrset.from_text(f"{name}.", self.seconds, "IN", kind, *found))
        elif name not in self.addresses and name not in self.rcodes:
            response.set_rcode(Rcode.NXDOMAIN)
        return response.to_wire(max_size=65_535)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, nameserver: Nameserver) -> None:
        self._nameserver = nameserver
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, source: tuple[str, int]) -> None:
        task = asyncio.create_task(self._answer(data, source))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, data: bytes, source: tuple[str, int]) -> None:
        answer = await self._nameserver.answer(data, tcp=False)
        if answer is not None and not self._transport.is_closing():
            self._transport.sendto(answer, source)


@asynccontextmanager
async def nameserver() -> AsyncIterator[Nameserver]:
    """Serve on a port of loopback."""
    served = Nameserver()

    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(EOFError):
            while True:
                size = int.from_bytes(await reader.readexactly(2), "big")
                if answer := await served.answer(await reader.readexactly(size), tcp=True):
                    writer.write(len(answer).to_bytes(2, "big") + answer)
        writer.close()

    server = await asyncio.start_server(stream, LOOPBACK, 0)
    served.port = server.sockets[0].getsockname()[1]
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(served), local_addr=served.server)
    try:
        yield served
    finally:
        transport.close()
        server.close()
