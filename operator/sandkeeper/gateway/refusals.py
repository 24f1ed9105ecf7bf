"""How a refusal is told to who asked by HTTP: a status and one sentence, after which the connection is closed."""

from __future__ import annotations

from typing import Final

from sandkeeper.gateway import reasons

_PHRASES: Final = {
    400: "Bad Request",
    403: "Forbidden",
    408: "Request Timeout",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
_STATUSES: Final = {
    reasons.UNKNOWN_SOURCE: 403,
    reasons.NOT_ALLOWED: 403,
    reasons.PORT_NOT_ALLOWED: 403,
    reasons.IP_LITERAL: 403,
    reasons.FORBIDDEN_ADDRESS: 403,
    reasons.INNER_SNI: 403,
    reasons.POLICY_CHANGED: 403,
    reasons.SANDBOX_GONE: 403,
    reasons.UNRESOLVABLE: 502,
    reasons.UNREACHABLE: 502,
    reasons.DRAINED: 503,
    reasons.TIMEOUT: 504,
    reasons.TOO_MANY: 429,
    reasons.TOO_FAST: 429,
}
"""By reason; whatever is not here is a bad request."""
_BY_RULES: Final = frozenset({reasons.NOT_ALLOWED, reasons.PORT_NOT_ALLOWED})
_MEANINGS: Final = {
    reasons.UNKNOWN_SOURCE: "the address that this came from belongs to no sandbox that is known",
    reasons.IP_LITERAL: "an address is asked for; hosts are reached by name alone",
    reasons.BAD_NAME: "the host is no host name",
    reasons.TWO_HOSTS: "the request has two Host headers",
    reasons.NO_HOST: "the request has no Host header, which has to name the host",
    reasons.HOST_DIFFERS: "the request's target and its Host header name different hosts",
    reasons.USERINFO: "a host may not be asked for with a user name",
    reasons.LENGTH_WITH_CHUNKS: "the request has both Content-Length and Transfer-Encoding",
    reasons.HTTP2: "HTTP/2 is spoken inside of TLS alone",
    reasons.UNRESOLVABLE: "the host's name has no address",
    reasons.FORBIDDEN_ADDRESS: "the name leads to private addresses alone, none of which spec.egress.cidrs allows",
    reasons.UNREACHABLE: "the host does not answer, or not as HTTP says",
    reasons.TIMEOUT: "it took too long",
    reasons.TOO_MANY: "the sandbox has too many connections",
    reasons.TOO_FAST: "the sandbox makes new connections too fast",
    reasons.DRAINED: "the gateway is being stopped; ask again",
}


class RefusalError(Exception):
    """What was asked for is not done.

    Attributes
    ----------
    reason
        One of `reasons`.
    status
        Of the answer.
    said
        What the answer says instead of the reason's own sentence.
    """

    def __init__(self, reason: str, status: int = 0, said: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status or _STATUSES.get(reason, 400)
        self.said = said


def sentence(refusal: RefusalError, host: str, port: int) -> str:
    """Say what was refused, why, and what has to be done about it.

    Parameters
    ----------
    host, port
        What was asked for, as far as it is known: an empty host and 0 otherwise.
    """
    asked = f"{host}:{port}" if host else "this request"
    if refusal.reason in _BY_RULES and not refusal.said:
        pattern = host if port in {80, 443} else asked
        why = f"spec.egress.domains of the Sandbox has to allow {pattern}"
    else:
        why = refusal.said or _MEANINGS.get(refusal.reason, "the request is malformed")
    return f"sandkeeper: {asked} is refused ({refusal.reason}): {why}\n"


def answer(refusal: RefusalError, host: str, port: int, *, with_body: bool = True) -> bytes:
    """Write the whole response; the connection is to be closed after it."""
    body = sentence(refusal, host, port).encode()
    head = (
        f"HTTP/1.1 {refusal.status} {_PHRASES[refusal.status]}\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + (body if with_body else b"")
