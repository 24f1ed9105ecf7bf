"""How a sandbox talks to the gateway, and what the gateway's answers are called. Standard library only."""

import contextlib
import json
import socket
import ssl
import struct
from pathlib import Path
from typing import Any

from e2e.escape.inside.kit import SECONDS, ClosedError, Scene

ALERTS = {49: "alert access_denied", 50: "alert decode_error", 112: "alert unrecognized_name"}
REFUSED_TLS = (*ALERTS.values(), "closed", "ECONNRESET", "EPIPE")
"""How a connection ends that is not let through."""
REFUSED_WEB = ("400", "403", "closed", "ECONNRESET", "EPIPE")
REFUSED_NAME = ("NXDOMAIN", "REFUSED", "FORMERR", "NOTIMP", "NODATA")
CODES = {0: "NODATA", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}
TYPES = {"A": 1, "NS": 2, "CNAME": 5, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33, "NULL": 10, "HTTPS": 65,
         "ANY": 255, "AXFR": 252}  # fmt: skip


def gateway() -> str:
    """Address of the gateway, which is the one name server of a sandbox."""
    lines = Path("/etc/resolv.conf").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith("nameserver"))


def connect(port: int, address: str = "") -> socket.socket:
    """Connect to the gateway."""
    connection = socket.create_connection((address or gateway(), port), SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def hello(name: str | None) -> bytes:
    """Return a ClientHello as the ssl module writes it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    outgoing = ssl.MemoryBIO()
    began = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        began.do_handshake()
    return outgoing.read()


def server_name(*names: bytes, kind: int = 0) -> bytes:
    """Return the extension that tells the server's name (RFC 6066, 3)."""
    listed = b"".join(struct.pack("!BH", kind, len(name)) + name for name in names)
    return struct.pack("!HHH", 0, len(listed) + 2, len(listed)) + listed


def handshake(*extensions: bytes) -> bytes:
    """Return the handshake message of a ClientHello with extensions of one's own."""
    more = b"".join(extensions)
    body = b"\3\3" + bytes(32) + b"\0" + b"\0\4\x13\x01\x13\x02" + b"\1\0" + struct.pack("!H", len(more)) + more
    return b"\1" + len(body).to_bytes(3, "big") + body


def record(content: bytes, kind: int = 22) -> bytes:
    """Return a TLS record."""
    return struct.pack("!BHH", kind, 0x0301, len(content)) + content


def answer_to(sent: bytes, port: int = 443, address: str = "", pieces: int = 0) -> str:
    """Send bytes to the gateway and tell what came back, where that is no refusal.

    Parameters
    ----------
    pieces
        Bytes of each packet; 0 for all in one.
    """
    with connect(port, address) as connection:
        for start in range(0, len(sent), pieces or len(sent)):
            connection.sendall(sent[start : start + (pieces or len(sent))])
        return judged(connection.recv(4096))


def judged(said: bytes) -> str:
    """Tell what an answer is.

    Raises
    ------
    ClosedError
        If it is a refusal; the message is what it is called.
    """
    if not said:
        raise ClosedError("closed")
    if said[0] == 21 and len(said) >= 7:
        raise ClosedError(ALERTS.get(said[6], f"alert {said[6]}"))
    if said.startswith(b"HTTP/") and b'"address"' not in said and b" 101 " not in said[:20]:
        raise ClosedError(said.split()[1].decode())
    return repr(said[:200])


def site(sni: str, host: str = "", port: int = 443, address: str = "") -> dict[str, Any]:
    """Ask a site by TLS, under one name in the handshake and maybe another in the request."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with connect(port, address) as plain, context.wrap_socket(plain, server_hostname=sni) as secured:
        return asked(secured, host or sni)


def asked(connection: socket.socket, host: str) -> dict[str, Any]:
    """Send a request and read what a site says of itself."""
    connection.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    said = b""
    while b"}" not in said:
        more = connection.recv(4096)
        if not more:
            judged(said)
        said += more
    found: dict[str, Any] = json.loads(said[said.index(b"{") :])
    return found


def web(request: bytes, port: int = 80) -> str:
    """Send what is or looks like a request and tell all that came back."""
    with connect(port) as connection:
        connection.sendall(request)
        said = b""
        try:
            while more := connection.recv(4096):
                said += more
        except TimeoutError:
            if not said:
                raise
        if said.count(b"HTTP/1.1 200") > 1 or b'"address"' not in said:
            return judged(said)
        return repr(said[:300])


def question(
    name: str | list[bytes], kind: str = "A", *, identity: int = 7, kind_class: int = 1, count: int = 1
) -> bytes:
    """Return a DNS query; a list is of raw labels."""
    labels = name if isinstance(name, list) else [label.encode() for label in name.rstrip(".").split(".") if label]
    asked_for = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    asked_for += struct.pack("!HH", TYPES[kind], kind_class)
    return struct.pack("!6H", identity, 0x0100, count, 0, 0, 0) + asked_for * count


def resolve(query: bytes, *, tcp: bool = False, address: str = "") -> str:
    """Ask the gateway, and tell the answer's records where there are any.

    Raises
    ------
    ClosedError
        If there is none; the message is the code of the answer.
    """
    server = address or gateway()
    if tcp:
        with socket.create_connection((server, 53), SECONDS) as connection:
            connection.sendall(struct.pack("!H", len(query)) + query)
            answer = connection.recv(65535)[2:]
    else:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(SECONDS)
            asking.sendto(query, (server, 53))
            answer = asking.recvfrom(65535)[0]
    if len(answer) < 12:
        raise ClosedError("closed")
    code, records = answer[3] & 15, struct.unpack("!H", answer[6:8])[0]
    if code or not records:
        raise ClosedError(CODES.get(code, f"code {code}"))
    return answer[12:].hex()


def through_proxy(target: str, then: bytes = b"", scene: Scene | None = None) -> str:
    """Ask the gateway's proxy for a tunnel, send something into it, and tell what came back."""
    with connect(3128) as connection:
        connection.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
        said = connection.recv(4096)
        if b" 200" not in said[:20]:
            judged(said)
        if not then:
            return f"a tunnel: {said[:60]!r}"
        connection.sendall(then)
        return judged(connection.recv(4096))
