"""What the operator knows of copies: SandboxSnapshots, the VolumeSnapshots behind them, and their classes.

A cluster may do without VolumeSnapshots, and get them later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandkeeper.api.names import (
    CHILD_PREFIX,
    GROUP,
    IN_USE_FINALIZER,
    MANAGED_LABEL,
    MANAGED_VALUE,
    SNAPSHOT_KIND,
    SNAPSHOT_PLURAL,
    VERSION,
    volume_snapshot_name,
)
from sandkeeper.plan.pod_state import condition
from sandkeeper.plan.slim import slim_snapshot, slim_volume_snapshot, slim_volume_snapshot_class
from sandkeeper.runtime.informer import Informer
from sandkeeper.runtime.resource import VOLUME_SNAPSHOT_CLASSES, VOLUME_SNAPSHOTS, Json, Key, Resource, key_of
from sandkeeper.runtime.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandkeeper.runtime.client import ApiClient

SNAPSHOTS = Resource(GROUP, VERSION, SNAPSHOT_PLURAL, SNAPSHOT_KIND)


class Copies:
    """Stores of copies, and the informers that feed them.

    Parameters
    ----------
    sandboxes
        All sandboxes; those whose source is a copy are found in it.
    wake_sandbox, wake_snapshot
        Called with the key of a Sandbox or a SandboxSnapshot that a change concerns.
    """

    def __init__(
        self,
        client: ApiClient,
        sandboxes: Store,
        wake_sandbox: Callable[[Key], None],
        wake_snapshot: Callable[[Key], None],
    ) -> None:
        self._sandboxes = sandboxes
        self._wake_sandbox = wake_sandbox
        self.wake_snapshot = wake_snapshot
        self.snapshots = Store(slim_snapshot, refers=lambda each: (each["spec"]["sandboxRef"]["name"],))
        self.volume_snapshots = Store(slim_volume_snapshot)
        self._classes = Store(slim_volume_snapshot_class)
        managed = f"{MANAGED_LABEL}={MANAGED_VALUE}"
        self._volume_informer = Informer(
            client, VOLUME_SNAPSHOTS, self.volume_snapshots, self._volume_changed,
            label_selector=managed, optional=True,
        )  # fmt: skip
        self.informers = [
            Informer(client, SNAPSHOTS, self.snapshots, self._snapshot_changed),
            self._volume_informer,
            Informer(client, VOLUME_SNAPSHOT_CLASSES, self._classes, self._class_changed, optional=True),
        ]

    @property
    def served(self) -> bool:
        """Whether the cluster has VolumeSnapshots at all."""
        return self._volume_informer.served

    def snapshot(self, key: Key) -> Json | None:
        """Read a SandboxSnapshot."""
        return self.snapshots.get(key)

    def of(self, sandbox: Key) -> tuple[Json, ...]:
        """SandboxSnapshots of a sandbox, in the order of their names."""
        return tuple(filter(None, map(self.snapshots.get, self.snapshots.referring(sandbox))))

    def volume_snapshot(self, snapshot: Key) -> Json | None:
        """VolumeSnapshot that has the name of the one behind a SandboxSnapshot."""
        return self.volume_snapshots.get(Key(snapshot.namespace, volume_snapshot_name(snapshot.name)))

    def store(self, resource: Resource) -> Store:
        """Store of a kind."""
        stores = {
            SNAPSHOTS: self.snapshots, VOLUME_SNAPSHOTS: self.volume_snapshots, VOLUME_SNAPSHOT_CLASSES: self._classes,
        }  # fmt: skip
        return stores[resource]

    @property
    def classes(self) -> dict[str, Json]:
        """VolumeSnapshotClasses by their names."""
        return {key.name: found for key in self._classes if (found := self._classes.get(key))}

    def put(self, snapshot: Json) -> None:
        """Keep the answer to a write of a snapshot, and wake whom it concerns: the event will be no news."""
        key = key_of(snapshot)
        before = self.snapshots.get(key)
        if self.snapshots.upsert(snapshot):
            self._snapshot_changed(key, before, self.snapshots.get(key))

    def gone(self, snapshot: Json) -> None:
        """Wake whom it concerns that a snapshot was deleted from here."""
        self._snapshot_changed(key_of(snapshot), snapshot, None)

    def sandbox_changed(self, sandbox: Key) -> None:
        """Look at the unfinished snapshots of a sandbox that changed, or came, and at the one that it is made from."""
        source = ((self._sandboxes.get(sandbox) or {}).get("spec", {}).get("source") or {}).get("snapshotRef")
        read = self.snapshots.get(Key(sandbox.namespace, source["name"])) if source else None
        if read and IN_USE_FINALIZER in read["metadata"].get("finalizers", ()):
            self.wake_snapshot(key_of(read))
        for key in self.snapshots.referring(sandbox):
            if condition(self.snapshots.get(key) or {}, "Ready").get("status") != "True":
                self.wake_snapshot(key)

    def sandbox_came_or_went(self, sandbox: Key) -> None:
        """Look at the sandboxes that fork one which came, or went."""
        for each in self._sandboxes.referring(Key(sandbox.namespace, f"sandboxRef/{sandbox.name}")):
            self._wake_sandbox(each)

    def _snapshot_changed(self, key: Key, before: Json | None, after: Json | None) -> None:
        self.wake_snapshot(key)
        sandbox = (after or before or {})["spec"]["sandboxRef"]["name"]
        # Its schedule counts them.
        self._wake_sandbox(Key(key.namespace, sandbox))
        for source in (f"snapshotRef/{key.name}", f"sandboxRef/{sandbox}"):
            for each in self._sandboxes.referring(Key(key.namespace, source)):
                self._wake_sandbox(each)

    def _volume_changed(self, key: Key, before: Json | None, after: Json | None) -> None:
        snapshot = key.name.removeprefix(CHILD_PREFIX)
        self.wake_snapshot(Key(key.namespace, snapshot))
        if before is None or after is None:
            for each in self._sandboxes.referring(Key(key.namespace, f"snapshotRef/{snapshot}")):
                self._wake_sandbox(each)

    def _class_changed(self, _: Key, __: Json | None, ___: Json | None) -> None:
        for key in self.snapshots:
            if condition(self.snapshots.get(key) or {}, "Ready").get("status") != "True":
                self.wake_snapshot(key)
