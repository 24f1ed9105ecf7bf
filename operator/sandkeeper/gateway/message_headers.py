"""Which headers go on from one connection to the next: all but those that are of one connection alone.

RFC 9110, 7.6.1. Both framing and Host are said anew, by what was understood of them and never by what was sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import h11

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandkeeper.gateway.request_rules import Target

Headers = list[tuple[bytes, bytes]]

_OF_ONE_CONNECTION: Final = frozenset(
    {
        b"connection",
        b"http2-settings",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})
# Both would go on with requests that nobody judges, to a server that may stand for more hosts than the one allowed.
_NEVER_UPGRADED_TO: Final = (b"h2", b"http/", b"tls/")


def forwarded_request(request: h11.Request, target: Target) -> h11.Request:
    """Say a request anew, for the host that it was judged by.

    Trailers and upgrades to what carries requests itself (h2c, TLS) are left out, which servers have to bear.
    """
    headers: Headers = [(b"Host", target.authority.encode())]
    headers += _passing(request, request.http_version, {b"host"})
    framed = {name for name, _ in request.headers} & _FRAMING
    if b"transfer-encoding" in framed:
        headers.append((b"Transfer-Encoding", b"chunked"))
    wanted = upgrades(request)
    # With a body an upgrade would have to wait for its end; it may be ignored at will (RFC 9110, 7.8).
    if wanted and request.http_version != b"1.0" and (not framed or (b"content-length", b"0") in list(request.headers)):
        headers += [(b"Connection", b"Upgrade"), (b"Upgrade", b", ".join(wanted))]
    return h11.Request(method=request.method, target=target.path, headers=headers)


def forwarded_response(response: h11.Response, *, last: bool) -> h11.Response:
    """Say a response anew.

    Parameters
    ----------
    last
        Whether the connection is closed after it.
    """
    headers: Headers = list(_passing(response, response.http_version, set()))
    # Who sent both means chunks (RFC 9112, 6.3), and the length says nothing.
    if response.status_code not in {204, 304} and any(name == b"transfer-encoding" for name, _ in response.headers):
        headers = [each for each in headers if each[0].lower() != b"content-length"]
        headers.append((b"Transfer-Encoding", b"chunked"))
    if last:
        headers.append((b"Connection", b"close"))
    return h11.Response(status_code=response.status_code, headers=headers, reason=response.reason)


def forwarded_information(response: h11.InformationalResponse) -> h11.InformationalResponse:
    """Say an interim response anew."""
    headers = list(_passing(response, response.http_version, set()))
    if response.status_code == 101:
        headers += [(b"Connection", b"Upgrade"), (b"Upgrade", b", ".join(tokens(response, b"upgrade")))]
    return h11.InformationalResponse(status_code=response.status_code, headers=headers, reason=response.reason)


def upgrades(request: h11.Request) -> list[bytes]:
    """Protocols that a request may be answered by a change to."""
    if b"upgrade" not in {each.lower() for each in tokens(request, b"connection")}:
        return []
    return [each for each in tokens(request, b"upgrade") if not each.lower().startswith(_NEVER_UPGRADED_TO)]


def tokens(message: h11.Request | h11.Response | h11.InformationalResponse, wanted: bytes) -> list[bytes]:
    """Values of a header that is a list."""
    return [
        stripped
        for name, value in message.headers
        if name == wanted
        for each in value.split(b",")
        if (stripped := each.strip())
    ]


def _passing(
    message: h11.Request | h11.Response | h11.InformationalResponse, version: bytes, without: set[bytes]
) -> Iterator[tuple[bytes, bytes]]:
    """Headers that go on, in their own spelling."""
    dropped = _OF_ONE_CONNECTION | without
    if nominated := tokens(message, b"connection"):
        # A length that is nominated would leave the body without an end.
        dropped |= {each.lower() for each in nominated} - {b"content-length"}
    if version == b"1.0":
        # Of HTTP/1.0 nobody waits for an interim response: RFC 9110, 10.1.1.
        dropped |= {b"expect"}
    for raw, value in message.headers.raw_items():
        if raw.lower() not in dropped:
            yield raw, value
