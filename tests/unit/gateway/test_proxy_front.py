"""Port 3128: tunnels by CONNECT and requests by their whole URLs."""

import asyncio
import ssl

import pytest

from sandkeeper.gateway import reasons
from sandkeeper.gateway.context import Limits
from sandkeeper.gateway.proxy_front import ProxyFront
from unit.fakes.gateway import LOOPBACK, caller, gateway
from unit.fakes.website import OK, send, website
from unit.gateway.hellos import hello, message, records

HOST = "api.example.com"
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
HELLO = records(message(hello(HOST.encode())))


def connect(target: str, *lines: str, version: str = "1.1") -> bytes:
    return "\r\n".join([f"CONNECT {target} HTTP/{version}", *(lines or (f"Host: {target}",)), "", ""]).encode()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


async def speaks_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH\r\n")
    await echo(reader, writer)


async def serve(handler: object = echo) -> tuple[asyncio.Server, int]:
    server = await asyncio.start_server(handler, LOOPBACK, 0)  # type: ignore[arg-type]
    return server, server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("cuts", [(), (1, 50)])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_a_tunnel_whose_hello_names_its_host_is_joined(cuts: tuple[int, ...], version: str) -> None:
    first = records(message(hello(HOST.encode())), *cuts)
    server, port = await serve()
    async with gateway(ProxyFront, caller(HOST), places={(HOST, 443): port}) as served:
        reader, writer = await asyncio.open_connection(LOOPBACK, served.port)
        writer.write(connect(f"{HOST}:443", version=version))
        assert await reader.readexactly(len(ESTABLISHED)) == ESTABLISHED
        await asyncio.sleep(0.02)
        assert served.dialer.dialled == [], "nothing is dialled before the hello was judged"
        writer.write(first)
        assert await reader.readexactly(len(first)) == first
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        (record,) = await served.records()
    server.close()
    assert (record.kind, record.method, record.domain, record.port) == ("connect", "CONNECT", HOST, 443)
    assert (record.sni, record.status, record.rule, record.reason, record.allowed) == (HOST, 200, HOST, "", True)
    assert record.up == len(first) + len(connect(f"{HOST}:443"))
    assert record.down == len(first) + len(ESTABLISHED)


async def test_a_client_that_does_not_wait_for_the_answer_is_served_as_well() -> None:
    server, port = await serve()
    async with gateway(ProxyFront, caller(HOST), places={(HOST, 443): port}) as served:
        assert await send(served.port, connect(f"{HOST}:443") + HELLO + b"more") == ESTABLISHED + HELLO + b"more"
        await served.records()
    server.close()


@pytest.mark.parametrize(
    ("inside", "reason", "alert"),
    [
        (records(message(hello(b"cdn.example.net"))), reasons.INNER_SNI, 49),
        (records(message(hello(b"evil.example.org"))), reasons.INNER_SNI, 49),
        (records(message(hello(None))), reasons.NO_SNI, 112),
        (records(message(hello(HOST.encode(), [(0xFE0D, b"\x00")]))), reasons.ENCRYPTED_HELLO, 49),
        (b"GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n", reasons.BAD_HELLO, 50),
        (b"SSH-2.0-OpenSSH\r\n", reasons.BAD_HELLO, 50),
        (HELLO[:40], reasons.BAD_HELLO, 50),
        (b"", reasons.BAD_HELLO, 50),
    ],
)
async def test_a_tunnel_that_carries_something_else_is_never_dialled(inside: bytes, reason: str, alert: int) -> None:
    async with gateway(ProxyFront, caller(HOST, "cdn.example.net")) as served:
        answer = await send(served.port, connect(f"{HOST}:443") + inside)
        (record,) = await served.records()
    assert answer == ESTABLISHED + bytes((21, 3, 3, 0, 2, 2, alert))
    assert (record.reason, record.domain, record.allowed) == (reason, HOST, False)
    assert served.dialer.dialled == []


