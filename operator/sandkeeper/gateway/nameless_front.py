"""Ports whose protocols carry no name, such as SSH: the address and port that were called say which host is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from sandkeeper.gateway import reasons
from sandkeeper.gateway.inbound import Inbound

if TYPE_CHECKING:
    from sandkeeper.gateway.context import Context
    from sandkeeper.gateway.record import Kind


class NamelessFront:
    """Makes the connections of one slot and port.

    Parameters
    ----------
    slot
        Of the gateway's own addresses, as `rules.Rules.slot` gives it.
    port
        That was called, and is reached on the host.
    """

    def __init__(self, context: Context, slot: int, port: int) -> None:
        self._context = context
        self._slot = slot
        self._port = port

    def __call__(self) -> NamelessInbound:
        """Make the protocol of one more."""
        return NamelessInbound(self._context, self._slot, self._port)


class NamelessInbound(Inbound):
    """A connection whose host is known before its first byte: the server may be the one that speaks first."""

    __slots__ = ("_asked_port", "_slot")
    kind: ClassVar[Kind] = "port"

    def __init__(self, context: Context, slot: int, port: int) -> None:
        super().__init__(context)
        self._slot = slot
        self._asked_port = port

    def admitted(self) -> None:
        """Dial at once."""
        if self.caller is None or self.record is None:
            return
        self.record.port = self._asked_port
        host = self.caller.rules.host_at(self._slot, self._asked_port)
        if host is None:
            self.refuse(reasons.PORT_NOT_ALLOWED)
        elif self.allows(host, self._asked_port):
            self.reach(host, self._asked_port)

    def received(self, data: bytes) -> None:
        """Keep what comes before the host is reached, and read no more until then."""
        super().received(data)
        self.hold()
