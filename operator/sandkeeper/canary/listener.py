"""The end that canaries try to reach: greets whoever connects, and returns every datagram."""

from __future__ import annotations

import asyncio
import signal
import socket
from typing import Final, cast

GREETING: Final = b"sandkeeper canary\n"


async def listen(port: int) -> None:
    """Serve until told to end."""
    ended = asyncio.Event()
    # The first process of a container gets no signal that it does not ask for.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await serve(port)
    await ended.wait()


async def serve(port: int) -> tuple[asyncio.Server, asyncio.DatagramTransport]:
    """Listen on every address of both families, or of IPv4 where the node has no other.

    Returns
    -------
    tuple
        What is to be closed, for TCP and UDP.
    """
    try:
        return await _serve(socket.AF_INET6, port)
    except OSError:
        return await _serve(socket.AF_INET, port)


async def _serve(family: socket.AddressFamily, port: int) -> tuple[asyncio.Server, asyncio.DatagramTransport]:
    bound = []
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        each = socket.socket(family, kind)
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            each.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        each.bind(("", port))
        each.setblocking(False)
        bound.append(each)
    stream, datagram = bound
    echo, _ = await asyncio.get_running_loop().create_datagram_endpoint(_Echo, sock=datagram)
    return await asyncio.start_server(_greet, sock=stream), echo


async def _greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(GREETING)
    writer.close()


class _Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._transport.sendto(data, addr)
