"""TCP connections as asyncio has them, on `Poll` and at half the price for those that live a millisecond.

What a protocol sees is the same: nothing is read while reading is paused, what the other side does not take is kept and
stops the writer, an end is one direction's, and ``connection_lost`` comes once, after everything else.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any, Final, cast

from sandkeeper.gateway.poll import READABLE, WRITABLE, Poll

_HIGH: Final = 65_536
_LOW: Final = 16_384
"""Bytes that are kept of what is written, from which on the writer is stopped, and down to which it may go on."""
_TO_KEEP: Final = 65_536
"""Bytes of one read for a protocol that keeps what it is told: a caller's thousand connections, each held back after
one, are not to fill the memory."""
_DONT_WAIT: Final = int(socket.MSG_DONTWAIT)
_NOBODY: Final = asyncio.Protocol()


class Passing(asyncio.Protocol):
    """A protocol that needs what was read only while it is told of it, or until `TcpTransport.write` has it.

    No copy has to be made for it, which is half of what Python does for a stream.
    """

    __slots__ = ()

    def passed(self, data: memoryview) -> None:
        """Take what was read, which is there until this returns."""


class TcpTransport(asyncio.Transport):
    """A connected socket.

    Parameters
    ----------
    peer
        Address and port of the other side.
    events
        What `poll` waits for already on its behalf; 0 where it does not know the socket yet.
    """

    __slots__ = (
        "_closing", "_descriptor", "_ended", "_ending", "_error", "_events", "_full", "_lost", "_out", "_peer", "_poll",
        "_protocol", "_reading", "_socket", "_takes_views",
    )  # fmt: skip

    def __init__(
        self, poll: Poll, connected: socket.socket, peer: tuple[str, int], protocol: asyncio.Protocol, events: int = 0
    ) -> None:
        self._poll = poll
        self._socket = connected
        self._descriptor = connected.fileno()
        self._peer = peer
        self._protocol = protocol
        self._takes_views = isinstance(protocol, Passing)
        self._events = events
        self._out: bytearray | None = None
        self._reading = True
        self._full = False
        self._ended = False
        """The other side has said its last."""
        self._ending = False
        """So shall this side once everything is written."""
        self._closing = False
        self._lost = False
        self._error: OSError | None = None

    def begin(self) -> None:
        """Tell the protocol, and read from now on."""
        if self._events:
            self._poll.hand_over(self._descriptor, READABLE, self._ready)
        else:
            self._add()
        self._events = READABLE
        try:
            self._protocol.connection_made(self)
        except BaseException:
            self.abort()
            raise

    # As asyncio.Transport.

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Give the other side's address as ``peername``, or the ``socket``."""
        if name == "peername":
            return self._peer
        return self._socket if name == "socket" else default

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Tell another protocol from now on."""
        self._protocol = cast("asyncio.Protocol", protocol)
        self._takes_views = isinstance(protocol, Passing)
        if self._full:
            # It can't know, and would have ever more kept.
            self._protocol.pause_writing()

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Give the one that is told."""
        return self._protocol

    def is_closing(self) -> bool:
        """Whether it is closed, or about to be."""
        return self._closing

    def is_reading(self) -> bool:
        """Whether what comes is read."""
        return self._reading and not self._closing

    def can_write_eof(self) -> bool:
        """Whether one direction can end by itself."""
        return True

    def get_write_buffer_size(self) -> int:
        """Give the number of bytes that the other side has not taken yet."""
        return len(self._out) if self._out is not None else 0

    def pause_reading(self) -> None:
        """Read no more for now."""
        if self._reading:
            self._reading = False
            self._wait()

    def resume_reading(self) -> None:
        """Read again."""
        if not self._reading:
            self._reading = True
            self._wait()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write now what goes, and the rest as soon as it does."""
        if self._closing or self._ending:
            return
        if self._out is not None:
            self._out += data
        else:
            sent = self._send(data)
            if sent == len(data) or self._closing:
                return
            self._out = bytearray(memoryview(data)[sent:])
            self._wait()
        if not self._full and len(self._out) > _HIGH:
            self._full = True
            self._protocol.pause_writing()

    def write_eof(self) -> None:
        """Say our last once all is written; the other side may go on."""
        if not self._closing and not self._ending:
            self._ending = True
            if self._out is None:
                self._shut()

    def close(self) -> None:
        """Close once all is written, and read no more."""
        if not self._closing:
            self._closing = True
            if self._out is None:
                self._lose(None)
            else:
                self._wait()

    def abort(self) -> None:
        """Close at once."""
        self._lose(None)

    # What happens.

    def _add(self) -> None:
        try:
            self._poll.add(self._descriptor, READABLE, self._ready)
        except OSError:
            self._closing = self._lost = True
            self._socket.close()
            raise

    def _ready(self, events: int) -> None:
        try:
            if events & WRITABLE:
                self._flush()
            # Errors are found by reading, or by writing where nothing is to be read.
            if events & ~WRITABLE and self._events & READABLE and not self._lost:
                self._receive()
        except BaseException:
            self.abort()
            raise

    def _receive(self) -> None:
        buffer = self._poll.buffer
        try:
            size = self._socket.recv_into(buffer, 0 if self._takes_views else _TO_KEEP, _DONT_WAIT)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(error)
            return
        if size:
            if self._takes_views:
                cast("Passing", self._protocol).passed(buffer[:size])
            else:
                self._protocol.data_received(bytes(buffer[:size]))
            return
        self._ended = True
        if not self._protocol.eof_received():
            self.close()
        self._wait()

    def _send(self, data: bytes | bytearray | memoryview) -> int:
        try:
            return self._socket.send(data, _DONT_WAIT)
        except BlockingIOError:
            return 0
        except OSError as error:
            self._lose(error)
            return 0

    def _flush(self) -> None:
        if self._out is None:
            return
        del self._out[: self._send(self._out)]
        if self._lost:
            return
        if not self._out:
            self._out = None
            if self._closing:
                self._lose(None)
                return
            if self._ending:
                self._shut()
            self._wait()
        if self._full and self.get_write_buffer_size() <= _LOW:
            self._full = False
            self._protocol.resume_writing()

    def _shut(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            self._lose(error)

    def _wait(self) -> None:
        """Wait for what there is to be done."""
        if self._lost:
            return
        events = READABLE if self._reading and not self._ended and not self._closing else 0
        if self._out is not None:
            events |= WRITABLE
        before, self._events = self._events, events
        if before == events:
            return
        if not events:
            # Not for nothing: of a broken connection epoll tells all the same, again and again.
            self._poll.remove(self._descriptor)
        elif before:
            self._poll.change(self._descriptor, events)
        else:
            self._poll.add(self._descriptor, events, self._ready)

    def _lose(self, error: OSError | None) -> None:
        if not self._lost:
            self._lost = self._closing = True
            self._out = None
            self._error = error
            self._poll.end(self._descriptor, self._gone)

    def _gone(self) -> None:
        try:
            self._protocol.connection_lost(self._error)
        finally:
            self._socket.close()
            # Without the circle both are freed at once, and not when some collection comes.
            self._protocol = _NOBODY
