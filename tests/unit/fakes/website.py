"""A host's HTTP server: keeps each byte that it gets, reads requests strictly, and answers them as it is told."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

LOOPBACK = "127.0.0.1"
HEAD = re.compile(
    rb"([A-Z!#$%&'*+.^_`|~0-9a-z-]+) ([!-~]+) HTTP/1\.1\r\n((?:[!#-'*+.^_`|~0-9A-Za-z-]+: ?[^\r\n\x00]*\r\n)*)\r\n"
)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Request:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def host(self) -> str:
        return self.headers["host"]


def requests(raw: bytes) -> tuple[list[Request], bytes]:
    """Read all requests in some bytes, and what is left: the beginning of one. Whatever is no request is an error."""
    found: list[Request] = []
    while raw:
        head, separator, rest = raw.partition(b"\r\n\r\n")
        if not separator:
            break
        match = HEAD.fullmatch(head + separator)
        assert match is not None, head
        lines = [line.partition(b":")[::2] for line in match[3].split(b"\r\n")[:-1]]
        headers = {name.decode().lower(): value.strip().decode("latin-1") for name, value in lines}
        assert len(headers.keys() & {"content-length", "transfer-encoding"}) < 2, head
        assert [name.lower() for name, _ in lines].count(b"host") == 1, head
        body, left = _body(headers, rest)
        if body is None:
            break
        found.append(Request(match[1].decode(), match[2].decode(), headers, body))
        raw = left
    return found, raw


def _body(headers: dict[str, str], rest: bytes) -> tuple[bytes | None, bytes]:
    if headers.get("transfer-encoding") != "chunked":
        length = int(headers.get("content-length", "0"))
        return (rest[:length], rest[length:]) if len(rest) >= length else (None, b"")
    body = b""
    while b"\r\n" in rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        if len(rest) < length + 2:
            break
        assert rest[length : length + 2] == b"\r\n"
        body, rest = body + rest[:length], rest[length + 2 :]
        if not length:
            return body, rest
    return None, b""


Answer = Callable[[Request, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bool]]


@dataclass
class Website:
    """What it got, by connection."""

    answer: bytes | Answer = OK
    raw: list[bytearray] = field(default_factory=list)
    port: int = 0

    @property
    def asked(self) -> list[Request]:
        return [request for raw in self.raw for request in requests(bytes(raw))[0]]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raw = bytearray()
        self.raw.append(raw)
        answered, more = 0, True
        while more and (data := await reader.read(65536)):
            raw += data
            for request in requests(bytes(raw))[0][answered:]:
                answered += 1
                more = more and await self._answer(request, reader, writer)
        writer.close()

    async def _answer(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        if callable(self.answer):
            return await self.answer(request, reader, writer)
        writer.write(self.answer)
        return b"Connection: close" not in self.answer and b"Length" in self.answer


@asynccontextmanager
async def website(answer: bytes | Answer = OK) -> AsyncIterator[Website]:
    """Serve on a port of loopback."""
    site = Website(answer)
    server = await asyncio.start_server(site.serve, LOOPBACK, 0)
    site.port = server.sockets[0].getsockname()[1]
    try:
        yield site
    finally:
        server.close()


async def send(port: int, *pieces: bytes, end: bool = True) -> bytes:
    """Send what a client sends, and give all that it gets until the connection ends."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            if len(pieces) > 1:
                await asyncio.sleep(0.002)
        if end:
            writer.write_eof()
        async with asyncio.timeout(10):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()
