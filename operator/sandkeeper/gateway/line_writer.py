"""Writes lines to a pipe that may be full, and never waits for whoever reads it.

A line is written whole or not at all. What can't be written is kept for a while, and what is too much of that is lost
and counted.
"""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_KEPT: Final = 4 * 1024 * 1024


class LineWriter:
    """Lines to a file descriptor that does not block.

    Parameters
    ----------
    descriptor
        Of a pipe, as `unblocked` gives it.
    lost
        Called for every line that is lost.
    most_kept
        Bytes.
    """

    def __init__(self, descriptor: int, lost: Callable[[], None], most_kept: int = MOST_KEPT) -> None:
        self._descriptor = descriptor
        self._lost = lost
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
        if not self._kept and self._written(line):
            self.dropped = 0
        elif self._size + len(line) <= self._most:
            self._kept.append(line)
            self._size += len(line)
            self.dropped = 0
        else:
            self.dropped += 1
            self._lost()

    def flush(self) -> None:
        """Write what was kept, as far as that is possible now."""
        while self._kept and self._written(self._kept[0]):
            self._size -= len(self._kept.popleft())

    def _written(self, line: bytes) -> bool:
        try:
            return os.write(self._descriptor, line) == len(line)
        except BlockingIOError:
            return False
        except OSError:
            # Nobody reads any more: lines must not pile up for that.
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