@pytest.mark.parametrize(
    ("target", "reason", "status"),
    [
        ("api.github.com:443", reasons.NOT_ALLOWED, 403),
        (f"{HOST}:8443", reasons.PORT_NOT_ALLOWED, 403),
        (f"{HOST}:80", reasons.PORT_NOT_ALLOWED, 403),
        ("127.0.0.1:443", reasons.IP_LITERAL, 403),
        ("0x7f000001:443", reasons.IP_LITERAL, 403),
        ("[::1]:443", reasons.IP_LITERAL, 403),
        ("[::ffff:a00:1]:443", reasons.IP_LITERAL, 403),
        (f"me@{HOST}:443", reasons.USERINFO, 400),
        (f"me:pass@{HOST}:443", reasons.USERINFO, 400),
        (HOST, reasons.BAD_REQUEST, 400),
        (f"{HOST}:", reasons.BAD_REQUEST, 400),
        (f"{HOST}:0", reasons.BAD_REQUEST, 400),
        (f"{HOST}:65536", reasons.BAD_REQUEST, 400),
        (f"{HOST}:0443", reasons.BAD_REQUEST, 400),
        (f"{HOST}:443/", reasons.BAD_REQUEST, 400),
        (f"https://{HOST}:443", reasons.BAD_REQUEST, 400),
        (f"{HOST}%00.evil.org:443", reasons.BAD_NAME, 400),
    ],
)
async def test_a_tunnel_to_what_is_not_allowed_is_refused_before_it_is_one(
    target: str, reason: str, status: int
) -> None:
    async with gateway(ProxyFront, caller(HOST)) as served:
        answer = await send(served.port, connect(target, "Host: x" if "/" in target else f"Host: {target}"))
        (record,) = await served.records()
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert record.reason == reason
    assert served.dialer.dialled == []


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (("Host: evil.example.org:443",), reasons.HOST_DIFFERS),
        ((f"Host: {HOST}:80",), reasons.HOST_DIFFERS),
        ((f"Host: {HOST}", "Host: evil.example.org"), reasons.TWO_HOSTS),
        (("A: b",), reasons.NO_HOST),
        ((f"Host: {HOST}", "Content-Length: 5"), reasons.BAD_REQUEST),
        ((f"Host: {HOST}", "Transfer-Encoding: chunked"), reasons.BAD_REQUEST),
    ],
)
async def test_a_tunnel_that_is_asked_for_in_two_ways_is_refused(lines: tuple[str, ...], reason: str) -> None:
    async with gateway(ProxyFront, caller(HOST)) as served:
        answer = await send(served.port, connect(f"{HOST}:443", *lines))
        (record,) = await served.records()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert record.reason == reason


async def test_the_web_port_is_told_how_to_be_asked_for() -> None:
    async with gateway(ProxyFront, caller(HOST)) as served:
        answer = await send(served.port, connect(f"{HOST}:80"))
    assert f"port 80 has no tunnel; ask for http://{HOST}/ by the whole URL".encode() in answer


async def test_a_port_without_names_is_a_tunnel_in_which_the_host_may_speak_first() -> None:
    server, port = await serve(speaks_first)
    async with gateway(ProxyFront, caller("github.com:22"), places={("github.com", 22): port}) as served:
        reader, writer = await asyncio.open_connection(LOOPBACK, served.port)
        writer.write(connect("github.com:22"))
        assert await reader.readexactly(len(ESTABLISHED)) == ESTABLISHED
        assert await reader.readline() == b"SSH-2.0-OpenSSH\r\n"
        writer.write(b"SSH-2.0-mine\r\n")
        assert await reader.readline() == b"SSH-2.0-mine\r\n"
        writer.close()
        (record,) = await served.records()
    server.close()
    assert (record.domain, record.port, record.rule) == ("github.com", 22, "github.com:22")


async def test_a_port_that_cannot_be_dialled_is_no_tunnel() -> None:
    async with gateway(ProxyFront, caller("github.com:22"), places={("github.com", 22): reasons.UNREACHABLE}) as served:
        answer = await send(served.port, connect("github.com:22"))
        (record,) = await served.records()
    assert answer.startswith(b"HTTP/1.1 502 ")
    assert (record.reason, record.status) == (reasons.UNREACHABLE, 502)


