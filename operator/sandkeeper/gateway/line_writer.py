"""Writes lines to a pipe that may be full, and never waits for whoever reads it.

A line is written whole or not at all, together with others of the same turn of the loop: each call wakes the reader,
which costs as much as ten lines. What can't be written is kept for a while, and what is too much of that is lost and
counted.
"""

from __future__ import annotations

import os
import select
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_KEPT: Final = 4 * 1024 * 1024
_WHOLE: Final = select.PIPE_BUF
"""Bytes that a pipe takes at once or not at all (POSIX), so that no other process's lines come in between."""


class LineWriter:
    """Lines to a file descriptor that does not block.

    Parameters
    ----------
    descriptor
        Of a pipe, as `unblocked` gives it.
    lost
        Called for every line that is lost.
    soon
        Calls a function at the end of a turn of the loop, until which lines wait for others; None writes each at once.
    most_kept
        Bytes.
    """

    def __init__(
        self,
        descriptor: int,
        lost: Callable[[], None],
        *,
        soon: Callable[[Callable[[], None]], object] | None = None,
        most_kept: int = MOST_KEPT,
    ) -> None:
        self._descriptor = descriptor
        self._lost = lost
        self._soon = soon or (lambda flush: flush())
        self._most = most_kept
        self._kept: deque[bytes] = deque()
        self._size = 0
        self.dropped = 0
        """Lines that were lost since one was last accepted; whoever writes the next one tells it."""

    @property
    def waiting(self) -> bool:
        """Whether lines are kept that `flush` has to try again."""
        return bool(self._kept)

    def write(self, line: bytes) -> None:
        """Write a line, or keep it, or lose it."""
        if self._size + len(line) > self._most:
            self.dropped += 1
            self._lost()
            return
        self.dropped = 0
        self._size += len(line)
        self._kept.append(line)
        if len(self._kept) == 1:
            self._soon(self.flush)

    def flush(self) -> None:
        """Write what was kept, as far as that is possible now."""
        while self._kept:
            lines, size = 0, 0
            for line in self._kept:
                if lines and size + len(line) > _WHOLE:
                    break
                lines, size = lines + 1, size + len(line)
            if not self._written(b"".join(islice(self._kept, lines)), lines):
                return
            self._size -= size
            for _ in range(lines):
                self._kept.popleft()

    def give_up(self) -> None:
        """Lose what is kept."""
        for _ in self._kept:
            self._lost()
        self._kept.clear()
        self._size = 0

    def _written(self, lines: bytes, number: int) -> bool:
        try:
            return os.write(self._descriptor, lines) == len(lines)
        except BlockingIOError:
            return False
        except OSError:
            # Nobody reads any more: lines must not pile up for that.
            for _ in range(number):
                self._lost()
            return True


def unblocked(descriptor: int) -> int:
    """Open what a descriptor stands for once more, so that writing to it does not block, for us alone.

    Of the same open file it would be so for everyone who has it, other processes included. Where it can't be opened
    anew, as with a socket, the same one is given, and a reader who does not read can hold us up.
    """
    try:
        return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return os.dup(descriptor)
