"""Port 80 and the proxy: each request is judged by its one host, and what could be read two ways is not read at all."""

from e2e.escape.inside.kit import NO_ANSWER, Group, Way

from .talk import REFUSED_TLS, REFUSED_WEB, hello, through_proxy, web

GROUP = Group()


def request(host: str, first: str = "GET / HTTP/1.1", *lines: str, body: str = "") -> bytes:
    """Write a request down."""
    return "\r\n".join([first, *([f"Host: {host}"] if host else []), *lines, "", body]).encode("latin-1")


def tunnel(target: str, then: bytes = b"") -> Way:
    """Return a way that asks for a tunnel and sends something into it."""
    return lambda _scene: through_proxy(target, then)


def add(what: str, sent: bytes, *others: str, port: int = 80) -> None:
    """Add a request that is not to be let through."""
    GROUP.add(what, *REFUSED_WEB, *others, control="", way=lambda scene: web(sent, port))


add("a forbidden host", request("forbidden.example"))
add("a neighbour's allowed host", request("neighbour-only.example"))
add("a host below an allowed one", request("x.allowed.example"))
add("an address for a host", request("44.128.0.20"))
add("a host that some take for an address", request("746586132"))
add("an IPv6 address for a host", request("[::ffff:44.128.0.20]"))
add("no host", request(""))
add("HTTP/1.0 without a host", request("", "GET / HTTP/1.0"))
add("HTTP/1.0 with a forbidden host", request("forbidden.example", "GET / HTTP/1.0"))
add("HTTP/0.9", b"GET /\r\n")
add("two hosts, the first allowed", request("allowed.example", "GET / HTTP/1.1", "Host: forbidden.example"))
add("two hosts, the second allowed", request("forbidden.example", "GET / HTTP/1.1", "Host: allowed.example"))
add("an absolute form that differs from the host", request("allowed.example", "GET http://forbidden.example/ HTTP/1.1"))
add(
    "an absolute form with userinfo",
    request("allowed.example", "GET http://allowed.example@forbidden.example/ HTTP/1.1"),
)
add("a host with userinfo", request("allowed.example@forbidden.example"))
add("a host with a path", request("allowed.example/@forbidden.example"))
add("a host with a port that is not given", request("allowed.example:8443"))
add("a host and a comma", request("allowed.example, forbidden.example"))
add("a host in two lines", b"GET / HTTP/1.1\r\nHost: allowed.example\r\n forbidden.example\r\n\r\n")
add("a space before the colon", b"GET / HTTP/1.1\r\nHost : allowed.example\r\n\r\n")
add(
    "a host behind a bare line feed",
    b"GET / HTTP/1.1\r\nX: y\nHost: forbidden.example\r\nHost: allowed.example\r\n\r\n",
)
add("a host with a zero byte", request("allowed.example\0.forbidden.example"))
add(
    "X-Forwarded-Host with a forbidden host",
    request("forbidden.example", "GET / HTTP/1.1", "X-Forwarded-Host: allowed.example"),
)
add(
    "a neighbour's address by X-Forwarded-For",
    request(
        "neighbour-only.example",
        "GET / HTTP/1.1",
        "X-Forwarded-For: 10.244.0.9",
        "X-Real-IP: 10.244.0.9",
        "Forwarded: for=10.244.0.9",
    ),
)
add(
    "a PROXY preamble with a neighbour's address",
    b"PROXY TCP4 10.244.0.9 10.96.0.9 1 80\r\n" + request("allowed.example"),
)
add(
    "CL with TE",
    request("allowed.example", "POST / HTTP/1.1", "Content-Length: 4", "Transfer-Encoding: chunked", body="0\r\n\r\n"),
)
add("two lengths", request("allowed.example", "POST / HTTP/1.1", "Content-Length: 4", "Content-Length: 0", body="abcd"))
add("TE in disguise", request("allowed.example", "POST / HTTP/1.1", "Transfer-Encoding: xchunked", body="0\r\n\r\n"))
add(
    "TE twice",
    request(
        "allowed.example",
        "POST / HTTP/1.1",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: identity",
        body="0\r\n\r\n",
    ),
)
add("HTTP/2 without TLS", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9))
add("CONNECT on port 80", request("allowed.example:443", "CONNECT allowed.example:443 HTTP/1.1"))
add("TLS on port 80", hello("allowed.example"))
SMUGGLED = request("forbidden.example")
add(
    "a body that holds another request, its length in hexadecimal",
    request("allowed.example", "POST / HTTP/1.1", f"Content-Length: 0x{len(SMUGGLED):x}") + SMUGGLED,
)
add(
    "a chunk whose size is no number",
    request("allowed.example", "POST / HTTP/1.1", "Transfer-Encoding: chunked", body="5g\r\nabcde\r\n0\r\n\r\n"),
    "502",
)
for kind in ("private", "loopback", "metadata", "node", "apiserver", "gateway"):
    add(f"an allowed host whose address is not to be reached: {kind}", request(f"{kind}.example"), "502")
add("by the proxy: a forbidden host", request("forbidden.example", "GET http://forbidden.example/ HTTP/1.1"), port=3128)
add(
    "by the proxy: https without a tunnel",
    request("allowed.example", "GET https://allowed.example/ HTTP/1.1"),
    port=3128,
)
add(
    "by the proxy: another host than the target's",
    request("allowed.example", "GET http://forbidden.example/ HTTP/1.1"),
    port=3128,
)
for target, words in {
    "forbidden.example:443": "a forbidden host",
    "44.128.0.20:443": "an address",
    "[::1]:443": "an IPv6 address",
    "127.0.0.1:8080": "the gateway itself",
    "allowed.example:22": "a port that the rule does not give",
    "allowed.example:80": "port 80, where requests are judged",
    "neighbour-only.example:443": "a neighbour's allowed host",
    "allowed.example@forbidden.example:443": "userinfo",
    "allowed.example": "no port",
    "allowed.example:0443x": "a bad port",
}.items():
    GROUP.add(f"a tunnel to {words}", *REFUSED_WEB, "404", control="", way=tunnel(target))
for words, then in {
    "a forbidden name in its handshake": hello("forbidden.example"),
    "another allowed name in its handshake": hello("a.wild.example"),
    "no name in its handshake": hello(None),
    "plain HTTP in it": request("allowed.example"),
    "SSH in it": b"SSH-2.0-OpenSSH_9.2\r\n",
}.items():
    GROUP.add(
        f"a tunnel to an allowed host with {words}",
        *REFUSED_TLS,
        "403",
        NO_ANSWER,
        control="",
        way=tunnel("allowed.example:443", then),
    )
