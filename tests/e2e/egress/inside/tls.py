"""Port 443: the name in the handshake decides, and nothing is let through that hides or fakes it."""

from e2e.escape.inside.kit import NO_ANSWER, ClosedError, Group, Scene

from .talk import REFUSED_TLS, answer_to, handshake, hello, record, server_name, site

GROUP = Group()
ALLOWED, FORBIDDEN = b"allowed.example", b"forbidden.example"
KEYS = b"\0\x2b\0\3\2\3\4"
"""The extension that offers TLS 1.3, which some of these would need to get further."""


def add(what: str, sent: bytes, *others: str, port: int = 443, pieces: int = 0) -> None:
    """Add bytes that are no hello of an allowed name."""
    GROUP.add(what, *REFUSED_TLS, *others, control="", way=lambda scene: answer_to(sent, port, pieces=pieces))


add("a forbidden name", hello("forbidden.example"))
add("a forbidden name on the address that an allowed one has", hello("shared.example"))
add("a name that ends in an allowed one's letters", hello("evilallowed.example"))
add("a name below an allowed one", hello("x.allowed.example"))
add("the suffix of a wildcard", hello("wild.example"))
add("a neighbour's allowed name", hello("neighbour-only.example"))
add("no name", hello(None))
add("an address for a name", record(handshake(server_name(b"44.128.0.20"), KEYS)))
add("an allowed name and then a forbidden one in one list", record(handshake(server_name(ALLOWED, FORBIDDEN), KEYS)))
add("two lists of names", record(handshake(server_name(ALLOWED), server_name(FORBIDDEN), KEYS)))
add("a zero byte behind an allowed name", record(handshake(server_name(ALLOWED + b"\0.evil.example"), KEYS)))
add("an empty name", record(handshake(server_name(b""), KEYS)))
add("a name of another kind", record(handshake(server_name(ALLOWED, kind=7), KEYS)))
add(
    "an encrypted ClientHello behind an allowed name",
    record(handshake(server_name(ALLOWED), b"\xfe\x0d\0\x08\0\0\1\0\1\0\0\0", KEYS)),
)
add("a forbidden name in packets of one byte", hello("forbidden.example"), pieces=1)
add(
    "a forbidden name over records of seven bytes",
    b"".join(
        record(handshake(server_name(FORBIDDEN), KEYS)[start : start + 7])
        for start in range(0, len(handshake(server_name(FORBIDDEN), KEYS)), 7)
    ),
)
add("a hello in a thousand records of one byte", record(b"\1") * 1000)
add("empty records for ever", record(b"") * 2000)
add("a hello that says it is 16 MiB long", record(b"\1\xff\xff\xff" + bytes(1000)) * 80)
add("another handshake message first", record(b"\0\0\0\0" + handshake(server_name(ALLOWED))))
add("an alert first", record(b"\1\0", kind=21) + hello("forbidden.example"))
add("a hello of SSLv2", bytes.fromhex("802e0100020015000000100100800700c0030080060040020080040080") + bytes(16))
add("plain HTTP with an allowed name", b"GET / HTTP/1.1\r\nHost: allowed.example\r\n\r\n")
add("plain HTTP with a forbidden name", b"GET / HTTP/1.1\r\nHost: forbidden.example\r\n\r\n")
add("the greeting of SSH", b"SSH-2.0-OpenSSH_9.2\r\n")
add(
    "a PROXY preamble with a neighbour's address",
    b"PROXY TCP4 10.244.0.9 10.96.0.9 1 443\r\n" + hello("allowed.example"),
)
add("a PROXY preamble of version 2", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12) + hello("allowed.example"))
add("noise", bytes(range(256)) * 8)
KINDS = (
    "private", "loopback", "metadata", "mapped", "compatible", "nat64", "sixtofour", "node", "apiserver", "zero",
    "linklocal", "carrier", "gateway", "multicast", "documentation", "uniquelocal", "broadcast",
)  # fmt: skip
for kind in KINDS:
    add(f"an allowed name whose address is not to be reached: {kind}", hello(f"{kind}.example"))


@GROUP.attempt(
    "one name in the handshake and another in the request",
    "allowed.example got it",
    control="",
    note="what is asked within TLS is the allowed site's to judge: it is reached, and nobody else",
)
def fronting(scene: Scene) -> str:
    found = site("allowed.example", "forbidden.example")
    if found["address"] == scene["addresses"]["allowed"] and found["sni"] == "allowed.example":
        raise ClosedError("allowed.example got it")
    return str(found)


@GROUP.attempt("a port of a host that the rule does not give", *REFUSED_TLS, "ECONNREFUSED", NO_ANSWER, control="")
def port(scene: Scene) -> str:
    return answer_to(hello("allowed.example"), 8443)


@GROUP.attempt(
    "a port that carries no name, by the gateway's address of no host",
    *REFUSED_TLS,
    "ECONNREFUSED",
    NO_ANSWER,
    control="",
)
def nameless(scene: Scene) -> str:
    return answer_to(b"hello\n", 3306)
