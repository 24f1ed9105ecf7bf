"""Waits for many sockets at the price of one system call a turn, and tells each one's owner what it is ready for.

uvloop's own way costs a connection that lives for a millisecond twice as much: see `tcp`. No descriptor is closed while
events are handed out, so that none of them is ever told to a newcomer with the same number.
"""

from __future__ import annotations

import asyncio
import select
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Callable

    Ready = Callable[[int], None]

READABLE: Final = select.EPOLLIN
WRITABLE: Final = select.EPOLLOUT
_MOST_AT_A_TURN: Final = 256
_AT_ONCE: Final = 262_144
"""Bytes of one read."""


class Poll:
    """What waits in one loop, beside all else that the loop does.

    Parameters
    ----------
    loop
        That turns.

    Attributes
    ----------
    buffer
        What one owner may read into while it is told of events.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.buffer = memoryview(bytearray(_AT_ONCE))
        self._epoll = select.epoll()
        self._owners: dict[int, Ready] = {}
        self._ending: list[Callable[[], None]] = []
        self._turning = False
        loop.add_reader(self._epoll.fileno(), self._turn)

    @classmethod
    def running(cls) -> Poll:
        """Give that of the running loop."""
        loop = asyncio.get_running_loop()
        if (found := _POLLS.get(loop)) is None:
            found = _POLLS[loop] = cls(loop)
        return found

    def add(self, descriptor: int, events: int, ready: Ready) -> None:
        """Have a function called, with events of ``epoll``, whenever one of these is there; errors are told anyway.

        Raises
        ------
        OSError
            If the kernel has no room for it.
        """
        self._epoll.register(descriptor, events)
        self._owners[descriptor] = ready

    def change(self, descriptor: int, events: int) -> None:
        """Wait for other events."""
        self._epoll.modify(descriptor, events)

    def hand_over(self, descriptor: int, events: int, ready: Ready) -> None:
        """Tell another function, of other events."""
        self._owners[descriptor] = ready
        self._epoll.modify(descriptor, events)

    def remove(self, descriptor: int) -> None:
        """Wait no more."""
        del self._owners[descriptor]
        self._epoll.unregister(descriptor)

    def end(self, descriptor: int, then: Callable[[], None]) -> None:
        """Tell nobody of a descriptor any more, and call a function, which may close it, once this turn's are told."""
        self._owners.pop(descriptor, None)
        self._ending.append(then)
        if not self._turning and len(self._ending) == 1:
            asyncio.get_running_loop().call_soon(self._settle)

    def _turn(self) -> None:
        self._turning = True
        owners = self._owners
        for descriptor, events in self._epoll.poll(0, _MOST_AT_A_TURN):
            if (ready := owners.get(descriptor)) is not None:
                try:
                    ready(events)
                except Exception as error:  # one connection's trouble is not another's
                    _tell(error)
        self._turning = False
        self._settle()

    def _settle(self) -> None:
        while self._ending:
            ending, self._ending = self._ending, []
            for each in ending:
                try:
                    each()
                except Exception as error:
                    _tell(error)


_POLLS: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, Poll]] = WeakKeyDictionary()


def _tell(error: Exception) -> None:
    context = {"message": "a connection's protocol failed", "exception": error}
    asyncio.get_running_loop().call_exception_handler(context)