async def test_requests_by_whole_urls_go_to_their_hosts_until_a_tunnel_is_asked_for() -> None:
    server, port = await serve()
    async with website() as site:
        places: dict[tuple[str, int], int | str] = {
            (HOST, 80): site.port,
            ("cdn.example.net", 8080): site.port,
            (HOST, 443): port,
        }
        async with gateway(ProxyFront, caller(HOST, "cdn.example.net:8080"), places=places) as served:
            answer = await send(
                served.port,
                b"GET http://api.example.com/a HTTP/1.1\r\nHost: api.example.com\r\nProxy-Connection: close\r\n\r\n"
                b"GET http://cdn.example.net:8080/b HTTP/1.1\r\nHost: cdn.example.net:8080\r\n\r\n"
                + connect(f"{HOST}:443")
                + HELLO,
            )
            found = await served.records(3)
    server.close()
    assert answer == OK + OK + ESTABLISHED + HELLO
    assert [(each.target, each.host) for each in site.asked] == [("/a", HOST), ("/b", "cdn.example.net:8080")]
    assert [(each.method, each.domain, each.port) for each in found] == [
        ("GET", HOST, 80),
        ("GET", "cdn.example.net", 8080),
        ("CONNECT", HOST, 443),
    ]


@pytest.mark.parametrize(
    ("target", "host", "reason"),
    [
        ("/", HOST, reasons.BAD_REQUEST),
        ("https://api.example.com/", HOST, reasons.BAD_REQUEST),
        ("ftp://api.example.com/", HOST, reasons.BAD_REQUEST),
        ("http://evil.example.org/", "evil.example.org", reasons.NOT_ALLOWED),
        ("http://evil.example.org/", HOST, reasons.HOST_DIFFERS),
        ("http://api.example.com/", "evil.example.org", reasons.HOST_DIFFERS),
        ("http://api.example.com:22/", f"{HOST}:22", reasons.PORT_NOT_ALLOWED),
        ("http://api.example.com:443/", f"{HOST}:443", reasons.PORT_NOT_ALLOWED),
        ("http://api.example.com@evil.example.org/", HOST, reasons.USERINFO),
        ("http://169.254.169.254/", "169.254.169.254", reasons.IP_LITERAL),
        ("http://[::1]/", "[::1]", reasons.IP_LITERAL),
        ("http:///", HOST, reasons.BAD_NAME),
    ],
)
async def test_urls_of_what_is_not_allowed_are_refused(target: str, host: str, reason: str) -> None:
    async with gateway(ProxyFront, caller(HOST)) as served:
        answer = await send(served.port, f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        (record,) = await served.records()
    assert answer.startswith(b"HTTP/1.1 40")
    assert record.reason == reason
    assert served.dialer.dialled == []


async def test_http_1_0_may_name_its_host_in_the_url_alone() -> None:
    async with website() as site, gateway(ProxyFront, caller(HOST), places={(HOST, 80): site.port}) as served:
        answer = await send(served.port, b"GET http://api.example.com/ HTTP/1.0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200")
    assert [each.host for each in site.asked] == [HOST]


async def test_a_hello_that_does_not_come_is_not_waited_for_without_end() -> None:
    async with gateway(ProxyFront, caller(HOST), limits=Limits(hello_seconds=0.1)) as served:
        answer = await send(served.port, connect(f"{HOST}:443"), end=False)
        (record,) = await served.records()
    assert answer.startswith(ESTABLISHED)
    assert record.reason == reasons.TIMEOUT


async def test_a_tunnel_that_is_no_longer_allowed_is_cut() -> None:
    server, port = await serve()
    async with gateway(ProxyFront, caller(HOST, pod_uid="p"), places={(HOST, 443): port}) as served:
        reader, writer = await asyncio.open_connection(LOOPBACK, served.port)
        writer.write(connect(f"{HOST}:443") + HELLO)
        await reader.readexactly(len(ESTABLISHED + HELLO))
        served.callers.put(caller("cdn.example.net", pod_uid="p"))
        assert await reader.read() == b""
        writer.close()
        (record,) = await served.records()
    server.close()
    assert record.reason == reasons.POLICY_CHANGED


async def test_pythons_own_client_verifies_a_server_through_the_tunnel() -> None:
    async with gateway(ProxyFront, caller(HOST), places={(HOST, 443): reasons.UNREACHABLE}) as served:
        reader, writer = await asyncio.open_connection(LOOPBACK, served.port)
        writer.write(connect(f"{HOST}:443"))
        await reader.readexactly(len(ESTABLISHED))
        with pytest.raises(ssl.SSLError, match=r"(?i)internal.error"):
            await writer.start_tls(ssl.create_default_context(), server_hostname=HOST)
        writer.close()
        (record,) = await served.records()
    assert (record.sni, record.reason) == (HOST, reasons.UNREACHABLE)
