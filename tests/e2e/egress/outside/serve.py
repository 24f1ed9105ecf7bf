"""The world outside, in a network namespace of its own: sites, and the name server that tells where they are.

``python serve.py FOLDER`` with ``settings.json`` in the folder: the certificate and key, the addresses of sites and of
the name server. Names are read from ``zone.json`` for every question, so that a test can change them; all that arrives
is written to ``seen.jsonl``, a JSON object a line.
"""

import asyncio
import json
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

CHUNK = 1 << 16
Json = dict[str, Any]


class World:
    """Everything that is outside.

    Parameters
    ----------
    folder
        Where settings, zone and what was seen stand.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._settings: Json = json.loads((folder / "settings.json").read_text())
        self._seen = (folder / "seen.jsonl").open("a", buffering=1)
        self._asked: dict[str, int] = {}

    async def run(self) -> None:
        """Serve for ever."""
        loop = asyncio.get_running_loop()
        for address in self._settings["sites"]:
            for port, tls, serve in ((80, False, self.http), (443, True, self.http), (8443, True, self.http)):
                await asyncio.start_server(
                    self._at(address, port, serve), address, port, ssl=self._tls() if tls else None
                )
            for port in (22, 5432):
                await asyncio.start_server(self._at(address, port, self.banner), address, port)
            await loop.create_datagram_endpoint(lambda a=address: Echo(self, a), local_addr=(address, 443))  # type: ignore[misc]
        resolver = self._settings["resolver"]
        await loop.create_datagram_endpoint(lambda: Names(self, resolver), local_addr=(resolver, 53))
        await asyncio.start_server(self._at(resolver, 53, self.names_by_tcp), resolver, 53, backlog=200)
        print("serving", flush=True)
        await asyncio.Event().wait()

    def note(self, what: str, **more: Any) -> None:
        """Write down what arrived."""
        self._seen.write(json.dumps({"what": what, **more}) + "\n")

    def answer(self, wire: bytes, source: str) -> bytes:
        """Answer one question by the zone."""
        question = dns.message.from_wire(wire)
        name = str(question.question[0].name).rstrip(".").lower()
        kind = question.question[0].rdtype
        self.note("dns", name=name, type=dns.rdatatype.to_text(kind), source=source)
        answer = dns.message.make_response(question)
        answer.flags |= dns.flags.AA | dns.flags.RA
        addresses = self._addresses(name)
        if addresses is None:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        wanted = [each for each in addresses or () if (":" in each) == (kind == dns.rdatatype.AAAA)]
        if wanted and kind in {dns.rdatatype.A, dns.rdatatype.AAAA}:
            answer.answer.append(dns.rrset.from_text_list(question.question[0].name, 0, "IN", kind, wanted))
        wired: bytes = answer.to_wire()
        return wired

    def _addresses(self, name: str) -> list[str] | None:
        zone: dict[str, list[Any]] = json.loads((self._folder / "zone.json").read_text())
        found = zone.get(name) or zone.get("*." + name.partition(".")[2])
        if found and isinstance(found[0], list):
            # A list of lists is one answer after the other.
            turn = self._asked[name] = self._asked.get(name, -1) + 1
            return list(found[min(turn // 2, len(found) - 1)])
        return found

    def _at(self, address: str, port: int, serve: Callable[..., Any]) -> Callable[..., Any]:
        async def serving(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await serve(
                    reader, writer, {"address": address, "port": port, "source": writer.get_extra_info("peername")[0]}
                )
            except (OSError, EOFError, ValueError, asyncio.LimitOverrunError):
                pass
            finally:
                writer.close()

        return serving

    def _tls(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._settings["certificate"], self._settings["key"])
        context.sni_callback = lambda connection, name, _: setattr(connection, "asked_for", name)
        return context

    async def http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, where: Json) -> None:
        """Answer requests: with who was asked, with bytes, with their own body, or by turning into an echo."""
        secured = writer.get_extra_info("ssl_object")
        where |= {"sni": getattr(secured, "asked_for", "") or ""} if secured else {}
        while head := (await reader.readuntil(b"\r\n\r\n")).decode("latin-1"):
            first, *lines = head.split("\r\n")
            method, target, _ = first.split(" ", 2)
            fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            self.note("request", method=method, target=target, host=fields.get("host", ""), **where)
            body = await self._body(reader, fields)
            if "upgrade" in fields:
                writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
                await self._echo(reader, writer)
                return
            said = json.dumps({**where, "host": fields.get("host", ""), "target": target, "body": len(body)}).encode()
            if target.startswith("/bytes/"):
                said = b"x" * int(target.removeprefix("/bytes/"))
            if target == "/echo":
                said = body
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(said) + said)
            await writer.drain()

    async def _body(self, reader: asyncio.StreamReader, fields: dict[str, str]) -> bytes:
        if fields.get("transfer-encoding") == "chunked":
            body = b""
            while size := int((await reader.readline()).split(b";")[0], 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readline()
            return body
        return await reader.readexactly(int(fields.get("content-length", 0)))

    async def banner(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, where: Json) -> None:
        """Speak first, as SSH does, then echo."""
        self.note("connection", **where)
        writer.write(json.dumps(where).encode() + b"\n")
        await self._echo(reader, writer)

    async def _echo(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while said := await reader.read(CHUNK):
            writer.write(said)
            await writer.drain()

    async def names_by_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, where: Json) -> None:
        """Answer questions that come by TCP."""
        while True:
            wire = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
            answer = self.answer(wire, where["source"])
            writer.write(len(answer).to_bytes(2, "big") + answer)


class Names(asyncio.DatagramProtocol):
    """Questions that come by UDP."""

    def __init__(self, world: World, address: str) -> None:
        self._world, self._address = world, address

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._transport.sendto(self._world.answer(data, addr[0]), addr)


class Echo(Names):
    """Datagrams that come back, such as those of QUIC."""

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._world.note("datagram", address=self._address, source=addr[0])
        self._transport.sendto(data, addr)


if __name__ == "__main__":
    asyncio.run(World(Path(sys.argv[1])).run())
