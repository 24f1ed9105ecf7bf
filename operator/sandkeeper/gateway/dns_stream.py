"""Questions by TCP: each with its length before it, any number on one connection, and never more than a few at a turn.

Whose connection it is, and by which rules, holds for each question as it is then: see `inbound`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar, Final, Protocol

from sandkeeper.gateway import reasons
from sandkeeper.gateway.dns_packets import HEADER_BYTES, MOST_QUESTION_BYTES
from sandkeeper.gateway.inbound import Inbound

if TYPE_CHECKING:
    from sandkeeper.gateway.caller import Caller
    from sandkeeper.gateway.context import Context
    from sandkeeper.gateway.record import Kind

IDLE_SECONDS: Final = 10.0
"""From one whole question to the next, and to its answer being taken."""
MOST_AT_A_TURN: Final = 16
"""Questions answered before others have their turn."""
_LENGTH_BYTES: Final = 2
_REFUSED: Final = frozenset({reasons.UNKNOWN_SOURCE, reasons.TOO_MANY, reasons.TOO_FAST})


class Answers(Protocol):
    """What answers a question; None where the connection is to end."""

    def __call__(self, wire: bytes, source: str, caller: Caller | None, *, stream: bool) -> bytes | None:
        """Answer a packet that came from an address, whose caller is known."""


class DnsStream(Inbound):
    """One connection of a sandbox's to the name server."""

    __slots__ = ("_answers", "_buffer", "_paused", "_turn")
    kind: ClassVar[Kind] = "dns"

    def __init__(self, context: Context, answers: Answers) -> None:
        super().__init__(context)
        self._answers = answers
        self._buffer = bytearray()
        self._paused = False
        self._turn: asyncio.Handle | None = None

    def admitted(self) -> None:
        """Wait for a question."""
        self.context.connections.expect(self, IDLE_SECONDS)

    def received(self, data: bytes) -> None:
        """Answer what has come as a whole."""
        self._buffer += data
        if self._turn is None:
            self._work()

    def drain(self) -> None:
        """End: what was asked was answered."""
        self.transport.close()

    def pause_writing(self) -> None:
        """Answer no more until the client has taken what it was answered."""
        self._paused = True
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on."""
        self._paused = False
        if self._turn is None:
            self._work()

    def eof_received(self) -> bool:
        """Answer what was asked before, and end."""
        super().eof_received()
        if self.caller is not None and self._turn is None:
            self._work()
        return True

    def connection_lost(self, error: Exception | None) -> None:
        """Record a connection that was refused; of others each refused question was recorded."""
        if self._turn is not None:
            self._turn.cancel()
        if self.record is not None and self.record.reason not in _REFUSED:
            self.record = None
        super().connection_lost(error)

    def _work(self) -> None:
        self._turn = None
        for _ in range(MOST_AT_A_TURN):
            if self._paused or not self._answer_next():
                break
        else:
            self.transport.pause_reading()
            self._turn = asyncio.get_running_loop().call_soon(self._work)
            return
        if self._paused or self.transport.is_closing():
            return
        if self._client_ended:
            self.transport.close()
        else:
            self.transport.resume_reading()

    def _answer_next(self) -> bool:
        """Answer one question; False if none has come as a whole, or if the client is none of a name server."""
        size = int.from_bytes(self._buffer[:_LENGTH_BYTES], "big")
        whole = _LENGTH_BYTES + size
        if self.transport.is_closing() or len(self._buffer) < _LENGTH_BYTES:
            return False
        if not HEADER_BYTES <= size <= MOST_QUESTION_BYTES:
            self.transport.close()
            return False
        if len(self._buffer) < whole:
            return False
        answer = self._answers(bytes(self._buffer[_LENGTH_BYTES:whole]), self.source, self.caller, stream=True)
        del self._buffer[:whole]
        if answer is None:
            self.transport.close()
            return False
        self.context.connections.expect(self, IDLE_SECONDS)
        self.transport.write(len(answer).to_bytes(_LENGTH_BYTES, "big") + answer)
        return True
