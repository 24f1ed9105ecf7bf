"""The site and the name server behind everything: ``python -m benchmark.egress.site``."""

import asyncio
from typing import Any, cast

import dns.message
import dns.rdatatype
import dns.rrset
import uvloop

from benchmark.egress.wire import ANSWER, ASK_FOR, OK, RESOLVER_PORT, SITE, TLS_PORT, WEB_PORT

_PIECE = bytes(1 << 18)
_TTL = 300


class Site(asyncio.Protocol):
    """Answers a hello, and then sends as many bytes as it is asked for."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)
        self._left = 0
        self._greeted = False

    def data_received(self, data: bytes) -> None:
        """Answer."""
        if not self._greeted:
            self._greeted = True
            self._transport.write(ANSWER)
        elif data.startswith(ASK_FOR):
            self._left = int.from_bytes(data[1:9], "big")
            self.resume_writing()

    def pause_writing(self) -> None:
        """Send no more for now."""
        self._full = True

    def resume_writing(self) -> None:
        """Send until the transport has enough."""
        self._full = False
        while self._left and not self._full:
            piece = memoryview(_PIECE)[: min(len(_PIECE), self._left)]
            self._left -= len(piece)
            self._transport.write(piece)


class Web(asyncio.Protocol):
    """Answers requests without a body."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer each."""
        self._transport.write(OK * data.count(b"\r\n\r\n"))


class Names(asyncio.DatagramProtocol):
    """Every name is the site's."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer a question."""
        question = dns.message.from_wire(data)
        answer: Any = dns.message.make_response(question)
        asked = question.question[0]
        if asked.rdtype == dns.rdatatype.A:
            answer.answer.append(dns.rrset.from_text(asked.name, _TTL, "IN", "A", SITE))
        self._transport.sendto(answer.to_wire(), addr)


async def serve() -> None:
    """Serve for ever."""
    loop = asyncio.get_running_loop()
    await loop.create_server(Site, SITE, TLS_PORT, backlog=4096)
    await loop.create_server(Web, SITE, WEB_PORT, backlog=4096)
    await loop.create_datagram_endpoint(Names, local_addr=("127.0.0.1", RESOLVER_PORT))
    print("serving", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve())
