"""Port 80: what a client sees, what the host gets, and what is recorded."""

import asyncio
import dataclasses
import re
import socket
from collections.abc import Callable

import pytest

from sandkeeper.gateway import reasons
from sandkeeper.gateway.context import Context, Limits
from sandkeeper.gateway.http_connection import HttpConnection
from sandkeeper.gateway.http_front import HttpFront
from sandkeeper.gateway.request_rules import web_target
from sandkeeper.gateway.stream import PARTING_SECONDS
from unit.fakes.gateway import LOOPBACK, Gateway, caller, gateway
from unit.fakes.website import OK, Request, send, website
from unit.waiting import until

HOST = "api.example.com"
OTHER = "cdn.example.net"
GET = b"GET /a?token=secret HTTP/1.1\r\nHost: api.example.com\r\n\r\n"


def request(host: str = HOST, method: str = "GET", path: str = "/", *lines: str, body: bytes = b"") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {host}", *lines, "", ""]).encode() + body


def at(*ports: int) -> dict[tuple[str, int], int | str]:
    return dict(zip([(HOST, 80), (OTHER, 80)], ports, strict=False))


async def test_an_allowed_request_goes_to_the_host_that_it_names() -> None:
    async with website() as site, gateway(HttpFront, caller(HOST), places=at(site.port)) as served:
        answer = await send(served.port, GET)
        (record,) = await served.records()
    assert answer == OK
    (asked,) = site.asked
    assert (asked.method, asked.target, asked.host) == ("GET", "/a?token=secret", HOST)
    assert (record.kind, record.domain, record.port, record.host) == ("http", HOST, 80, HOST)
    assert (record.method, record.path, record.status, record.address) == ("GET", "/a", 200, LOOPBACK)
    assert (record.allowed, record.rule, record.reason) == (True, HOST, "")
    assert (record.up, record.down) == (len(GET), len(OK))


async def test_a_host_that_is_not_allowed_is_refused_in_words_that_say_what_to_do() -> None:
    async with gateway(HttpFront, caller(HOST)) as served:
        answer = await send(served.port, request("api.github.com"))
        (record,) = await served.records()
    assert answer.startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert b"api.github.com:80 is refused (domain-not-allowed)" in answer
    assert b"spec.egress.domains of the Sandbox has to allow api.github.com" in answer
    assert (record.domain, record.port, record.allowed) == ("api.github.com", 80, False)
    assert (record.reason, record.status) == (reasons.NOT_ALLOWED, 403)
    assert served.dialer.dialled == []


