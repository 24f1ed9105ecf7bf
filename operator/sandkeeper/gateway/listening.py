"""Takes the connections of a listening socket, each of which has a protocol of its own."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Final

from sandkeeper.gateway.poll import READABLE, Poll
from sandkeeper.gateway.tcp import TcpTransport

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_AT_A_TURN: Final = 64
_REST_SECONDS: Final = 0.1


class Listening:
    """A socket that is listened on, until it is closed.

    Parameters
    ----------
    bound
        Which does not block.
    front
        Makes the protocol of a connection.
    backlog
        Connections that may wait.
    """

    def __init__(self, poll: Poll, bound: socket.socket, front: Callable[[], asyncio.Protocol], backlog: int) -> None:
        self._poll = poll
        self._bound = bound
        self._front = front
        # Connections have it from the socket that they come by.
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        bound.listen(backlog)
        self._listen()

    @property
    def port(self) -> int:
        """That it listens on."""
        found: int = self._bound.getsockname()[1]
        return found

    def close(self) -> None:
        """Take no more; what is open goes on."""
        if self._bound.fileno() >= 0:
            self._poll.end(self._bound.fileno(), self._bound.close)

    def _rest(self) -> None:
        self._poll.remove(self._bound.fileno())
        asyncio.get_running_loop().call_later(_REST_SECONDS, self._listen)

    def _listen(self) -> None:
        if self._bound.fileno() >= 0:
            self._poll.add(self._bound.fileno(), READABLE, self._ready)

    def _ready(self, events: int) -> None:
        del events
        for _ in range(_MOST_AT_A_TURN):
            try:
                connected, peer = self._bound.accept()
            except BlockingIOError:
                return
            except ConnectionError:
                # Gone again.
                continue
            except OSError:
                # No descriptor or no memory is left, of which the poll would tell again and again.
                self._rest()
                return
            TcpTransport(self._poll, connected, peer[:2], self._front()).begin()
