"""Sockets that several processes share, and how many one may have.

The kernel gives each new connection and question to one of the processes.
"""

from __future__ import annotations

import errno
import resource
import socket
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

BACKLOG: Final = 4096
_NO_IPV6: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})


def most_files() -> int:
    """Let this process have as many files as it ever may, sockets included, and tell how many these are.

    Runtimes start containers with a soft limit of 1024, for the sake of programs that use ``select``: a single sandbox
    would have that.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


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
