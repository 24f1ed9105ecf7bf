"""What a sandbox may not ask for because the platform team has settled it for all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandkeeper.plan.pod import template_metadata
from sandkeeper.plan.pod_state import PodState

if TYPE_CHECKING:
    from sandkeeper.api.environment import Environment
    from sandkeeper.plan.observed import Settings


def denial(environment: Environment, settings: Settings) -> PodState | None:
    """State of a sandbox that asks for a label or annotation which the installation sets otherwise.

    They keep service meshes and autoscalers away from sandboxes, so they are not a tenant's to change.

    Returns
    -------
    PodState or None
        None where it asks for nothing of the kind.
    """
    asked = zip(
        ("labels", "annotations"),
        template_metadata(environment),
        (settings.pod_labels, settings.pod_annotations),
        strict=True,
    )
    for kind, wanted, settled in asked:
        for name, value in wanted.items():
            if settled.get(name, value) != value:
                message = (
                    f"spec.podTemplate.metadata.{kind}: {name} is set to {settled[name]!r} for all sandboxes of this "
                    f"installation and can't be {value!r}."
                )
                return PodState("PolicyDenied", message, wrong=True, stalled=True)
    return None
