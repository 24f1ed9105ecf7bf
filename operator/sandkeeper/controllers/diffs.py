"""What the operator knows of SandboxDiffs, and the informer that feeds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandkeeper.api.names import DIFF_KIND, DIFF_PLURAL, GROUP, VERSION
from sandkeeper.plan.diff import is_over
from sandkeeper.plan.slim import slim_diff
from sandkeeper.runtime.informer import Informer
from sandkeeper.runtime.resource import Json, Key, Resource
from sandkeeper.runtime.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandkeeper.runtime.client import ApiClient

DIFFS = Resource(GROUP, VERSION, DIFF_PLURAL, DIFF_KIND)


class Diffs:
    """All SandboxDiffs.

    Parameters
    ----------
    wake
        Called with the key of a SandboxDiff that a change concerns.
    """

    def __init__(self, client: ApiClient, wake: Callable[[Key], None]) -> None:
        self._wake = wake
        self.store = Store(slim_diff)
        self.informers = [Informer(client, DIFFS, self.store, self._changed)]

    def child_changed(self, namespace: str, name: str) -> None:
        """Look at the diff for which something was made that changed."""
        self._wake(Key(namespace, name))

    def source_changed(self, namespace: str) -> None:
        """Look at what waits in a namespace: few diffs are there at once, and any of them may wait for what came."""
        for key in self.store.in_namespace(namespace):
            if not is_over((self.store.get(key) or {}).get("status", {})):
                self._wake(key)

    def _changed(self, key: Key, _: Json | None, __: Json | None) -> None:
        self._wake(key)
