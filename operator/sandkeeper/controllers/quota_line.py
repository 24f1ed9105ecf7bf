"""Sandboxes that found no room in a quota, and whose turn it is when some frees: one after the other, the oldest first.

A round goes through all that wait in a namespace. While it lasts, whoever comes new stands at its end: what frees is
offered to those who waited, and a big one among them keeps no small one from trying.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandkeeper.runtime.resource import Key
    from sandkeeper.runtime.store import Store


class QuotaLine:
    """Who waits, by namespace.

    Parameters
    ----------
    sandboxes
        All sandboxes, which know how old they are.
    wake
        Called with the key of the Sandbox whose turn it is; its next pass is its try.
    """

    def __init__(self, sandboxes: Store, wake: Callable[[Key], None]) -> None:
        self._sandboxes = sandboxes
        self._wake = wake
        self._waiting: defaultdict[str, set[Key]] = defaultdict(set)
        self._rounds: dict[str, deque[Key]] = {}
        self._again: set[str] = set()

    def join(self, sandbox: Key) -> None:
        """Note that a sandbox found no room."""
        self._waiting[sandbox.namespace].add(sandbox)

    def leave(self, sandbox: Key) -> None:
        """Note that a sandbox waits no more."""
        waiting = self._waiting.get(sandbox.namespace)
        if waiting:
            waiting.discard(sandbox)
            if not waiting:
                del self._waiting[sandbox.namespace]

    def freed(self, namespace: str) -> None:
        """Begin a round, since a quota may have room; one that is under way is followed by another."""
        if namespace in self._rounds:
            self._again.add(namespace)
        elif namespace in self._waiting:
            self._begin(namespace)

    def must_wait(self, sandbox: Key) -> bool:
        """Whether it is another one's turn; the sandbox then gets its own at the end of the round."""
        turns = self._rounds.get(sandbox.namespace)
        if turns is None or turns[0] == sandbox:
            return False
        self.join(sandbox)
        if sandbox not in turns:
            turns.append(sandbox)
        return True

    def passed(self, sandbox: Key) -> None:
        """Give the turn on after a pass, whatever came of it."""
        namespace = sandbox.namespace
        turns = self._rounds.get(namespace)
        if turns is None or turns[0] != sandbox:
            return
        turns.popleft()
        if turns:
            self._wake(turns[0])
            return
        del self._rounds[namespace]
        if namespace in self._again:
            self._again.discard(namespace)
            self.freed(namespace)

    def _begin(self, namespace: str) -> None:
        self._rounds[namespace] = turns = deque(sorted(self._waiting[namespace], key=self._age))
        self._wake(turns[0])

    def _age(self, sandbox: Key) -> tuple[str, str]:
        """Sort by creation, then by name; one that is gone makes no difference."""
        found = self._sandboxes.get(sandbox)
        return (found["metadata"]["creationTimestamp"] if found else "", sandbox.name)
