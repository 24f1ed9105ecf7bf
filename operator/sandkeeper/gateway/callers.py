"""Who is asking, as the parent process tells: the table that each worker judges by.

What is not in the table is denied, and so is everything before it was complete. An address that is not in it yet is
waited for, briefly and by few: a new sandbox's first packet may be faster than the news of its pod.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Final

from sandkeeper.gateway.caller import Caller
from sandkeeper.gateway.view import rules_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandkeeper.gateway.wire import Change, Entry

    Changed = Callable[[Caller | None, Caller | None], None]

_MOST_WAITING: Final = 4096
_MOST_WAITING_AT_ONE: Final = 64
"""Of one address: a source that is nobody's must not take all places from new sandboxes."""


class KnownCallers:
    """The table of addresses.

    Parameters
    ----------
    wait
        Most seconds that an unknown address is waited for.
    """

    def __init__(self, wait: float) -> None:
        self._wait = wait
        self._table: dict[str, Caller] = {}
        self._synced = False
        self._slots: Mapping[int, tuple[str, ...]] = {}
        self._changed: list[Changed] = []
        self._news: dict[str, asyncio.Event] = {}
        self._waiting: Counter[str] = Counter()
        self._all_waiting = 0

    def __len__(self) -> int:
        return len(self._table)

    def known(self, address: str) -> Caller | None:
        """Who has an address; None for nobody that is known."""
        return self._table.get(address) if self._synced else None

    async def caller(self, address: str) -> Caller | None:
        """Who has an address, after a short wait where that is not known yet."""
        found = self.known(address)
        if found or self._waiting[address] >= _MOST_WAITING_AT_ONE or self._all_waiting >= _MOST_WAITING:
            return found
        self._waiting[address] += 1
        self._all_waiting += 1
        try:
            async with asyncio.timeout(self._wait):
                while (found := self.known(address)) is None:
                    await self._news.setdefault(address, asyncio.Event()).wait()
        except TimeoutError:
            return None
        finally:
            self._no_longer_waiting(address)
        return found

    def subscribe(self, changed: Changed) -> None:
        """Call a function with who had an address and who has it now, whenever that or what it may reach changes."""
        self._changed.append(changed)

    def slot_addresses(self, slot: int) -> tuple[str, ...]:
        """Addresses of the gateway's Service of a slot, of both families; none while they are not known."""
        return self._slots.get(slot, ())

    def take_slots(self, addresses: Mapping[int, tuple[str, ...]]) -> None:
        """Take the addresses of the gateway's Services."""
        self._slots = addresses

    def sync(self) -> None:
        """Take note that the table is complete."""
        self._synced = True
        for address in list(self._news):
            self._wake(address)

    def apply(self, change: Change) -> None:
        """Take a change; it holds for everything that is asked from now on."""
        for address in change.gone:
            self._tell(self._table.pop(address, None), None)
        for entry in change.entries:
            after = _caller(entry)
            before = self._table.get(entry.address)
            self._table[entry.address] = after
            self._tell(before, after)
            self._wake(entry.address)

    def _tell(self, before: Caller | None, after: Caller | None) -> None:
        if before != after:
            for changed in self._changed:
                changed(before, after)

    def _wake(self, address: str) -> None:
        if news := self._news.pop(address, None):
            news.set()

    def _no_longer_waiting(self, address: str) -> None:
        self._waiting[address] -= 1
        self._all_waiting -= 1
        if not self._waiting[address]:
            del self._waiting[address]
            self._news.pop(address, None)


def _caller(entry: Entry) -> Caller:
    rules = rules_of(entry.grant)
    return Caller(entry.namespace, entry.name, entry.uid, entry.pod_uid, entry.address, rules)
