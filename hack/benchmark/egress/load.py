"""A client of the site by one way: ``python -m benchmark.egress.load WHAT ADDRESS PORT``; prints its result as JSON.

It has many addresses, as many sandboxes have: a limit of one is not to be measured, nor the ports that wait to be free.
"""

import asyncio
import itertools
import json
import resource
import sys
import time
from statistics import median
from typing import Any, cast

import dns.message
import uvloop

from benchmark.egress.wire import ANSWER, ASK_FOR, HOST, REQUEST, client_hello

SOURCES = [f"10.99.{high}.{low}" for high in range(4) for low in range(1, 251)]
SECONDS = 4.0
AT_ONCE = 32
STREAM_BYTES = 2_000_000_000
PACE = 100
_HELLO = client_hello()
_sources = itertools.cycle(SOURCES)


class Client(asyncio.Protocol):
    """Sends something as soon as it is connected, and says when so many bytes came back."""

    def __init__(self, first: bytes, expected: int) -> None:
        self._first = first
        self._expected = expected
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self._first)

    def data_received(self, data: bytes) -> None:
        """Count."""
        self._expected -= len(data)
        if self._expected <= 0 and not self.done.done():
            self.done.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        """Say that it broke."""
        if not self.done.done():
            self.done.set_exception(error or ConnectionResetError("closed by the other side"))

    def again(self, sent: bytes, expected: int) -> asyncio.Future[None]:
        """Send something more and await so many bytes."""
        self._expected, self.done = expected, asyncio.get_running_loop().create_future()
        self.transport.write(sent)
        return self.done


async def connected(address: str, port: int, first: bytes = _HELLO, expected: int = len(ANSWER)) -> Client:
    """Connect, send and have the answer."""
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(
        lambda: Client(first, expected), address, port, local_addr=(next(_sources), 0)
    )
    await client.done
    return client


async def connections(address: str, port: int) -> dict[str, float]:
    """Open and close connections, many at once."""
    end = time.monotonic() + SECONDS

    async def worker() -> int:
        count = 0
        while time.monotonic() < end:
            (await connected(address, port)).transport.close()
            count += 1
        return count

    began = time.monotonic()
    total = sum(await asyncio.gather(*(worker() for _ in range(AT_ONCE))))
    return {"per_second": total / (time.monotonic() - began)}


async def paced(address: str, port: int) -> dict[str, float]:
    """Open a hundred connections a second, one after the other."""
    took = []
    for _ in range(int(PACE * SECONDS)):
        began = time.perf_counter()
        (await connected(address, port)).transport.close()
        took.append(time.perf_counter() - began)
        await asyncio.sleep(max(0.0, 1 / PACE - took[-1]))
    return {"p50_ms": median(took) * 1000}


async def stream(address: str, port: int) -> dict[str, float]:
    """Have one connection send much."""
    client = await connected(address, port)
    began = time.perf_counter()
    await client.again(ASK_FOR + STREAM_BYTES.to_bytes(8, "big"), STREAM_BYTES)
    return {"gbit_per_second": STREAM_BYTES * 8e-9 / (time.perf_counter() - began)}


async def idle(address: str, port: int) -> dict[str, float]:
    """Hold a thousand connections until told to end."""
    held = [await connected(address, port) for _ in range(1000)]
    print("held", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    return {"held": len(held)}


async def requests(address: str, port: int) -> dict[str, float]:
    """Send requests on kept connections, one after the other on each."""
    end = time.monotonic() + SECONDS

    async def worker() -> int:
        client = await connected(address, port, REQUEST, 1)
        count = 1
        while time.monotonic() < end:
            await client.again(REQUEST, 1)
            count += 1
        client.transport.close()
        return count

    began = time.monotonic()
    total = sum(await asyncio.gather(*(worker() for _ in range(AT_ONCE))))
    return {"per_second": total / (time.monotonic() - began)}


class Asking(asyncio.DatagramProtocol):
    """Asks for a name and waits for the answer, which on loopback may come from another of its addresses.

    Parameters
    ----------
    address, port
        Whom it asks.
    """

    def __init__(self, address: str, port: int) -> None:
        self._server = (address, port)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, _: Any) -> None:
        """Take the answer."""
        self._answered.set_result(data)

    async def ask(self, question: bytes) -> bytes:
        """Ask one question."""
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.sendto(question, self._server)
        answer: bytes = await self._answered
        return answer


async def names(address: str, port: int) -> dict[str, float]:
    """Ask for an allowed name, one question after the other."""
    loop = asyncio.get_running_loop()
    _, asking = await loop.create_datagram_endpoint(lambda: Asking(address, port), local_addr=(next(_sources), 0))
    question = dns.message.make_query(HOST, "A").to_wire()
    took = []
    for _ in range(1000):
        began = time.perf_counter()
        await asking.ask(question)
        took.append(time.perf_counter() - began)
    return {"p50_ms": median(took) * 1000}


LOADS = {
    "connections": connections,
    "paced": paced,
    "stream": stream,
    "idle": idle,
    "requests": requests,
    "names": names,
}

if __name__ == "__main__":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    print(json.dumps(uvloop.run(LOADS[sys.argv[1]](sys.argv[2], int(sys.argv[3])))))
