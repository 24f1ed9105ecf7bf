"""What clients and the site say to each other: a ClientHello, an answer, and maybe a request for more."""

import contextlib
import ssl
from typing import Final

SITE: Final = "44.128.0.10"
"""Public by its number, as what the gateway dials; on loopback here, where nothing else is."""
HOST: Final = "bench.example"
TLS_PORT: Final = 443
WEB_PORT: Final = 80
RESOLVER_PORT: Final = 10054
ANSWER: Final = b"a" * 100
ASK_FOR: Final = b"S"
"""Before the number of bytes, in eight bytes, that the site is to send."""
OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
REQUEST: Final = b"GET / HTTP/1.1\r\nHost: " + HOST.encode() + b"\r\n\r\n"


def client_hello() -> bytes:
    """Return how TLS begins; the site answers it by :data:`ANSWER`, so that no cipher is measured."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    outgoing = ssl.MemoryBIO()
    began = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=HOST)
    with contextlib.suppress(ssl.SSLWantReadError):
        began.do_handshake()
    return outgoing.read()
