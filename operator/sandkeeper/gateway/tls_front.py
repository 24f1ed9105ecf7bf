"""Port 443: joins a TLS connection to the host that its ClientHello names, without a look inside.

Only the hello is read. What is not allowed is told so in TLS, by an alert, and nothing of it is resolved or dialled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from sandkeeper.gateway import reasons
from sandkeeper.gateway.hello import HelloError, HelloReader
from sandkeeper.gateway.inbound import MUCH, Inbound
from sandkeeper.gateway.places import TLS_PORT

if TYPE_CHECKING:
    from sandkeeper.gateway.context import Context
    from sandkeeper.gateway.record import Kind

HTTPS_PORT: Final = 443
_UNRECOGNIZED_NAME: Final = 112
_ACCESS_DENIED: Final = 49
_DECODE_ERROR: Final = 50
_INTERNAL_ERROR: Final = 80
_ALERTS: Final = {
    reasons.NOT_ALLOWED: _UNRECOGNIZED_NAME,
    reasons.NO_SNI: _UNRECOGNIZED_NAME,
    reasons.UNRESOLVABLE: _UNRECOGNIZED_NAME,
    reasons.BAD_HELLO: _DECODE_ERROR,
    reasons.UNREACHABLE: _INTERNAL_ERROR,
    reasons.TIMEOUT: _INTERNAL_ERROR,
}


class TlsFront:
    """Makes the connections of the TLS port.

    Parameters
    ----------
    port
        That is reached on the hosts.
    """

    listens_on: Final = TLS_PORT

    def __init__(self, context: Context, port: int = HTTPS_PORT) -> None:
        self._context = context
        self._port = port

    def __call__(self) -> TlsInbound:
        """Make the protocol of one more."""
        return TlsInbound(self._context, self._port)


class TlsInbound(Inbound):
    """A connection that has to begin with a hello."""

    __slots__ = ("_asked_port", "_reader")
    kind: ClassVar[Kind] = "tls"

    def __init__(self, context: Context, port: int) -> None:
        super().__init__(context)
        self._asked_port = port
        self._reader: HelloReader | None = HelloReader(context.limits.hello_bytes)

    def admitted(self) -> None:
        """Wait for the hello, but not for long."""
        self.context.connections.expect(self, self.context.limits.hello_seconds)

    def received(self, data: bytes) -> None:
        """Read the hello; what follows it goes on with it."""
        if self._reader is None:
            self.first += data
            self.hold()
            return
        try:
            hello = self._reader.feed(data)
        except HelloError as error:
            self.refuse(error.reason)
            return
        if hello is None:
            return
        self.first, self._reader = self._reader.seen, None
        if self.record is not None:
            self.record.sni = hello.server_name
        if self.allows(hello.server_name, self._asked_port):
            self.reach(hello.server_name, self._asked_port)
            if len(self.first) > MUCH:
                self.hold()

    def eof_received(self) -> bool:
        """Refuse what ends before its hello does."""
        if self._reader is not None:
            self.refuse(reasons.BAD_HELLO)
        return super().eof_received()

    def farewell(self, reason: str) -> bytes:
        """Give an alert."""
        return alert(reason)


def alert(reason: str) -> bytes:
    """Give a fatal alert (RFC 8446, 6), so that the client's message says more than that the connection broke."""
    return bytes((21, 3, 3, 0, 2, 2, _ALERTS.get(reason, _ACCESS_DENIED)))
