"""Lanes that take turns: however much waits in one, another's first waits for one of each other lane at most.

Within a lane what came first goes first. A lane is forgotten once it is empty, so there are as many as are in use.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable

L = TypeVar("L", bound="Hashable")
T = TypeVar("T")


class Lanes(Generic[L, T]):
    """What waits, by lane: the round robin of fair queuing, in which all that waits costs the same.

    Every operation but `drop_from_longest` takes the same time however much waits.
    """

    def __init__(self) -> None:
        self._turns: OrderedDict[L, deque[T]] = OrderedDict()  # the first has its turn
        self._halted: dict[L, deque[T]] = {}
        self._length = 0

    def __len__(self) -> int:
        """How much waits, in halted lanes too."""
        return self._length

    @property
    def blocked(self) -> bool:
        """Whether nothing may be taken: all is empty or halted."""
        return not self._turns

    def push(self, lane: L, item: T) -> None:
        """Put something at the end of a lane; a lane that was empty has the last turn."""
        self._length += 1
        if lane in self._halted:
            self._halted[lane].append(item)
        else:
            self._turns.setdefault(lane, deque()).append(item)

    def pop(self) -> tuple[L, T]:
        """Take the first of the lane whose turn it is, which then has the last turn.

        Raises
        ------
        KeyError
            Where nothing may be taken.
        """
        lane, waiting = self._turns.popitem(last=False)
        item = waiting.popleft()
        self._length -= 1
        if waiting:
            self._turns[lane] = waiting
        return lane, item

    def halt(self, lane: L) -> None:
        """Give a lane no turn until it is resumed."""
        self._halted.setdefault(lane, self._turns.pop(lane, deque()))

    def resume(self, lane: L) -> None:
        """Let a lane take turns again; it has the last one."""
        waiting = self._halted.pop(lane, None)
        if waiting:
            self._turns[lane] = waiting

    def drop_from_longest(self) -> T:
        """Give up what came last to the lane in which most waits.

        Raises
        ------
        ValueError
            Where nothing waits.
        """
        lane, waiting = max((*self._turns.items(), *self._halted.items()), key=lambda each: len(each[1]))
        item = waiting.pop()
        self._length -= 1
        if not waiting:
            self._turns.pop(lane, None)
        return item
