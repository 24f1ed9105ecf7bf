"""Follows pods and the gateway's own Services, and passes on what that means for workers."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from sandkeeper.api.names import GATEWAY_SLOT_LABEL
from sandkeeper.gateway.view import SELECTOR, View, slim_pod, slim_service, slots_of
from sandkeeper.gateway.wire import Change, Slots
from sandkeeper.runtime.informer import Informer
from sandkeeper.runtime.resource import PODS, SERVICES, Json, Key
from sandkeeper.runtime.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandkeeper.runtime.client import ApiClient

_PART: Final = 500
"""Entries of one message."""


class Watching:
    """The informers, and what they know.

    Parameters
    ----------
    namespace
        Of the gateway's Services.
    tell
        Called with every message that workers have to be told.
    """

    def __init__(self, client: ApiClient, namespace: str, tell: Callable[[object], None]) -> None:
        self.view = View()
        self._tell = tell
        self._services = Store(slim_service)
        self.informers = (
            Informer(client, PODS, Store(slim_pod), self._pod_changed, label_selector=SELECTOR),
            Informer(
                client, SERVICES, self._services, self._service_changed,
                label_selector=GATEWAY_SLOT_LABEL, namespace=namespace,
            ),
        )  # fmt: skip

    @property
    def missing(self) -> str:
        """What has not been listed yet; empty where everything has."""
        return next((each.resource.plural for each in self.informers if not each.synced.is_set()), "")

    async def synced(self) -> None:
        """Wait until everything has been listed."""
        await asyncio.gather(*(each.synced.wait() for each in self.informers))

    def known(self) -> list[object]:
        """Give everything that a new worker has to be told."""
        entries = tuple(self.view)
        parts = [Change(entries=entries[start : start + _PART]) for start in range(0, len(entries), _PART)]
        return [self._slots(), *parts]

    def _pod_changed(self, key: Key, before: Json | None, after: Json | None) -> None:
        del key
        if change := self.view.change(before, after, time.monotonic()):
            self._tell(change)

    def _service_changed(self, key: Key, before: Json | None, after: Json | None) -> None:
        del key, before, after
        self._tell(self._slots())

    def _slots(self) -> Slots:
        return Slots(slots_of(filter(None, map(self._services.get, self._services))))
