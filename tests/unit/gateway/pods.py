"""Sandbox pods as the API server sends them."""

from itertools import count
from typing import Any

import orjson

from sandkeeper.api.names import (
    EGRESS_ANNOTATION,
    MANAGED_LABEL,
    MANAGED_VALUE,
    ROLE_LABEL,
    SANDBOX_LABEL,
    SANDBOX_ROLE,
)
from sandkeeper.gateway.view import slim_pod

Json = dict[str, Any]
_versions = count(1)


def grant(*domains: str) -> str:
    """What the operator writes for a sandbox that may reach some domains."""
    return orjson.dumps({"domains": domains}).decode()


def pod(
    name: str, address: str = "", *, uid: str = "", domains: tuple[str, ...] = (), phase: str = "Running", **more: Any
) -> Json:
    """Make a pod of the sandbox of a name; ``more`` goes into its metadata."""
    labels = {MANAGED_LABEL: MANAGED_VALUE, ROLE_LABEL: SANDBOX_ROLE, SANDBOX_LABEL: name}
    metadata = {
        "name": f"sbx-{name}",
        "namespace": "team",
        "uid": uid or f"pod-{name}",
        "resourceVersion": str(next(_versions)),
        "labels": labels,
        "annotations": {EGRESS_ANNOTATION: grant(*domains)},
        "ownerReferences": [{"kind": "Sandbox", "name": name, "uid": f"uid-{name}"}],
    }
    status = {"phase": phase} | ({"podIP": address, "podIPs": [{"ip": address}]} if address else {})
    return {"metadata": metadata | more, "spec": {}, "status": status}


def slim(name: str, address: str = "", **more: Any) -> Json:
    """Make a pod as the gateway keeps it."""
    return slim_pod(pod(name, address, **more))
