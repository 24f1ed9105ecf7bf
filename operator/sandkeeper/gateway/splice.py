"""Joins two connections, so that what one sends the other is sent, until both are done.

No more is held of a direction than the transport's high-water mark and what was read at once: a side that does not take
its bytes stops the other from being read. An end passes as an end, one direction at a time. Whatever happens, ``ended``
is called exactly once, when both transports are gone and nothing is counted any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from sandkeeper.gateway import reasons
from sandkeeper.gateway.tcp import Passing

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


class Half(Passing):
    """One end of a splice; on its own, what it reads it keeps, and stops reading.

    The factory for `Dialer.dial`: a server may speak before the two ends are joined.

    Attributes
    ----------
    moved
        Bytes that were read here.
    """

    __slots__ = ("_early", "_ended", "_lost", "_other", "_stopped", "_transport", "moved")

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._other: Half | None = None
        self._early = b""
        self._ended = False
        self._lost = False
        self._stopped = False
        self.moved = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Pass on what was read."""
        self.passed(data)

    def passed(self, data: bytes | memoryview) -> None:
        """Pass on what was read, of which nothing is kept here once the two ends are joined."""
        self.moved += len(data)
        if self._other is None:
            self._early += data
            self._pause()
        elif (onto := self._other._transport) is not None:
            onto.write(data)

    def eof_received(self) -> bool:
        """Pass on the end; the other direction goes on until it ends as well."""
        self._ended = True
        if self._other is not None:
            if self._other._ended:
                self._close()
                self._other._close()
            else:
                self._other._end()
        return True

    def pause_writing(self) -> None:
        """Stop reading what could not be written here."""
        self._stopped = True
        if self._other is not None:
            self._other._pause()
            self._tell(stopped=True)

    def resume_writing(self) -> None:
        """Read again what can be written here."""
        self._stopped = False
        if self._other is not None:
            self._other._resume()
            self._tell(stopped=False)

    def connection_lost(self, error: Exception | None) -> None:
        """Let the other side still take what was read for it, then close it."""
        self._lost = True
        self._transport = None
        if self._other is not None:
            self._other._close()
            self._over()

    def abort(self) -> None:
        """Close at once, without what was not written yet."""
        if self._transport is not None:
            self._transport.abort()

    def _pause(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _end(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write_eof()

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _unsent(self) -> int:
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def _tell(self, *, stopped: bool) -> None:
        """Tell whether this side takes nothing more."""
        if self._other is not None:
            self._other._tell(stopped=stopped)

    def _over(self) -> None:
        """One side is gone."""
        if self._other is not None:
            self._other._over()


class Splice(Half):
    """A client's end, which answers for both.

    Parameters
    ----------
    client, upstream
        The client's transport, whose protocol it becomes, and the other end, connected.
    first
        What the client sent so far, which goes on as it is.
    ended
        Called once both are gone, with the reason of `cut`, or an empty one.
    """

    __slots__ = ("_on_end", "_on_stop", "_quiet_since", "_reason", "_seen", "_upstream")

    def __init__(
        self, client: asyncio.Transport, upstream: Half, first: bytes | bytearray, ended: Callable[[str], None]
    ) -> None:
        super().__init__()
        self._transport = client
        self._upstream = upstream
        self._on_end: Callable[[str], None] | None = ended
        self._on_stop: Callable[[bool], None] | None = None
        self._reason = ""
        self._quiet_since = 0.0
        self._seen = -1
        self.moved = len(first)
        self._join(client, first)

    @property
    def up(self) -> int:
        """Bytes from the client."""
        return self.moved

    @property
    def down(self) -> int:
        """Bytes from upstream."""
        return self._upstream.moved

    def watch(self, stopped: Callable[[bool], None]) -> None:
        """Have it told whenever a side takes nothing more, and when it does again; at once where one does already."""
        self._on_stop = stopped
        for each in (self, self._upstream):
            if each._stopped:
                stopped(True)

    def cut(self, reason: str) -> None:
        """Close both sides at once, for one of `reasons`."""
        self._reason = self._reason or reason
        self.abort()
        self._upstream.abort()

    def sweep(self, now: float, idle: float, linger: float) -> None:
        """Cut what has been quiet for too long; called now and then for all, which is cheaper than a timer for each.

        Parameters
        ----------
        now
            Of any clock that goes on.
        idle, linger
            Seconds, while both sides are there, and when one is gone and the other has not taken all yet.
        """
        upstream = self._upstream
        gone = self._lost or upstream._lost or (self._ended and upstream._ended)
        # Nothing more is read once one is gone: what the other takes shows in what is left for it.
        seen = self.moved + upstream.moved - (1 + self._unsent() + upstream._unsent() if gone else 0)
        if seen != self._seen:
            self._seen = seen
            self._quiet_since = now
        elif now - self._quiet_since >= (linger if gone else idle):
            self.cut(reasons.TIMEOUT)

    def client_ended(self) -> None:
        """Pass on that the client had ended before the two were joined."""
        self.eof_received()

    def _join(self, client: asyncio.Transport, first: bytes | bytearray) -> None:
        upstream = self._upstream
        self._other, upstream._other = upstream, self
        client.set_protocol(self)
        # Before anything is written: what is too much for one side stops the other, and that has to last.
        for end, other in ((self, upstream), (upstream, self)):
            if end._stopped:
                other._pause()
            else:
                other._resume()
        if upstream._early:
            client.write(upstream._early)
            upstream._early = b""
        if upstream._transport is None:
            client.close()
            return
        if first:
            upstream._transport.write(first)
        if upstream._ended:
            self._end()

    def _tell(self, *, stopped: bool) -> None:
        if self._on_stop is not None:
            self._on_stop(stopped)

    def _over(self) -> None:
        if self._lost and self._upstream._lost and self._on_end is not None:
            on_end, self._on_end = self._on_end, None
            # Without the circle all of it is freed at once, and not when some collection comes.
            self._upstream._other = self._on_stop = None
            on_end(self._reason)