async def test_requests_are_answered_in_order_and_each_goes_to_its_own_host() -> None:
    async with (
        website(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1") as one,
        website() as two,
        gateway(HttpFront, caller(HOST, OTHER), places=at(one.port, two.port)) as served,
    ):
        answer = await send(served.port, request() + request() + request(OTHER) + request())
        records = await served.records(4)
    assert re.findall(rb"\r\n\r\n(1|ok)", answer) == [b"1", b"1", b"ok", b"1"]
    assert [each.host for each in one.asked] == [HOST] * 3
    assert [each.host for each in two.asked] == [OTHER]
    # The first two share a connection; the third ends it.
    assert served.dialer.dialled == [(HOST, 80), (OTHER, 80), (HOST, 80)]
    assert [record.domain for record in records] == [HOST, HOST, OTHER, HOST]


async def test_a_pipelined_request_to_a_forbidden_host_ends_the_connection() -> None:
    async with website() as site, gateway(HttpFront, caller(HOST), places=at(site.port)) as served:
        answer = await send(served.port, request() + request("evil.example.org") + request())
        first, second = await served.records(2)
    assert answer.startswith(OK + b"HTTP/1.1 403")
    assert len(site.asked) == 1
    assert (first.reason, second.reason) == ("", reasons.NOT_ALLOWED)


@pytest.mark.parametrize("cut", [1, 7, 1000])
async def test_a_request_is_read_however_it_is_cut_up(cut: int) -> None:
    whole = request(
        HOST, "POST", "/", "Transfer-Encoding: chunked", body=b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX: y\r\n\r\n"
    )
    async with website() as site, gateway(HttpFront, caller(HOST), places=at(site.port)) as served:
        assert await send(served.port, *(whole[i : i + cut] for i in range(0, len(whole), cut))) == OK
        (record,) = await served.records()
    assert [each.body for each in site.asked] == [b"abcde"]
    assert record.up == len(whole)


async def test_headers_of_one_connection_alone_do_not_go_on() -> None:
    lines = (
        "Connection: close, X-Mine", "X-Mine: 1", "Keep-Alive: 5", "TE: trailers", "Proxy-Connection: keep-alive",
        "Proxy-Authorization: Basic x", "X-Forwarded-For: 10.0.0.1", "Authorization: Bearer t", "Upgrade: h2c",
    )  # fmt: skip
    async with website() as site, gateway(HttpFront, caller(HOST), places=at(site.port)) as served:
        answer = await send(served.port, request(HOST.upper() + ".", "GET", "/", *lines), end=False)
        await served.records()
    assert b"Connection: close" in answer
    (asked,) = site.asked
    assert asked.headers == {"host": HOST, "x-forwarded-for": "10.0.0.1", "authorization": "Bearer t"}


@pytest.mark.parametrize(
    ("target", "host", "path"),
    [
        ("http://api.example.com/a", HOST, "/a"),
        ("HTTP://API.example.com:80?b", HOST, "/?b"),
        ("http://api.example.com", f"{HOST}:80", "/"),
    ],
)
async def test_a_whole_url_is_taken_where_host_says_the_same(target: str, host: str, path: str) -> None:
    async with website() as site, gateway(HttpFront, caller(HOST), places=at(site.port)) as served:
        assert await send(served.port, request(host, "GET", target)) == OK
    (asked,) = site.asked
    assert (asked.target, asked.host) == (path, HOST)


async def test_bodies_of_any_size_pass_in_both_directions_and_are_never_held_whole() -> None:
    size, release = 64 * 1024 * 1024, asyncio.Event()
    got = 0

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal got
        await reader.readuntil(b"\r\n\r\n")
        await release.wait()
        while got < size:
            got += len(await reader.read(1 << 20))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(64):
            writer.write(bytes(1 << 20))
            await writer.drain()
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(slow, LOOPBACK, 0)
    async with gateway(HttpFront, caller(HOST), places=at(server.sockets[0].getsockname()[1])) as served:
        reader, writer = await asyncio.open_connection(LOOPBACK, served.port)
        writer.write(request(HOST, "PUT", "/", f"Content-Length: {size}"))
        sender = asyncio.ensure_future(_pour(writer, size))
        done, _ = await asyncio.wait((sender,), timeout=0.5)
        assert not done, "the host reads nothing, so neither may the gateway"
        release.set()
        await sender
        await reader.readuntil(b"\r\n\r\n")
        back = 0
        while back < size:
            back += len(await reader.read(1 << 20))
        writer.close()
        (record,) = await served.records()
    server.close()
    assert (got, back) == (size, size)
    assert record.up > size
    assert record.down > size


async def _pour(writer: asyncio.StreamWriter, size: int) -> None:
    for _ in range(size >> 20):
        writer.write(bytes(1 << 20))
        await writer.drain()


@pytest.mark.parametrize(
    ("method", "answer", "seen"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", None),
        ("GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", None),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", None),
        (
            "GET",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        ),
        # Until the connection ends: said in chunks, so that the client's connection need not end.
        (
            "GET",
            b"HTTP/1.0 200 OK\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        ),
    ],
)
async def test_each_kind_of_response_passes(method: str, answer: bytes, seen: bytes | None) -> None:
    async with website(answer) as site, gateway(HttpFront, caller(HOST), places=at(site.port)) as served:
        got = await send(served.port, request(HOST, method))
        (record,) = await served.records()
    assert got.lower() == (seen or answer).lower()
    assert record.reason == ""


async def test_a_client_of_http_1_0_gets_the_body_until_the_end() -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    async with website(answer) as site, gateway(HttpFront, caller(HOST), places=at(site.port)) as served:
        got = await send(served.port, b"GET / HTTP/1.0\r\nHost: api.example.com\r\n\r\n", end=False)
    assert got == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc"


async def test_a_client_that_asks_whether_to_go_on_is_answered_by_the_host() -> None:
    async def careful(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"100-continue" in head
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert await reader.readexactly(3) == b"abc"
        writer.write(OK)
        writer.close()

    server = await asyncio.start_server(careful, LOOPBACK, 0)
    async with gateway(HttpFront, caller(HOST), places=at(server.sockets[0].getsockname()[1])) as served:
        reader, writer = await asyncio.open_connection(LOOPBACK, served.port)
        writer.write(request(HOST, "POST", "/", "Expect: 100-continue", "Content-Length: 3"))
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"abc")
        assert await reader.readexactly(len(OK)) == OK
        writer.close()
        await served.records()
    server.close()


async def test_a_host_that_answers_without_the_body_ends_the_request() -> None:
    early = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(early)
        writer.close()

    server = await asyncio.start_server(refuse, LOOPBACK, 0)
    async with gateway(HttpFront, caller(HOST), places=at(server.sockets[0].getsockname()[1])) as served:
        got = await send(served.port, request(HOST, "POST", "/", "Content-Length: 3000"), b"abc")
        (record,) = await served.records()
    server.close()
    assert got.startswith(b"HTTP/1.1 413")
    assert record.status == 413


async def test_an_upgrade_is_spliced_once_the_host_has_taken_it_up() -> None:
    async def socket(asked: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        assert (asked.headers["upgrade"], asked.headers["connection"]) == ("websocket", "Upgrade")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello")
        while data := await reader.read(100):
            writer.write(data[::-1])
        return False

    async with website(socket) as site, gateway(HttpFront, caller(HOST), places=at(site.port)) as served:
        reader, writer = await asyncio.open_connection(LOOPBACK, served.port)
        writer.write(request(HOST, "GET", "/", "Connection: keep-alive, Upgrade", "Upgrade: websocket, h2c"))
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
        assert await reader.readexactly(5) == b"hello"
        writer.write(b"abc")
        assert await reader.readexactly(3) == b"cba"
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        (record,) = await served.records()
    assert (record.status, record.reason) == (101, "")
    assert record.down == len(head) + 8


@pytest.mark.parametrize("upgrade", ["h2c", "HTTP/2.0", "TLS/1.0"])
async def test_an_upgrade_to_what_carries_requests_is_not_passed_on(upgrade: str) -> None:
    lines = ("Connection: Upgrade, HTTP2-Settings", f"Upgrade: {upgrade}", "HTTP2-Settings: x")
    async with website() as site, gateway(HttpFront, caller(HOST), places=at(site.port)) as served:
        assert await send(served.port, request(HOST, "GET", "/", *lines)) == OK
    assert site.asked[0].headers == {"host": HOST}


async def test_after_an_upgrade_that_the_host_did_not_take_up_requests_are_judged_as_before() -> None:
    lines = ("Connection: Upgrade", "Upgrade: websocket")
    async with website() as site, gateway(HttpFront, caller(HOST), places=at(site.port)) as served:
        answer = await send(served.port, request(HOST, "GET", "/", *lines) + request("evil.example.org"))
        await served.records(2)
    assert answer.startswith(OK + b"HTTP/1.1 403")
    assert [each.host for each in site.asked] == [HOST]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"",
    ],
)
async def test_a_host_that_does_not_keep_to_http_is_told_of(answer: bytes) -> None:
    async def say(_: Request, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        writer.write(answer)
        return False

    async with website(say) as site, gateway(HttpFront, caller(HOST), places=at(site.port)) as served:
        got = await send(served.port, request())
        (record,) = await served.records()
    assert got.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
    assert (record.reason, record.allowed) == (reasons.UNREACHABLE, True)


async def test_a_second_response_that_nobody_asked_for_is_nobodys() -> None:
    async with (
        website(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil") as site,
        gateway(HttpFront, caller(HOST), places=at(site.port)) as served,
    ):
        answer = await send(served.port, request() + request())
        await served.records(2)
    assert answer == OK + OK
    assert served.dialer.dialled == [(HOST, 80)] * 2


async def test_a_body_that_breaks_off_is_not_ended_for_the_client() -> None:
    async def short(_: Request, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        return False

    async with website(short) as site, gateway(HttpFront, caller(HOST), places=at(site.port)) as served:
        got = await send(served.port, request(), end=False)
        (record,) = await served.records()
    assert not got.endswith(b"0\r\n\r\n")
    assert record.reason == reasons.UNREACHABLE


@pytest.mark.parametrize(
    ("place", "status"),
    [(reasons.UNRESOLVABLE, 502), (reasons.UNREACHABLE, 502), (reasons.TIMEOUT, 504), (reasons.FORBIDDEN_ADDRESS, 403)],
)
async def test_a_host_that_cannot_be_dialled_is_told_of(place: str, status: int) -> None:
    async with gateway(HttpFront, caller(HOST), places={(HOST, 80): place}) as served:
        got = await send(served.port, request())
        (record,) = await served.records()
    assert got.startswith(b"HTTP/1.1 %d " % status)
    assert (record.reason, record.status) == (place, status)


async def test_a_kept_connection_that_the_host_has_closed_ends_the_clients_as_well() -> None:
    async def once(_: Request, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        writer.write(OK)
        return False

    async with website(once) as site, gateway(HttpFront, caller(HOST), places=at(site.port)) as served:
        assert await send(served.port, request(), end=False) == OK
        await served.records()


async def test_a_request_that_can_be_repeated_is_when_the_kept_connection_is_lost() -> None:
    async def every_other(asked: Request, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        if asked.target == "/2" and len(site.raw) == 1:
            return False
        writer.write(OK)
        return True

    async with website(every_other) as site, gateway(HttpFront, caller(HOST), places=at(site.port)) as served:
        answer = await send(served.port, request(HOST, "GET", "/1") + request(HOST, "GET", "/2"))
        await served.records(2)
    assert answer == OK + OK
    assert served.dialer.dialled == [(HOST, 80)] * 2


async def test_a_sandbox_that_is_unknown_is_waited_for_and_then_refused() -> None:
    async with gateway(HttpFront) as served:
        answer = await send(served.port, request())
        (record,) = await served.records()
    assert answer.startswith(b"HTTP/1.1 403")
    assert (record.reason, record.caller, record.source) == (reasons.UNKNOWN_SOURCE, None, LOOPBACK)


async def test_a_sandbox_that_becomes_known_while_it_is_waited_for_is_served() -> None:
    async with website() as site, gateway(HttpFront, places=at(site.port)) as served:
        served.callers.patience = 5
        asking = asyncio.ensure_future(send(served.port, request()))
        await asyncio.sleep(0.05)
        served.callers.put(caller(HOST))
        assert await asking == OK


async def test_who_has_too_many_connections_is_told_so() -> None:
    async with gateway(HttpFront, caller(HOST), limits=Limits(connections=1)) as served:
        _, writer = await asyncio.open_connection(LOOPBACK, served.port)
        await asyncio.sleep(0.02)
        answer = await send(served.port, request())
        writer.close()
        (record,) = await served.records()
    assert answer.startswith(b"HTTP/1.1 429")
    assert record.reason == reasons.TOO_MANY


async def test_a_password_that_is_refused_is_not_recorded() -> None:
    async with gateway(HttpFront, caller(HOST)) as served:
        answer = await send(served.port, request(f"me:secret@{HOST}", path=f"http://me:secret@{HOST}/?key=secret"))
        (record,) = await served.records()
    assert answer.startswith(b"HTTP/1.1 400")
    assert (record.reason, record.host) == (reasons.USERINFO, HOST)
    assert "secret" not in f"{record} {answer!r}"


class Kept:
    """Port 80, with all its connections to look at; their kernel keeps little of what a client does not take."""

    def __init__(self) -> None:
        self.connections: list[HttpConnection] = []

    def __call__(self, context: Context) -> Callable[[], HttpConnection]:
        def make() -> HttpConnection:
            self.connections.append(_Narrow(context, "http", web_target))
            return self.connections[-1]

        return make

    async def gone(self, seconds: float = 5.0) -> None:
        await until(lambda: all(each.lost for each in self.connections), seconds)


class _Narrow(HttpConnection):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        super().connection_made(transport)


async def test_who_is_one_too_many_does_not_stay_by_not_leaving() -> None:
    kept = Kept()
    async with gateway(kept, caller(HOST), limits=Limits(connections=0)) as served:
        reader, writer = await asyncio.open_connection(LOOPBACK, served.port)
        assert (await reader.read()).startswith(b"HTTP/1.1 429")
        await kept.gone(PARTING_SECONDS / 2)
        writer.close()


@pytest.mark.parametrize("header", ["Connection: close", "Connection: keep-alive"])
async def test_a_client_that_does_not_take_the_last_of_an_answer_is_not_waited_for_without_end(header: str) -> None:
    body, kept = bytes(60_000), Kept()
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    limits = Limits(keep_alive_seconds=0.1, linger_seconds=0.1)
    with socket.socket() as client:
        # Less than stops the gateway from going on, and more than both kernels keep.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        async with website(answer) as site, gateway(kept, caller(HOST), places=at(site.port), limits=limits) as served:
            client.connect((LOOPBACK, served.port))
            client.sendall(request(HOST, "GET", "/", header))
            await served.records()
            await kept.gone()


SHORT = Limits(head_seconds=0.1, keep_alive_seconds=0.1, idle_seconds=0.1)


async def test_a_head_that_does_not_come_whole_in_time_is_refused() -> None:
    async with gateway(HttpFront, caller(HOST), limits=SHORT) as served:
        answer = await send(served.port, *([b"GET / HTTP/1.1\r\n"] + [b"a: b\r\n"] * 200), end=False)
        (record,) = await served.records()
    assert answer.startswith(b"HTTP/1.1 408") or not answer
    assert record.reason == reasons.TIMEOUT


async def test_a_connection_that_is_kept_for_nothing_is_closed_without_a_word() -> None:
    async with website() as site, gateway(HttpFront, caller(HOST), places=at(site.port), limits=SHORT) as served:
        assert await send(served.port, request(), end=False) == OK
        await served.records()


async def test_a_host_that_does_not_answer_is_not_waited_for_without_end() -> None:
    async def never(_: Request, __: asyncio.StreamReader, ___: asyncio.StreamWriter) -> bool:
        return True

    async with website(never) as site, gateway(HttpFront, caller(HOST), places=at(site.port), limits=SHORT) as served:
        answer = await send(served.port, request(), end=False)
        (record,) = await served.records()
    assert answer.startswith(b"HTTP/1.1 504")
    assert record.reason == reasons.TIMEOUT


async def test_a_body_that_stops_coming_is_not_waited_for_without_end() -> None:
    async with website() as site, gateway(HttpFront, caller(HOST), places=at(site.port), limits=SHORT) as served:
        answer = await send(served.port, request(HOST, "POST", "/", "Content-Length: 9"), b"abc", end=False)
        (record,) = await served.records()
    assert answer[:12] in {b"HTTP/1.1 408", b"HTTP/1.1 504"}
    assert record.reason == reasons.TIMEOUT
    assert site.asked == []


async def _stuck(served: Gateway) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Have a request under way that its host does not answer."""
    reader, writer = await asyncio.open_connection(LOOPBACK, served.port)
    writer.write(request())
    await until(lambda: served.dialer.dialled)
    await asyncio.sleep(0.02)
    return reader, writer


async def test_a_request_that_is_no_longer_allowed_is_cut_in_the_middle() -> None:
    async def never(_: Request, __: asyncio.StreamReader, ___: asyncio.StreamWriter) -> bool:
        return True

    before = caller(HOST)
    async with website(never) as site, gateway(HttpFront, before, places=at(site.port)) as served:
        reader, writer = await _stuck(served)
        served.callers.put(dataclasses.replace(before, rules=caller(OTHER).rules))
        assert await reader.read() == b""
        writer.close()
        (record,) = await served.records()
    assert (record.reason, record.allowed) == (reasons.POLICY_CHANGED, True)


async def test_the_next_request_of_a_kept_connection_is_judged_by_the_rules_of_its_moment() -> None:
    before = caller(HOST, OTHER)
    async with website() as site, gateway(HttpFront, before, places=at(site.port)) as served:
        reader, writer = await asyncio.open_connection(LOOPBACK, served.port)
        writer.write(request())
        assert await reader.readexactly(len(OK)) == OK
        served.callers.put(dataclasses.replace(before, rules=caller(HOST).rules))
        writer.write(request(OTHER))
        assert (await reader.read()).startswith(b"HTTP/1.1 403")
        writer.close()
        _, second = await served.records(2)
    assert second.reason == reasons.NOT_ALLOWED


async def test_a_client_that_goes_away_has_the_host_stop_its_work() -> None:
    gone = asyncio.Event()

    async def long(_: Request, reader: asyncio.StreamReader, __: asyncio.StreamWriter) -> bool:
        assert await reader.read() == b""
        gone.set()
        return False

    async with website(long) as site, gateway(HttpFront, caller(HOST), places=at(site.port)) as served:
        _, writer = await _stuck(served)
        writer.close()
        async with asyncio.timeout(5):
            await gone.wait()
        await served.records()


async def test_a_gateway_that_stops_ends_what_is_kept_and_waits_for_what_is_under_way() -> None:
    answer = asyncio.Event()

    async def slow(_: Request, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        await answer.wait()
        writer.write(OK)
        return True

    async with website(slow) as site, gateway(HttpFront, caller(HOST), places=at(site.port)) as served:
        idle, idle_writer = await asyncio.open_connection(LOOPBACK, served.port)
        reader, writer = await _stuck(served)
        draining = asyncio.ensure_future(served.context.connections.drain(30))
        assert await idle.read() == b""
        answer.set()
        got = await reader.read()
        writer.close()
        idle_writer.close()
        async with asyncio.timeout(5):
            await draining
    assert got.startswith(b"HTTP/1.1 200 OK")
    assert b"connection: close" in got.lower()


async def test_a_body_in_chunks_of_one_byte_leaves_others_their_turns() -> None:
    chunks = b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n"
    async with (
        website(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks) as site,
        gateway(HttpFront, caller(HOST), places=at(site.port)) as served,
    ):
        asking = asyncio.ensure_future(send(served.port, request()))
        turns = 0
        while not asking.done():
            await asyncio.sleep(0)
            turns += 1
        assert asking.result().endswith(chunks)
    assert turns > 20_000 / 64
