"""A connection to a host, over which one request after the other is sent, while nothing is left of the last one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import h11

from sandkeeper.gateway.splice import Half

if TYPE_CHECKING:
    from sandkeeper.gateway.stream import Stream


class Upstream:
    """A connection to the host of a request.

    Attributes
    ----------
    place
        Host and port.
    used
        Whether it has served a request before.
    """

    __slots__ = ("address", "http", "place", "stream", "used")

    def __init__(self, stream: Stream, place: tuple[str, int], address: str, most_head_bytes: int) -> None:
        self.stream = stream
        self.place = place
        self.address = address
        self.used = False
        self.http = h11.Connection(h11.CLIENT, most_head_bytes)

    @property
    def open(self) -> bool:
        """Whether it may be sent a request."""
        return self.http.our_state is h11.IDLE and not (self.stream.ended or self.stream.lost or self.stream.held)

    def settle(self) -> bool:
        """Make it ready for another request; whether it can be.

        A host that sent more than it was asked for is not asked again on this connection.
        """
        done = self.http.our_state is h11.DONE and self.http.their_state is h11.DONE
        if not done or self.http.trailing_data[0] or self.stream.held or self.stream.ended or self.stream.lost:
            return False
        self.http.start_next_cycle()
        self.used = True
        return True

    def detach(self) -> Half:
        """Give it away, with what was read of it, to be spliced."""
        half, early = Half(), self.http.trailing_data[0] + self.stream.take()
        half.connection_made(self.stream.transport)
        if early:
            half.data_received(early)
        self.stream.transport.set_protocol(half)
        if self.stream.ended:
            half.eof_received()
        if self.stream.lost:
            half.connection_lost(None)
        return half

    def close(self) -> None:
        """Close it, whatever it is at."""
        self.stream.abort()
