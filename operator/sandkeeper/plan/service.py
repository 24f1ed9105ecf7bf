"""The Service by which a namespace reaches a sandbox's ports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandkeeper.api.names import ROLE_LABEL, SANDBOX_LABEL, SANDBOX_ROLE, child_labels, service_name
from sandkeeper.plan.ownership import owner_reference

if TYPE_CHECKING:
    from sandkeeper.api.environment import Environment
    from sandkeeper.api.sandbox import Sandbox

Json = dict[str, Any]


def sandbox_service(sandbox: Sandbox, environment: Environment) -> Json | None:
    """Service named after the sandbox, or None where it offers no ports.

    Every field that the API server would default is spelled out, so that a desired Service equals the stored one.
    """
    if not environment.ports:
        return None
    name = sandbox.metadata.name
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": service_name(name),
            "namespace": sandbox.metadata.namespace,
            "labels": child_labels(name),
            "ownerReferences": [owner_reference(sandbox)],
        },
        "spec": {
            "type": "ClusterIP",
            "selector": {ROLE_LABEL: SANDBOX_ROLE, SANDBOX_LABEL: name},
            "ports": [
                {"name": port.name, "port": port.port, "targetPort": port.port, "protocol": "TCP"}
                for port in environment.ports
            ],
        },
    }
