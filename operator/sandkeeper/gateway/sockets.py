"""Sockets that several processes share: the kernel gives each new connection and question to one of them."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

BACKLOG: Final = 4096
_NO_IPV6: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})


def shared(port: int, kind: socket.SocketKind) -> Iterator[socket.socket]:
    """Bind a port on all addresses, of both families where the machine has them.

    Each family has a socket of its own, so that a source is never an IPv4 address in the form of IPv6.

    Raises
    ------
    OSError
        If somebody else has the port.
    """
    for family, every in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):  # noqa: S104
        try:
            yield _bound(family, every, port, kind)
        except OSError as error:
            if family == socket.AF_INET or error.errno not in _NO_IPV6:
                raise


def _bound(family: socket.AddressFamily, address: str, port: int, kind: socket.SocketKind) -> socket.socket:
    made = socket.socket(family, kind | socket.SOCK_NONBLOCK)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((address, port))
    except OSError:
        made.close()
        raise
    return made
