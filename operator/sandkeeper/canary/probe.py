"""Tries every way out at once, again and again for some seconds: a fence that comes late counts as none.

Only an answer counts as reached. A refused connection does not: there are enforcers that refuse in the target's name.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import struct
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .listener import GREETING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from .attempts import Attempt

SECONDS: Final = 3.0
_TRY_SECONDS: Final = 1.0
_PAUSE_SECONDS: Final = 0.1
_QUESTION: Final = "kubernetes.default.svc.cluster.local"
"""Whatever the answer is, even that there is no such name, it shows that the server was reached."""
_ECHO_REQUEST: Final = 8
_HANDSHAKE: Final = b"\x16"
"""Type of a TLS record (RFC 8446, 5.1); an alert has another one."""


async def probe(attempts: Sequence[Attempt], seconds: float = SECONDS) -> list[str]:
    """Make all attempts.

    Returns
    -------
    list of str
        Names of those that reached something, in the order given.
    """
    meant = [each for each in attempts if each.patience]
    others = [each for each in attempts if not each.patience]
    # What is refused tells nothing before what refuses it is there.
    reached = {each for each in meant if await _insist(each, each.patience)}
    outcomes = await asyncio.gather(*(_insist(each, seconds) for each in others))
    reached |= {each for each, arrived in zip(others, outcomes, strict=True) if arrived}
    return [each.name for each in attempts if each in reached]


async def _insist(attempt: Attempt, seconds: float) -> bool:
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while loop.time() < until:
        try:
            async with asyncio.timeout(_TRY_SECONDS):
                await _attempt(attempt)
        except (OSError, EOFError):  # a timeout is an OSError
            await asyncio.sleep(_PAUSE_SECONDS)
        else:
            return True
    return False


async def _attempt(attempt: Attempt) -> None:
    if attempt.domain:
        await _BY_NAME[attempt.means](attempt.host, attempt.port, attempt.domain)
    else:
        await _MEANS[attempt.means](attempt.host, attempt.port)


async def _tcp(host: str, port: int) -> None:
    _, writer = await asyncio.open_connection(host, port)
    writer.close()


async def _listener(host: str, port: int) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        await reader.readexactly(len(GREETING))
    finally:
        writer.close()


async def _udp(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    await _exchange(family, host, port, os.urandom(16))


async def _multicast(_: str, port: int) -> None:
    """Call every neighbour on every link by IPv6, which needs no address to be assigned."""
    links = [name for _, name in socket.if_nameindex() if name != "lo"]
    calls = [asyncio.create_task(_call_link(name, port)) for name in links]
    if not calls:
        raise OSError("there is no link")
    try:
        for call in asyncio.as_completed(calls):
            if await call:
                return
    finally:
        for call in calls:
            call.cancel()
    raise OSError("nobody answers")


async def _call_link(link: str, port: int) -> bool:
    try:
        await _exchange(socket.AF_INET6, f"ff02::1%{link}", port, os.urandom(16))
    except OSError:
        return False
    return True


async def _icmp(host: str, _: int) -> None:
    """Ask for an echo by a datagram socket of the kernel's own, which takes no capability but is not allowed to all."""
    payload = struct.pack("!BBHHH", _ECHO_REQUEST, 0, 0, 0, 1) + os.urandom(16)
    await _exchange(socket.AF_INET, host, 0, payload, socket.IPPROTO_ICMP)


async def _exchange(family: int, host: str, port: int, payload: bytes, protocol: int = 0) -> bytes:
    loop = asyncio.get_running_loop()
    with socket.socket(family, socket.SOCK_DGRAM, protocol) as sock:
        sock.setblocking(False)
        await loop.sock_sendto(sock, payload, _address(family, host, port))
        return (await loop.sock_recvfrom(sock, 2048))[0]


def _address(family: int, host: str, port: int) -> tuple[str, int] | tuple[str, int, int, int]:
    address, _, link = host.partition("%")
    if family == socket.AF_INET:
        return address, port
    return address, port, 0, socket.if_nametoindex(link) if link else 0


async def _dns_udp(host: str, port: int) -> None:
    server = host or resolver()
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    question = _question(_QUESTION)
    answer = await _exchange(family, server, port, question)
    if answer[:2] != question[:2]:
        raise OSError("an answer to another question")


async def _dns_tcp(host: str, port: int) -> None:
    reader, writer = await asyncio.open_connection(host or resolver(), port)
    try:
        question = _question(_QUESTION)
        writer.write(struct.pack("!H", len(question)) + question)
        await reader.readexactly(2)
    finally:
        writer.close()


async def _name(host: str, port: int, domain: str) -> None:
    """Resolve a domain: an answer counts that has no error and some record (RFC 1035, 4.1.1)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    question = _question(domain)
    answer = await _exchange(family, host, port, question)
    if answer[:2] != question[:2] or answer[3] & 0xF or answer[6:8] == b"\0\0":
        raise OSError("the name is not there")


async def _tls(host: str, port: int, domain: str) -> None:
    """Greet as a TLS client does; a server that takes the domain for its own answers with a handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname=domain)
    with suppress(ssl.SSLWantReadError):
        client.do_handshake()
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(outgoing.read())
        if await reader.readexactly(1) != _HANDSHAKE:
            raise OSError("the server does not go by that name")
    finally:
        writer.close()


def _question(domain: str) -> bytes:
    """Build a query for an A record (RFC 1035, 4.1)."""
    name = b"".join(bytes([len(label)]) + label.encode() for label in domain.split("."))
    return os.urandom(2) + struct.pack("!HHHHH", 0x0100, 1, 0, 0, 0) + name + b"\0" + struct.pack("!HH", 1, 1)


def resolver(configuration: Path = Path("/etc/resolv.conf")) -> str:
    """Address of the first name server of the pod.

    Raises
    ------
    OSError
        If there is none.
    """
    for line in configuration.read_text().splitlines():
        keyword, _, value = line.strip().partition(" ")
        if keyword == "nameserver":
            return value.strip()
    raise OSError("no name server")


_MEANS: dict[str, Callable[[str, int], Awaitable[None]]] = {
    "listener": _listener,
    "tcp": _tcp,
    "udp": _udp,
    "multicast": _multicast,
    "icmp": _icmp,
    "dns-udp": _dns_udp,
    "dns-tcp": _dns_tcp,
}
_BY_NAME: dict[str, Callable[[str, int, str], Awaitable[None]]] = {"name": _name, "tls": _tls}
