"""What a request must look like to be passed on at all, and which host it names: strict, so that none is read two ways.

A head is matched as a whole against the grammar of RFC 9112 without what only tolerant parsers read (folded lines, bare
line feeds, spaces before a colon), its framing is given once, and its host is named once or twice in the same words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sandkeeper.gateway import reasons
from sandkeeper.gateway.refusals import RefusalError
from sandkeeper.gateway.rules import normal_name

if TYPE_CHECKING:
    import h11

WEB_PORT: Final = 80
TLS_PORT: Final = 443

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_LINE: Final = re.compile(_TOKEN + rb" [!-~]+ HTTP/1\.[01]\r\n")
_HEAD: Final = re.compile(_LINE.pattern + rb"(?:" + _TOKEN + rb":[\t -~\x80-\xff]*\r\n)*\r\n")
_DECISIVE: Final = re.compile(rb"\n(host|content-length|transfer-encoding):[\t ]*([^\r]*)", re.IGNORECASE)
_LENGTH: Final = re.compile(rb"[0-9]{1,18}[\t ]*")
_CONTROL: Final = re.compile(rb"(?<!\r)\n|\r(?=[^\n])|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_END: Final = b"\r\n\r\n"
_ABSOLUTE: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?]*)(.*)")
_PREFACE: Final = b"PRI * HTTP/2"


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is for.

    Attributes
    ----------
    host
        In the form of `rules.normal_name`.
    path
        Target for the host itself: a path and query, or ``*``.
    """

    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """What the Host header says."""
        return self.host if self.port == WEB_PORT else f"{self.host}:{self.port}"


class HeadReader:
    """Finds where a request's head ends, as it arrives; each byte is looked at a bounded number of times.

    Parameters
    ----------
    most_bytes
        That a head may have.

    Attributes
    ----------
    seen
        All bytes so far.
    """

    __slots__ = ("_lined", "_looked", "_most_bytes", "seen")

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._looked = 0
        self._lined = False
        self.seen = bytearray()

    def feed(self, data: bytes) -> bytes | None:
        """Take what arrived; give the head once it is whole, and leave what follows it in ``seen``.

        Raises
        ------
        RefusalError
            If what is there cannot become a head that may pass.
        """
        self.seen += data
        if not self._looked and self.seen.startswith(b"\r\n"):
            # One empty line before a request is ignored: RFC 9112, 2.2.
            del self.seen[:2]
        end = self.seen.find(_END, max(self._looked - len(_END), 0))
        stop = end + len(_END) if end >= 0 else len(self.seen)
        self._check(stop)
        if end < 0:
            return None
        head = bytes(self.seen[:stop])
        del self.seen[:stop]
        return head

    def _check(self, stop: int) -> None:
        """Look at what was not looked at yet, so that what can't become a head is not waited for."""
        start, self._looked = max(self._looked - 1, 0), stop
        if _CONTROL.search(self.seen, start, stop):
            raise RefusalError(reasons.BAD_REQUEST)
        if self.seen.startswith(_PREFACE):
            raise RefusalError(reasons.HTTP2)
        if not self._lined and self.seen.find(b"\n", start, stop) >= 0:
            self._lined = True
            if not _LINE.match(self.seen):
                raise RefusalError(reasons.BAD_REQUEST)
        if stop > self._most_bytes:
            raise RefusalError(reasons.BAD_REQUEST, 431, f"the request's head has more than {self._most_bytes} bytes")


def check_head(head: bytes) -> None:
    """Check the form of a whole head.

    Raises
    ------
    RefusalError
        If it is one that some parser reads otherwise than another.
    """
    if not _HEAD.fullmatch(head):
        raise RefusalError(reasons.BAD_REQUEST)
    values: dict[bytes, list[bytes]] = {}
    for name, value in _DECISIVE.findall(head):
        values.setdefault(name.lower(), []).append(value)
    lengths, codings = values.get(b"content-length", ()), values.get(b"transfer-encoding", ())
    old = head.partition(b"\r")[0].endswith(b"1.0")
    if len(values.get(b"host", ())) > 1:
        raise RefusalError(reasons.TWO_HOSTS)
    if b"host" not in values and not old:
        raise RefusalError(reasons.NO_HOST)
    if lengths and codings:
        raise RefusalError(reasons.LENGTH_WITH_CHUNKS)
    # In HTTP/1.0 there are no chunks (RFC 9112, 6.1): who sends them wants to be read in two ways.
    if len(lengths) + len(codings) > 1 or (codings and old):
        raise RefusalError(reasons.BAD_REQUEST)
    if lengths and not _LENGTH.fullmatch(lengths[0]):
        raise RefusalError(reasons.BAD_REQUEST)


