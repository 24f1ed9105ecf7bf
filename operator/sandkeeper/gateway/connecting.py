"""Connects to one literal address; nothing goes over the connection before its other end was looked at."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Final

from sandkeeper.gateway.poll import WRITABLE, Poll
from sandkeeper.gateway.tcp import TcpTransport

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

_UNDER_WAY: Final = frozenset({0, errno.EINPROGRESS})


class Connecting:
    """A connection that is being made.

    Parameters
    ----------
    literal
        An IPv4 or IPv6 address in its canonical spelling.
    protocol
        That gets the connection.
    done
        Called once, and never before this object is there: with the transport, or with None where there is none to that
        very address. Not after `abort`.

    Raises
    ------
    OSError
        If there is no socket left.
    """

    __slots__ = ("_connecting", "_done", "_literal", "_poll", "_protocol")

    def __init__(
        self,
        poll: Poll,
        literal: str,
        port: int,
        protocol: asyncio.Protocol,
        done: Callable[[TcpTransport | None], None],
    ) -> None:
        self._poll = poll
        self._literal = literal
        self._protocol = protocol
        self._done: Callable[[TcpTransport | None], None] | None = done
        family = socket.AF_INET6 if ":" in literal else socket.AF_INET
        self._connecting = connecting = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if connecting.connect_ex((literal, port)) not in _UNDER_WAY:
            poll.end(connecting.fileno(), self._failed)
            return
        try:
            poll.add(connecting.fileno(), WRITABLE, self._ready)
        except OSError:
            connecting.close()
            raise

    def abort(self) -> None:
        """Make none."""
        if self._done is not None:
            self._done = None
            self._poll.end(self._connecting.fileno(), self._connecting.close)

    def _ready(self, events: int) -> None:
        """Look where it leads; there is no such end where it could not be made."""
        del events
        try:
            peer = self._connecting.getpeername()
        except OSError:
            peer = ("",)
        if peer[0] != self._literal:
            self._poll.end(self._connecting.fileno(), self._failed)
            return
        done, self._done = self._done, None
        transport = TcpTransport(self._poll, self._connecting, peer[:2], self._protocol, WRITABLE)
        transport.begin()
        if done is not None:
            try:
                done(transport)
            except BaseException:
                transport.abort()
                raise

    def _failed(self) -> None:
        self._connecting.close()
        done, self._done = self._done, None
        if done is not None:
            done(None)
