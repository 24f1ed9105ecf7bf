"""The canary's process against listeners on loopback: what answers is reached, and nothing else is."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from sandkeeper.canary.__main__ import main
from sandkeeper.canary.attempts import Attempt, Means, encoded
from sandkeeper.canary.listener import serve
from sandkeeper.canary.probe import probe, resolver

LOOPBACK = "127.0.0.1"
SHORT = 0.5


def free_port() -> int:
    with socket.socket() as found:
        found.bind((LOOPBACK, 0))
        return int(found.getsockname()[1])


@pytest.fixture
async def listener() -> AsyncIterator[int]:
    """A canary that listens."""
    port = free_port()
    serving = await serve(port)
    yield port
    for each in serving:
        each.close()


@pytest.mark.parametrize("means", ["listener", "tcp", "udp"])
async def test_a_listener_is_reached(listener: int, means: Means) -> None:
    assert await probe([Attempt("it", means, LOOPBACK, listener)]) == ["it"]


@pytest.mark.parametrize("means", ["listener", "tcp", "udp", "dns-udp", "dns-tcp"])
async def test_what_refuses_is_not_reached(means: Means) -> None:
    assert await probe([Attempt("it", means, LOOPBACK, free_port())], SHORT) == []


async def test_what_accepts_and_says_nothing_is_no_listener() -> None:
    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(accept, LOOPBACK, 0) as server:
        port = server.sockets[0].getsockname()[1]
        tried = [Attempt("a proxy in between", "listener", LOOPBACK, port), Attempt("some port", "tcp", LOOPBACK, port)]

        assert await probe(tried, SHORT) == ["some port"]


async def test_what_comes_late_is_reached_all_the_same() -> None:
    port = free_port()
    trying = asyncio.create_task(probe([Attempt("it", "listener", LOOPBACK, port)], 10.0))
    await asyncio.sleep(0.3)

    serving = await serve(port)

    assert await trying == ["it"]
    for each in serving:
        each.close()


class _NameServer(asyncio.DatagramProtocol):
    """Says that there is no such name."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.transport.sendto(data[:2] + b"\x81\x83" + data[4:], addr)  # type: ignore[attr-defined]


async def test_a_name_server_is_reached_whatever_it_answers() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        question = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
        writer.write(len(question).to_bytes(2, "big") + question)
        writer.close()

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(_NameServer, local_addr=(LOOPBACK, 0))
    async with await asyncio.start_server(answer, LOOPBACK, 0) as server:
        tcp, udp = server.sockets[0].getsockname()[1], transport.get_extra_info("sockname")[1]
        tried = [Attempt("tcp", "dns-tcp", LOOPBACK, tcp), Attempt("udp", "dns-udp", LOOPBACK, udp)]

        assert await probe(tried) == ["tcp", "udp"]
    transport.close()


def test_the_pods_own_resolver_is_found(tmp_path: Path) -> None:
    configuration = tmp_path / "resolv.conf"
    configuration.write_text("search a b\noptions ndots:5\nnameserver 10.96.0.10\nnameserver 10.96.0.11\n")

    assert resolver(configuration) == "10.96.0.10"


def test_a_pod_without_resolver_reaches_none(tmp_path: Path) -> None:
    configuration = tmp_path / "resolv.conf"
    configuration.write_text("search a b\n")

    with pytest.raises(OSError, match="no name server"):
        resolver(configuration)


def test_the_result_is_written_where_the_kubelet_looks_for_it(tmp_path: Path) -> None:
    result = tmp_path / "termination-log"
    with socket.create_server((LOOPBACK, 0)) as server:
        attempt = Attempt("it", "tcp", LOOPBACK, server.getsockname()[1])

        main(["probe", encoded([attempt]), str(result)])

    assert json.loads(result.read_text()) == {"reached": ["it"]}


def test_wrong_arguments_are_told() -> None:
    with pytest.raises(SystemExit, match="usage"):
        main(["fly"])


class NameServer(asyncio.DatagramProtocol):
    """Has an address for one name, and says of all others that they are not there (RFC 1035, 4.1)."""

    def __init__(self, known: bytes) -> None:
        self._known = known

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        found = self._known in data
        record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 5, 4) + b"\x0a\x00\x00\x01"
        flags, answers = (0x8180, 1) if found else (0x8183, 0)
        header = data[:2] + struct.pack("!HHHHH", flags, 1, answers, 0, 0)
        self._transport.sendto(header + data[12:] + (record if found else b""), addr)


@pytest.mark.parametrize(("domain", "reached"), [("allowed.example", ["it"]), ("forbidden.example", [])])
async def test_a_name_is_reached_that_has_an_address(domain: str, reached: list[str]) -> None:
    loop = asyncio.get_running_loop()
    server, _ = await loop.create_datagram_endpoint(lambda: NameServer(b"\x07allowed"), (LOOPBACK, 0))
    port = server.get_extra_info("sockname")[1]

    assert await probe([Attempt("it", "name", LOOPBACK, port, domain)], SHORT) == reached
    server.close()
    await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("answer", "reached"),
    [(b"\x16\x03\x03\x00\x04", ["it"]), (b"\x15\x03\x03\x00\x02\x02\x70", []), (b"", [])],
    ids=["handshake", "alert", "nothing"],
)
async def test_a_server_is_reached_by_name_that_answers_with_a_handshake(answer: bytes, reached: list[str]) -> None:
    greetings = []

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greetings.append(await reader.read(4096))
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(greet, LOOPBACK, 0) as server:
        port = server.sockets[0].getsockname()[1]

        assert await probe([Attempt("it", "tls", LOOPBACK, port, "forbidden.example")], SHORT) == reached
    assert greetings[0][:1] == b"\x16"
    assert b"forbidden.example" in greetings[0]


async def test_what_is_meant_to_be_reached_is_waited_for_before_anything_else_is_tried(listener: int) -> None:
    late = free_port()
    tried = [Attempt("other", "listener", LOOPBACK, listener), Attempt("meant", "tcp", LOOPBACK, late, patience=10.0)]
    trying = asyncio.create_task(probe(tried, SHORT))
    await asyncio.sleep(2 * SHORT)
    assert not trying.done()

    async with await asyncio.start_server(lambda _, writer: writer.close(), LOOPBACK, late):
        assert await trying == ["other", "meant"]