def host_of(request: h11.Request) -> str | None:
    """Give what the Host header says; None without one."""
    for name, value in request.headers:
        if name == b"host":
            return value.decode("latin-1")
    return None


def authority(text: str, default: int) -> tuple[str, int]:
    """Read a host with or without a port.

    Raises
    ------
    RefusalError
        If it is not plainly one.
    """
    if "@" in text:
        raise RefusalError(reasons.USERINFO)
    host, separator, port = text.partition(":")
    try:
        host = normal_name(text if text.startswith("[") or ":" in port else host)
    except ValueError as error:
        raise RefusalError(str(error)) from None
    if not separator:
        return host, default
    if not re.fullmatch("[1-9][0-9]{0,4}", port) or int(port) > 65_535:
        raise RefusalError(reasons.BAD_REQUEST)
    return host, int(port)


def web_target(request: h11.Request) -> Target:
    """Tell what a request on port 80 is for: its Host says so, and the target may say the same.

    Raises
    ------
    RefusalError
        If it names no host, two hosts, or a port other than 80.
    """
    said = host_of(request)
    if not said:
        raise RefusalError(reasons.NO_HOST)
    host, port = authority(said, WEB_PORT)
    if port != WEB_PORT:
        raise RefusalError(reasons.PORT_NOT_ALLOWED, said=f"port 80 was connected to, and port {port} is asked for")
    text = request.target.decode("ascii")
    if request.method == b"CONNECT" or "#" in text:
        raise RefusalError(reasons.BAD_REQUEST)
    if text.startswith("/") or (text == "*" and request.method == b"OPTIONS"):
        return Target(host, port, text)
    return _absolute(request, text, (host, port))


def proxy_target(request: h11.Request) -> Target:
    """Tell what a request to the proxy is for: its target says so, and Host, which HTTP/1.0 may lack, the same.

    Raises
    ------
    RefusalError
        If its target is not the URL of an ``http`` resource.
    """
    said = host_of(request)
    if said is not None and not said:
        raise RefusalError(reasons.NO_HOST)
    text = request.target.decode("ascii")
    target = _absolute(request, text, authority(said, WEB_PORT) if said else None)
    if target.port == TLS_PORT:
        raise RefusalError(reasons.PORT_NOT_ALLOWED, said="port 443 is reached by CONNECT")
    return target


def _absolute(request: h11.Request, text: str, said: tuple[str, int] | None) -> Target:
    """Read an absolute form, which has to name the same host as the Host header."""
    match = _ABSOLUTE.fullmatch(text)
    if match is None or "#" in text:
        raise RefusalError(reasons.BAD_REQUEST)
    scheme, place, path = match.groups()
    if scheme.lower() != "http":
        raise RefusalError(reasons.BAD_REQUEST, said=f"http is asked for by a URL, {scheme} by CONNECT if at all")
    named = authority(place, WEB_PORT)
    if said is not None and said != named:
        raise RefusalError(reasons.HOST_DIFFERS)
    if not path and request.method == b"OPTIONS":
        return Target(*named, "*")
    return Target(*named, path if path.startswith("/") else f"/{path}")


def tunnel_target(request: h11.Request) -> tuple[str, int]:
    """Tell where a CONNECT leads to.

    Raises
    ------
    RefusalError
        If that is not plainly a host and a port, if Host says otherwise, or if the request has a body.
    """
    text, said = request.target.decode("ascii"), host_of(request)
    framed = any(name in {b"content-length", b"transfer-encoding"} and value != b"0" for name, value in request.headers)
    if framed or "/" in text:
        raise RefusalError(reasons.BAD_REQUEST)
    host, port = authority(text, 0)
    if not port:
        raise RefusalError(reasons.BAD_REQUEST)
    if said and authority(said, port) != (host, port):
        raise RefusalError(reasons.HOST_DIFFERS)
    return host, port
