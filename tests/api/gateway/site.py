"""Servers that stand for the outside, on an address of this machine that is not loopback's: TLS, HTTP, and raw TCP."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil

from localcluster.pki import Authority
from unit.fakes.nameserver import Nameserver, nameserver

RAW_PORT = 8443
NAMES = ("allowed.test", "other.test", "api.wild.test")


def outside() -> str:
    """Give an address of this machine that others could reach it by."""
    found = [
        each.address for addresses in psutil.net_if_addrs().values() for each in addresses
        if each.family.name == "AF_INET" and not each.address.startswith(("127.", "169.254."))
    ]  # fmt: skip
    assert found, "this machine has no address but those of loopback, which no gateway dials"
    return sorted(found)[0]


class Site:
    """The outside.

    Attributes
    ----------
    address
        Of all its servers.
    trusted
        TLS of a client that trusts them.
    names
        The name server that the gateway asks.
    """

    def __init__(self, address: str, trusted: ssl.SSLContext, names: Nameserver) -> None:
        self.address = address
        self.trusted = trusted
        self.names = names


@asynccontextmanager
async def site(folder: Path) -> AsyncIterator[Site]:
    """Serve it."""
    address, authority = outside(), Authority.new("the outside")
    certificate, key = authority.server("site", [*NAMES]).write(folder, "site")
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    served.load_cert_chain(certificate, key)
    trusted = ssl.create_default_context(cadata=authority.pair.certificate.decode())
    servers = [
        await asyncio.start_server(_greet, address, 443, ssl=served),
        await asyncio.start_server(_page, address, 80),
        await asyncio.start_server(_greet, address, RAW_PORT),
    ]
    async with nameserver() as names:
        names.addresses = {name: [address] for name in NAMES}
        yield Site(address, trusted, names)
    for server in servers:
        server.close()


async def _greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say something first, and then whatever is said."""
    writer.write(b"welcome")
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    writer.close()


async def _page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
        return
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\npage")
    writer.close()
