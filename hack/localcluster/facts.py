"""What a cluster says of itself, for ``status`` and for tests that depend on it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcluster.commands import run
from localcluster.tools import tool


@dataclass(frozen=True)
class Facts:
    """A cluster's answers.

    Parameters
    ----------
    version
        The apiserver's version.
    nodes
        Name and condition of every node.
    user_namespaces
        Whether every node's default handler runs pods in user namespaces.
    runtime_classes, storage_classes
        Their names; the default storage class first.
    """

    version: str
    nodes: dict[str, str]
    user_namespaces: bool
    runtime_classes: list[str]
    storage_classes: list[str]


def facts(kubeconfig: Path) -> Facts:
    """Ask a cluster.

    Raises
    ------
    ClusterError
        If it does not answer.
    """

    def ask(*words: str) -> Any:
        return json.loads(run(tool("kubectl"), f"--kubeconfig={kubeconfig}", "--request-timeout=10s", *words))

    nodes = ask("get", "nodes", "-o", "json")["items"]
    storage = ask("get", "storageclasses", "-o", "json")["items"]
    return Facts(
        version=ask("version", "-o", "json")["serverVersion"]["gitVersion"],
        nodes={node["metadata"]["name"]: _condition(node) for node in nodes},
        user_namespaces=bool(nodes) and all(_runs_user_namespaces(node) for node in nodes),
        runtime_classes=[item["metadata"]["name"] for item in ask("get", "runtimeclasses", "-o", "json")["items"]],
        storage_classes=[item["metadata"]["name"] for item in sorted(storage, key=_default_first)],
    )


def _condition(node: dict[str, Any]) -> str:
    ready = [entry["status"] for entry in node["status"].get("conditions", []) if entry["type"] == "Ready"]
    return "Ready" if ready == ["True"] else "NotReady"


def _runs_user_namespaces(node: dict[str, Any]) -> bool:
    handlers = node["status"].get("runtimeHandlers") or []
    return any(handler["name"] == "" and handler.get("features", {}).get("userNamespaces") for handler in handlers)


def _default_first(storage_class: dict[str, Any]) -> tuple[bool, str]:
    metadata = storage_class["metadata"]
    annotations = metadata.get("annotations") or {}
    return annotations.get("storageclass.kubernetes.io/is-default-class") != "true", metadata["name"]
