"""What can be read in two ways is refused: of each attempt the host has seen nothing but what it may."""

import asyncio
from typing import NamedTuple

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from sandkeeper.gateway import reasons
from sandkeeper.gateway.http_front import HttpFront
from sandkeeper.gateway.proxy_front import ProxyFront
from unit.fakes.gateway import caller, gateway
from unit.fakes.website import requests, send, website
from unit.waiting import until

HOST = b"api.example.com"
EVIL = b"GET /evil HTTP/1.1\r\nHost: evil.example.org\r\n\r\n"


def post(*lines: bytes, body: bytes = b"", host: bytes = HOST, version: bytes = b"1.1") -> bytes:
    return b"\r\n".join([b"POST / HTTP/" + version, b"Host: " + host, *lines, b"", b""]) + body


def get(target: bytes, *lines: bytes) -> bytes:
    return b"\r\n".join([b"GET " + target + b" HTTP/1.1", *(lines or (b"Host: " + HOST,)), b"", b""])


class Attempt(NamedTuple):
    name: str
    sent: bytes
    reason: str
    passed: int = 0
    """Requests that the allowed host may see of it, as what they are."""


CHUNKED = b"Transfer-Encoding: chunked"
BAD = reasons.BAD_REQUEST
ATTEMPTS = [
    Attempt("CL.TE", post(b"Content-Length: 6", CHUNKED, body=b"0\r\n\r\nG" + EVIL), reasons.LENGTH_WITH_CHUNKS),
    Attempt("TE.CL", post(CHUNKED, b"Content-Length: 3", body=b"1\r\na\r\n0\r\n\r\n"), reasons.LENGTH_WITH_CHUNKS),
    Attempt("TE.TE", post(CHUNKED, b"Transfer-Encoding: identity", body=b"0\r\n\r\n"), BAD),
    Attempt("TE twice", post(CHUNKED, CHUNKED, body=b"0\r\n\r\n"), BAD),
    Attempt("TE unknown", post(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"), BAD),
    Attempt("TE list", post(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), BAD),
    Attempt("TE identity", post(b"Transfer-Encoding: identity", body=EVIL), BAD),
    Attempt("TE with a quoted parameter", post(b'Transfer-Encoding: chunked;a="b"', body=b"0\r\n\r\n"), BAD),
    Attempt("TE with a vertical tab", post(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"), BAD),
    Attempt("TE in HTTP/1.0", post(CHUNKED, body=b"0\r\n\r\n", version=b"1.0"), BAD),
    Attempt("space before the colon", post(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n"), BAD),
    Attempt("tab before the colon", post(b"Content-Length\t: 3", body=b"abc"), BAD),
    Attempt("folded line", post(b"Transfer-Encoding:", b" chunked", body=b"0\r\n\r\n"), BAD),
    Attempt("folded first line", b"GET / HTTP/1.1\r\n Host: evil\r\nHost: api.example.com\r\n\r\n", BAD),
    Attempt("bare LF", b"GET / HTTP/1.1\nHost: api.example.com\n\n" + EVIL, BAD),
    Attempt("bare LF in a header", post(b"A: b\nHost: evil.example.org"), BAD),
    Attempt("bare CR in a header", post(b"A: b\rHost: evil.example.org"), BAD),
    Attempt("bare LF before the end", b"GET / HTTP/1.1\r\nHost: api.example.com\r\n\n" + EVIL, BAD),
    Attempt("NUL in a header", post(b"A: b\x00c"), BAD),
    Attempt("NUL in the host", post(host=HOST + b"\x00.evil.example.org"), BAD),
    Attempt("CL twice, the same", post(b"Content-Length: 3", b"Content-Length: 3", body=b"abc"), BAD),
    Attempt("CL twice, not the same", post(b"Content-Length: 0", b"Content-Length: 46", body=EVIL), BAD),
    Attempt("CL list", post(b"Content-Length: 3, 3", body=b"abc"), BAD),
    Attempt("CL negative", post(b"Content-Length: -1", body=EVIL), BAD),
    Attempt("CL with a sign", post(b"Content-Length: +3", body=b"abc"), BAD),
    Attempt("CL hexadecimal", post(b"Content-Length: 0x3", body=b"abc"), BAD),
    Attempt("CL with an underscore", post(b"Content-Length: 1_0", body=b"abc"), BAD),
    Attempt("CL empty", post(b"Content-Length:", body=EVIL), BAD),
    Attempt("CL huge", post(b"Content-Length: 99999999999999999999", body=EVIL), BAD),
    Attempt("chunk size negative", post(CHUNKED, body=b"-1\r\nabc\r\n0\r\n\r\n"), BAD),
    Attempt("chunk size 0x", post(CHUNKED, body=b"0x3\r\nabc\r\n0\r\n\r\n"), BAD),
    Attempt("chunk size too long", post(CHUNKED, body=b"0" * 30 + b"3\r\nabc\r\n0\r\n\r\n"), BAD),
    Attempt("chunk size beyond 64 bits", post(CHUNKED, body=b"10000000000000003\r\nabc\r\n0\r\n\r\n" + EVIL), BAD),
    Attempt("chunk longer than said", post(CHUNKED, body=b"3\r\nabcd\r\n0\r\n\r\n"), BAD),
    Attempt("chunk size with bare LF", post(CHUNKED, body=b"3\nabc\n0\n\n" + EVIL), BAD),
    Attempt("chunk extension with bare LF", post(CHUNKED, body=b"3;\nxx\r\nabc\r\n0\r\n\r\n"), BAD),
    Attempt("chunk without an end", post(CHUNKED, body=b"3\r\nabc\r\n"), BAD),
    Attempt("body shorter than said", post(b"Content-Length: 9", body=b"abc"), BAD),
    Attempt("header name with a space", post(b"A b: c"), BAD),
    Attempt("header without a name", post(b": c"), BAD),
    Attempt("header without a colon", post(b"abc"), BAD),
    Attempt("two hosts", get(b"/", b"Host: " + HOST, b"Host: evil.example.org"), reasons.TWO_HOSTS),
    Attempt("two hosts, the same", get(b"/", b"Host: " + HOST, b"host: " + HOST), reasons.TWO_HOSTS),
    Attempt("no host", get(b"/", b"A: b"), reasons.NO_HOST),
    Attempt("no host in HTTP/1.0", b"GET / HTTP/1.0\r\n\r\n", reasons.NO_HOST),
    Attempt("empty host", get(b"/", b"Host: "), reasons.NO_HOST),
    Attempt("two hosts in one", get(b"/", b"Host: api.example.com, evil.example.org"), reasons.BAD_NAME),
    Attempt("host with a path", get(b"/", b"Host: evil.example.org/.api.example.com"), reasons.BAD_NAME),
    Attempt("host with userinfo", get(b"/", b"Host: api.example.com@evil.example.org"), reasons.USERINFO),
    Attempt("host with another port", get(b"/", b"Host: api.example.com:8080"), reasons.PORT_NOT_ALLOWED),
    Attempt("host with half a port", get(b"/", b"Host: api.example.com:"), BAD),
    Attempt("host with port 080", get(b"/", b"Host: api.example.com:080"), BAD),
    Attempt("host that is an address", get(b"/", b"Host: 169.254.169.254"), reasons.IP_LITERAL),
    Attempt("host that is a number", get(b"/", b"Host: 2852039166"), reasons.IP_LITERAL),
    Attempt("host that is an IPv6 address", get(b"/", b"Host: [::1]"), reasons.IP_LITERAL),
    Attempt("host in Unicode", get(b"/", "Host: api.examplе.com".encode()), reasons.BAD_NAME),
    Attempt("absolute form of another", get(b"http://evil.example.org/", b"Host: " + HOST), reasons.HOST_DIFFERS),
    Attempt("host is another than absolute", get(b"http://api.example.com/", b"Host: e.org"), reasons.HOST_DIFFERS),
    Attempt("absolute form with another port", get(b"http://api.example.com:81/"), reasons.HOST_DIFFERS),
    Attempt("absolute form with userinfo", get(b"http://api.example.com@evil.example.org/"), reasons.USERINFO),
    Attempt("absolute form of an address", get(b"http://127.0.0.1/"), reasons.IP_LITERAL),
    Attempt("absolute form with a backslash", get(b"http://api.example.com\\@evil.example.org/"), reasons.USERINFO),
    Attempt("https as absolute form", get(b"https://api.example.com/"), BAD),
    Attempt("absolute form with one slash", get(b"http:/api.example.com/"), BAD),
    Attempt("target without a slash", get(b"@evil.example.org/"), BAD),
    Attempt("target with a fragment", get(b"/#http://evil.example.org/"), BAD),
    Attempt("target with a space", get(b"/ /evil"), BAD),
    Attempt("target with a tab", get(b"/\tevil"), BAD),
    Attempt("two spaces", b"GET  / HTTP/1.1\r\nHost: api.example.com\r\n\r\n", BAD),
    Attempt("space at the start", b" GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n", BAD),
    Attempt("lower-case version", b"GET / http/1.1\r\nHost: api.example.com\r\n\r\n", BAD),
    Attempt("version 1.2", b"GET / HTTP/1.2\r\nHost: api.example.com\r\n\r\n", BAD),
    Attempt("version 2.0", b"GET / HTTP/2.0\r\nHost: api.example.com\r\n\r\n", BAD),
    Attempt("HTTP/0.9", b"GET /\r\n", BAD),
    Attempt("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04", reasons.HTTP2),
    Attempt("PROXY protocol", b"PROXY TCP4 10.0.0.1 10.0.0.2 1 80\r\n" + get(b"/"), BAD),
    Attempt("PROXY protocol 2", b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes(12) + get(b"/"), BAD),
    Attempt("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", BAD),
    Attempt("CONNECT", b"CONNECT api.example.com:80 HTTP/1.1\r\nHost: api.example.com\r\n\r\n" + EVIL, BAD),
    Attempt("pipelined", get(b"/") + EVIL, reasons.NOT_ALLOWED, 1),
    Attempt("pipelined after a body", post(b"Content-Length: 3", body=b"abc") + EVIL, reasons.NOT_ALLOWED, 1),
    Attempt("pipelined after chunks", post(CHUNKED, body=b"1\r\na\r\n0\r\n\r\n") + EVIL, reasons.NOT_ALLOWED, 1),
    Attempt(
        "upgrade that is not taken up",
        get(b"/", b"Host: " + HOST, b"Connection: Upgrade", b"Upgrade: websocket") + EVIL,
        reasons.NOT_ALLOWED,
        1,
    ),
    Attempt(
        "length nominated as of one connection",
        post(b"Connection: Content-Length, Host", b"Content-Length: 47", body=EVIL + b"x") + EVIL,
        reasons.NOT_ALLOWED,
        1,
    ),
    Attempt(
        "trailer that is a host",
        post(CHUNKED, body=b"0\r\nHost: evil.example.org\r\nContent-Length: 9\r\n\r\n") + EVIL,
        reasons.NOT_ALLOWED,
        1,
    ),
]  # fmt: skip


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.name)
async def test_nothing_is_smuggled(attempt: Attempt) -> None:
    async with (
        website() as site,
        gateway(HttpFront, caller(HOST.decode()), places={(HOST.decode(), 80): site.port}) as served,
    ):
        answer = await send(served.port, attempt.sent)
        records = await served.records(attempt.passed + 1)
    assert records[-1].reason == attempt.reason
    assert [record.reason for record in records[:-1]] == [""] * attempt.passed
    assert len(site.asked) == attempt.passed
    for raw in site.raw:
        found, _ = requests(bytes(raw))
        assert {each.host for each in found} <= {HOST.decode()}
    assert b" 40" in answer.rpartition(b"HTTP/1.1")[2][:12]
    assert {host for host, _ in served.dialer.dialled} <= {HOST.decode()}


WORDS = st.sampled_from(
    [
        b"GET ", b"POST ", b"CONNECT ", b"/", b"*", b"http://api.example.com/", b"http://evil.example.org/",
        b" HTTP/1.1", b" HTTP/1.0", b"\r\n", b"\r\n\r\n", b"\n", b"\r", b" ", b"\t", b"\x00",
        b"Host: api.example.com\r\n",
        b"Host: evil.example.org\r\n", b"Host:", b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Content-Length:",
        b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding:", b"chunked", b"0\r\n\r\n", b"5\r\n", b"3\r\nabc\r\n",
        b"hello", b"Connection: close\r\n", b"Connection: Upgrade\r\nUpgrade: websocket\r\n",
        b"Expect: 100-continue\r\n",
        get(b"/"), post(b"Content-Length: 5", body=b"hello"), post(CHUNKED, body=b"3\r\nabc\r\n0\r\n\r\n"), EVIL,
        post(CHUNKED), post(b"Content-Length: 50"), get(b"http://api.example.com/x"),
    ]
)  # fmt: skip
BYTES = st.lists(st.one_of(WORDS, st.binary(max_size=8)), max_size=12).map(b"".join)


async def seen_by_the_host(
    front: type[HttpFront | ProxyFront], sent: bytes
) -> tuple[list[bytes], list[tuple[str, int]]]:
    host = HOST.decode()
    async with website() as site, gateway(front, caller(host), places={(host, 80): site.port}) as served:
        await send(served.port, sent)
        await until(lambda: len(served.context.connections) == 0, pause=0)
    return [bytes(raw) for raw in site.raw], served.dialer.dialled


@pytest.mark.parametrize("front", [HttpFront, ProxyFront])
def test_whatever_is_sent_the_host_sees_whole_requests_to_itself(front: type[HttpFront | ProxyFront]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:

        @settings(max_examples=250, deadline=None)
        @given(BYTES)
        def holds(sent: bytes) -> None:
            raws, dialled = runner.run(seen_by_the_host(front, sent))
            assert set(dialled) <= {(HOST.decode(), 80)}
            for raw in raws:
                found, rest = requests(raw)
                assert all(each.host == HOST.decode() for each in found)
                # What is left is a body that the client broke off, of a request to the same host.
                assert not rest or b"\r\nHost: api.example.com\r\n" in rest.partition(b"\r\n\r\n")[0] + b"\r\n"

        holds()
