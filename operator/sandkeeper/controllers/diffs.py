"""What the operator knows of SandboxDiffs, and the informer that feeds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandkeeper.api.names import DIFF_KIND, DIFF_PLURAL, GROUP, VERSION, diff_claim_name, diff_snapshot_name
from sandkeeper.plan.diff import is_over
from sandkeeper.plan.diff_pod import NEW, OLD
from sandkeeper.plan.slim import slim_diff
from sandkeeper.runtime.informer import Informer
from sandkeeper.runtime.resource import Json, Key, Resource, key_of
from sandkeeper.runtime.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandkeeper.runtime.client import ApiClient

DIFFS = Resource(GROUP, VERSION, DIFF_PLURAL, DIFF_KIND)


def sides_of(diff: Json) -> dict[str, str]:
    """Name the snapshot of each side; that of a sandbox as it is now is taken on the way."""
    metadata, spec = diff["metadata"], diff["spec"]
    taken = diff_snapshot_name(metadata["name"], metadata["uid"])
    new = spec.get("to", {}).get("snapshotRef", {}).get("name", taken)
    return {OLD: spec["from"]["snapshotRef"]["name"], NEW: new}


def copy_of(diff: Json, role: str) -> Key:
    """Key of the claim of a side."""
    return Key(diff["metadata"]["namespace"], diff_claim_name(diff["metadata"]["name"], role))


class Diffs:
    """All SandboxDiffs.

    Parameters
    ----------
    claims
        Where their copies are found.
    wake
        Called with the key of a SandboxDiff that a change concerns.
    """

    def __init__(self, client: ApiClient, claims: Store, wake: Callable[[Key], None]) -> None:
        self._claims = claims
        self._wake = wake
        self.store = Store(slim_diff)
        self.informers = [Informer(client, DIFFS, self.store, self._changed)]

    def reading(self, snapshot: Json) -> tuple[str, ...]:
        """Name the diffs for which a snapshot is being copied, or will be: of one that goes, none is begun any more."""
        key, going = key_of(snapshot), "deletionTimestamp" in snapshot["metadata"]
        found = []
        for diff in filter(None, map(self.store.get, self.store.in_namespace(key.namespace))):
            roles = (
                () if is_over(diff["status"]) else [role for role, name in sides_of(diff).items() if name == key.name]
            )
            copies = [self._claims.get(copy_of(diff, role)) for role in roles]
            if any(not going if each is None else each["status"].get("phase") != "Bound" for each in copies):
                found.append(diff["metadata"]["name"])
        return tuple(sorted(found))

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
