"""Builders of templates, and of what they make of a sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandkeeper.api.egress import EgressGrant
from sandkeeper.api.resolve import resolve
from sandkeeper.plan.base import Base, base_of
from sandkeeper.plan.observed import Settings
from sandkeeper.plan.pod import sandbox_pod
from sandkeeper.plan.slim import slim_pod, slim_template
from unit.fakes.objects import RUNNING, stored

if TYPE_CHECKING:
    from sandkeeper.api.sandbox import Sandbox

Json = dict[str, Any]


def template(name: str = "python", *, generation: int = 1, **spec: Any) -> Json:
    """Make a SandboxTemplate, as the store keeps it."""
    metadata = {"name": name, "namespace": "team", "generation": generation}
    return slim_template(stored({"metadata": metadata, "spec": spec}, uid=f"uid-{name}"))


def made_from(owner: Sandbox, given: Json | None, status: Json | None = None, *, defaults: str = "") -> Json:
    """Make the pod that a sandbox got while its template was as given, as the store keeps it."""
    lower = base_of(owner, None, given, defaults).latest
    environment = resolve(*lower.layers, owner.spec)
    grant = EgressGrant(domains=environment.egress.domains, cidrs=environment.egress.cidrs)
    pod = stored(sandbox_pod(owner, environment, Settings(), user_namespace=False, grant=grant, lower=lower))
    pod["spec"]["nodeName"] = "n1"
    return slim_pod({**pod, "status": RUNNING if status is None else status})


def base(owner: Sandbox, pod: Json | None, given: Json | None, defaults: str = "") -> Base:
    """Tell what lies below a sandbox whose template is now as given."""
    return base_of(owner, pod, given, defaults)
