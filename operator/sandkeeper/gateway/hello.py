"""Reads the server's name out of a TLS ClientHello, strictly: what is not plainly one name is refused.

The gateway judges the name and then passes on the very bytes that it read, so a hello that two programs could read in
two ways must not pass: no length may disagree with another, no extension may come twice (RFC 8446, 4.2; RFC 6066, 3).
An encrypted_client_hello extension is refused even where a browser sends it as grease (RFC 9849, 6.2): from outside
the two look alike, which is what grease is for, so what carries one may carry another name than it shows.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from sandkeeper.gateway import reasons
from sandkeeper.gateway.rules import normal_name

MOST_BYTES: Final = 65_536
"""Of a hello with its record headers; post-quantum key shares and tickets together stay below 8 KiB."""
MOST_RECORDS: Final = 16

_HANDSHAKE: Final = 22
_CLIENT_HELLO: Final = 1
_RECORD_HEADER: Final = 5
_MOST_FRAGMENT: Final = 16_384
_LENGTH: Final = struct.Struct(">H")
_ENTRY: Final = struct.Struct(">HH")
_SESSION: Final = 34
"""Where the length of the session's id stands, after a version and 32 random bytes."""
_SERVER_NAME: Final = 0
_ENCRYPTED: Final = frozenset({*range(0xFE08, 0xFE0E), 0xFD00, 0xFFCE})
"""Extensions that hide a name: of RFC 9849, of its drafts, and of what was before them."""


class HelloError(Exception):
    """A hello that is refused.

    Attributes
    ----------
    reason
        ``BAD_HELLO``, ``NO_SNI``, ``ENCRYPTED_HELLO``, ``IP_LITERAL`` or ``BAD_NAME`` of `reasons`.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Hello:
    """What is told of a hello.

    Attributes
    ----------
    server_name
        In the form of `rules.normal_name`.
    """

    server_name: str


class HelloReader:
    """Takes a hello as it arrives; each byte is looked at a bounded number of times, however it is cut up.

    Attributes
    ----------
    seen
        All bytes so far, which are to be passed on.
    """

    __slots__ = ("_most_bytes", "_worth", "seen")

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._worth = 1
        self.seen: bytes | bytearray = b""

    def feed(self, data: bytes) -> Hello | None:
        """Take what arrived; None while more is needed.

        Raises
        ------
        HelloError
            If it is no hello, or none that may pass.
        """
        if not self.seen:
            self.seen = data
        else:
            # Most hellos come in one piece, which need not be copied; of many pieces not each may cost a copy of all.
            if not isinstance(self.seen, bytearray):
                self.seen = bytearray(self.seen)
            self.seen += data
        if len(self.seen) < self._worth:
            return None
        found = _message(self.seen, self._most_bytes)
        if isinstance(found, int):
            self._worth = found
            return None
        return Hello(_server_name(found))


def parse(data: bytes) -> Hello | None:
    """Read a hello from the first bytes of a connection; None while more are needed.

    Raises
    ------
    HelloError
        If it is no hello, or none that may pass.
    """
    return HelloReader().feed(data)


def _message(data: bytes | bytearray, most_bytes: int) -> bytes | int:
    """Put the hello together from its records.

    Returns
    -------
    bytes or int
        The message without its header, or how many bytes are needed before it is worth to look again.
    """
    message = b""
    at = 0
    for _ in range(MOST_RECORDS):
        header = data[at : at + _RECORD_HEADER]
        # Of what is no TLS the first byte tells; it need not be waited for the others.
        if header[:1] not in (b"", b"\x16") or header[1:2] not in (b"", b"\x03"):
            raise HelloError(reasons.BAD_HELLO)
        if len(header) < _RECORD_HEADER:
            return at + _RECORD_HEADER
        end = at + _RECORD_HEADER + int.from_bytes(header[3:])
        if not at + _RECORD_HEADER < end <= min(at + _RECORD_HEADER + _MOST_FRAGMENT, most_bytes):
            raise HelloError(reasons.BAD_HELLO)
        if len(data) < end:
            return end
        message += data[at + _RECORD_HEADER : end]
        if _complete(message, most_bytes):
            return message[4:]
        at = end
    raise HelloError(reasons.BAD_HELLO)


def _complete(message: bytes, most_bytes: int) -> bool:
    """Whether a handshake message is whole; what follows it in the same record is refused."""
    expected = 4 + int.from_bytes(message[1:4])
    if message[0] != _CLIENT_HELLO or (len(message) >= 4 and not len(message) <= expected <= most_bytes):
        raise HelloError(reasons.BAD_HELLO)
    return len(message) >= 4 and len(message) == expected


def _server_name(message: bytes) -> str:
    """Find the one name that a hello asks for (RFC 6066, 3)."""
    try:
        kinds, content = _extensions(message)
    except (struct.error, IndexError):
        raise HelloError(reasons.BAD_HELLO) from None
    if len(set(kinds)) != len(kinds):
        raise HelloError(reasons.BAD_HELLO)
    if not _ENCRYPTED.isdisjoint(kinds):
        raise HelloError(reasons.ENCRYPTED_HELLO)
    if content is None:
        raise HelloError(reasons.NO_SNI)
    # A list of exactly one entry, of exactly one kind, that fills the extension: nothing else is in use.
    head, name = content[:5], content[5:]
    if head != (len(name) + 3).to_bytes(2) + b"\x00" + len(name).to_bytes(2):
        raise HelloError(reasons.BAD_HELLO)
    try:
        # Latin 1 maps every byte; whatever is not ASCII is refused by the name's form.
        return normal_name(name.decode("latin-1"))
    except ValueError as error:
        raise HelloError(str(error)) from None


def _extensions(message: bytes) -> tuple[list[int], bytes | None]:
    """Go through a hello (RFC 8446, 4.1.2), without a call for each field: those were a third of all work for it.

    Returns
    -------
    tuple
        Types of its extensions, and the content of the server's name's, if there is one.

    Raises
    ------
    struct.error, IndexError
        If a field is not there.
    """
    session = message[_SESSION]
    suites_at = _SESSION + 1 + session
    (suites,) = _LENGTH.unpack_from(message, suites_at)
    compressions_at = suites_at + 2 + suites
    compressions = message[compressions_at]
    at, end = compressions_at + 1 + compressions, len(message)
    if message[0] != 3 or session > 32 or not suites or suites % 2 or not compressions:
        raise HelloError(reasons.BAD_HELLO)
    if at == end:
        return [], None
    (block,) = _LENGTH.unpack_from(message, at)
    if at + 2 + block != end:
        raise HelloError(reasons.BAD_HELLO)
    return _entries(message, at + 2)


def _entries(message: bytes, at: int) -> tuple[list[int], bytes | None]:
    """Go through the list of extensions, which goes to the end."""
    kinds: list[int] = []
    content, end, entry = None, len(message), _ENTRY.unpack_from
    while at < end:
        kind, length = entry(message, at)
        at += 4 + length
        kinds.append(kind)
        if kind == _SERVER_NAME:
            content = message[at - length : at]
    if at != end:
        raise HelloError(reasons.BAD_HELLO)
    return kinds, content
