"""What the operator knows of nodes and RuntimeClasses, and whom a change of one concerns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandkeeper.plan.pod_state import condition
from sandkeeper.plan.slim import slim_node, slim_runtime_class
from sandkeeper.plan.user_namespace import NodeSupport, offers
from sandkeeper.runtime.informer import Informer
from sandkeeper.runtime.resource import NODES, RUNTIME_CLASSES, Json, Key
from sandkeeper.runtime.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandkeeper.runtime.client import ApiClient


class Nodes:
    """Stores of nodes and RuntimeClasses, and the informers that feed them.

    Parameters
    ----------
    wake
        Called with the key of each Sandbox that waits for what nodes or RuntimeClasses offer.
    turned
        Called with the name of a node that became ready, or is not any more.

    Attributes
    ----------
    store
        The one of nodes.
    """

    def __init__(self, client: ApiClient, wake: Callable[[Key], None], turned: Callable[[str], None]) -> None:
        self._wake = wake
        self._turned = turned
        self.store = Store(slim_node)
        self._classes = Store(slim_runtime_class)
        self._support: NodeSupport | None = None
        self._waiting: set[Key] = set()
        self.informers = [
            Informer(client, NODES, self.store, self._changed),
            Informer(client, RUNTIME_CLASSES, self._classes, self._changed),
        ]

    def of(self, pod: Json | None) -> Json | None:
        """Node that a pod is on."""
        name = pod["spec"].get("nodeName") if pod else None
        return self.named(name) if name else None

    def named(self, name: str) -> Json | None:
        """Node of a name."""
        return self.store.get(Key("", name))

    @property
    def support(self) -> NodeSupport:
        """What nodes and RuntimeClasses can do, computed once per change."""
        if self._support is None:
            classes = self._classes
            self._support = NodeSupport(
                nodes=tuple(filter(None, map(self.store.get, self.store))),
                handlers={key.name: found["handler"] for key in classes if (found := classes.get(key))},
            )
        return self._support

    def wait(self, sandbox: Key, *, waits: bool) -> None:
        """Note whether a sandbox is to be woken once nodes or RuntimeClasses offer something else."""
        (self._waiting.add if waits else self._waiting.discard)(sandbox)

    def _changed(self, key: Key, before: Json | None, after: Json | None) -> None:
        if offers(before) != offers(after):
            self._support = None
            for sandbox in self._waiting:
                self._wake(sandbox)
        if before is not None and condition(before, "Ready") != condition(after or {}, "Ready"):
            # The news of a lost node's pods may come before that of the node.
            self._turned(key.name)
