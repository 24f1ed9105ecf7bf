"""What nodes and their runtimes say they can do; first of all, where root in a sandbox is nobody on its node."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from sandkeeper.plan.image_volumes import has_image_volumes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandkeeper.api.environment import Environment
    from sandkeeper.plan.observed import Settings

Json = dict[str, Any]

NO_USER_NAMESPACE: Final = "NoUserNamespace"
"""Reason of a sandbox that waits for a node or RuntimeClass which has user namespaces."""
_NAMED: Final = 3


@dataclass(frozen=True)
class Candidates:
    """Nodes that may run a pod.

    Attributes
    ----------
    able
        How many can run it in a user namespace.
    unable
        Those that can't.
    """

    able: int
    unable: tuple[Json, ...]


@dataclass(frozen=True)
class UserNamespace:
    """Whether a new pod is to have a user namespace.

    Attributes
    ----------
    used
        It is.
    avoided
        Host names of nodes that must not run it, since they could not give it one.
    missing
        Why the pod can't be made; empty where it can.
    """

    used: bool = False
    avoided: tuple[str, ...] = ()
    missing: str = ""


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
    _answers: dict[tuple[str, frozenset[tuple[str, str]]], Candidates] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def handler(self, runtime_class: str | None) -> str | None:
        """Handler of a RuntimeClass; empty for the nodes' default one, None where there is no such class."""
        return (self.handlers or {}).get(runtime_class) if runtime_class else ""

    @cached_property
    def image_volumes(self) -> bool:
        """Whether every node has image volumes."""
        return bool(self.nodes) and all(map(has_image_volumes, self.nodes))

    def candidates(self, handler: str, node_selector: Mapping[str, str] | None) -> Candidates:
        """Tell which of the nodes that may run a pod can run it in a user namespace.

        Parameters
        ----------
        handler
            Of the pod's RuntimeClass; empty for the default one.
        node_selector
            Labels that limit the nodes, as in the pod's spec.
        """
        # Asked for every new pod, and the same for most: a thousand nodes are walked over once.
        question = handler, frozenset((node_selector or {}).items())
        if question not in self._answers:
            nodes = [node for node in self.nodes if _matches(node, question[1])]
            unable = tuple(node for node in nodes if not _supported(node, handler))
            self._answers[question] = Candidates(len(nodes) - len(unable), unable)
        return self._answers[question]


def user_namespace(environment: Environment, nodes: NodeSupport, settings: Settings) -> UserNamespace:
    """Decide whether a new pod of an environment is to have a user namespace.

    The scheduler knows nothing of this feature. So with ``Auto`` one node that lacks it is enough to start the pod
    without, and with ``Required`` such nodes are avoided; a kubelet that lacks it and gets the pod all the same refuses
    to start it.
    """
    security, selector = environment.security, environment.pod_template.spec.node_selector
    if "Never" in {settings.user_namespaces, security.user_namespace}:
        return UserNamespace()
    required = security.user_namespace == "Required"
    handler = nodes.handler(security.runtime_class_name)
    if handler is None:
        # The API server refuses the pod and says what is missing: the RuntimeClass.
        return UserNamespace(used=required)
    found = nodes.candidates(handler, selector)
    if not required:
        return UserNamespace(used=found.able > 0 and not found.unable)
    if found.unable and not found.able:
        return UserNamespace(used=True, missing=_missing(security.runtime_class_name, handler, found.unable))
    return UserNamespace(used=True, avoided=tuple(sorted(map(_host_name, found.unable))))


def stranded(environment: Environment, pod: Json, node: Json | None, nodes: NodeSupport) -> str:
    """Why a pod with a user namespace will never start on the node that it was given; empty where it may.

    The scheduler may choose a node that came after the decision, and its kubelet refuses the pod again and again.
    """
    handler = nodes.handler(environment.security.runtime_class_name)
    waits = pod["spec"].get("hostUsers") is False and pod["status"].get("phase") == "Pending"
    # A node that has just started may not have told yet what its runtime can do.
    if not waits or handler is None or node is None or not node["status"].get("runtimeHandlers"):
        return ""
    return "" if _supported(node, handler) else f"node {node['metadata']['name']} has no user namespaces for it"


def offers(obj: Json | None) -> Json:
    """Take of a node or RuntimeClass what the decision depends on, to see whether a change of it matters."""
    if obj is None:
        return {}
    handlers = obj.get("status", {}).get("runtimeHandlers") or ()
    images = has_image_volumes(obj)
    return {
        "labels": obj["metadata"].get("labels"),
        "handlers": handlers,
        "handler": obj.get("handler"),
        "images": images,
    }


def _matches(node: Json, selector: frozenset[tuple[str, str]]) -> bool:
    return bool(selector <= node["metadata"].get("labels", {}).items())


def _supported(node: Json, handler: str) -> bool:
    return any(
        offered.get("name", "") == handler and offered.get("features", {}).get("userNamespaces", False)
        for offered in node.get("status", {}).get("runtimeHandlers") or ()
    )


def _host_name(node: Json) -> str:
    return str(node["metadata"].get("labels", {}).get("kubernetes.io/hostname", node["metadata"]["name"]))


def _missing(runtime_class: str | None, handler: str, unable: tuple[Json, ...]) -> str:
    names = sorted(node["metadata"]["name"] for node in unable)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    runtime = f"RuntimeClass {runtime_class} (handler {handler})" if runtime_class else "the default runtime"
    return (
        f"spec.security.userNamespace is Required, but {runtime} has user namespaces on no node that may run the pod: "
        f"not on {', '.join(names[:_NAMED])}{more}. Add a node that has them, choose another RuntimeClass or "
        "nodeSelector, or allow Auto or Never."
    )
