"""Where root in a sandbox can be an unprivileged user on its node: what the nodes' runtimes say they can do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

Json = dict[str, Any]


@dataclass(frozen=True)
class NodeSupport:
    """What the cluster's nodes and RuntimeClasses say.

    Attributes
    ----------
    nodes
        Nodes with their labels and ``status.runtimeHandlers`` (KEP-127, KEP-3857).
    handlers
        Handler of each RuntimeClass by its name.
    """

    nodes: tuple[Json, ...] = ()
    handlers: Mapping[str, str] | None = None
    _answers: dict[tuple[str, frozenset[tuple[str, str]]], bool] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def user_namespaces(self, runtime_class: str | None, node_selector: Mapping[str, str] | None) -> bool:
        """Whether every node that may run a pod can run it in a user namespace.

        The scheduler knows nothing of this feature, so one node that lacks it is enough to start the pod without.

        Parameters
        ----------
        runtime_class
            Name of a RuntimeClass, or None for the nodes' default handler.
        node_selector
            Labels that limit the nodes, as in the pod's spec.
        """
        handler = (self.handlers or {}).get(runtime_class, runtime_class) if runtime_class else ""
        # Asked for every new pod, and the same for most: a thousand nodes are walked over once.
        question = handler or "", frozenset((node_selector or {}).items())
        if question not in self._answers:
            candidates = [node for node in self.nodes if _matches(node, question[1])]
            self._answers[question] = bool(candidates) and all(_supported(node, question[0]) for node in candidates)
        return self._answers[question]


def _matches(node: Json, selector: frozenset[tuple[str, str]]) -> bool:
    return bool(selector <= node["metadata"].get("labels", {}).items())


def _supported(node: Json, handler: str) -> bool:
    return any(
        offered.get("name", "") == handler and offered.get("features", {}).get("userNamespaces", False)
        for offered in node.get("status", {}).get("runtimeHandlers") or ()
    )
