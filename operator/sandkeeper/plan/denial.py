"""What a sandbox may not ask for because the platform team has settled it for all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sandkeeper.api.labels import is_reserved_annotation, is_reserved_label
from sandkeeper.api.names import PRIORITY_CLASS_PREFIX
from sandkeeper.api.secrets import misplaced
from sandkeeper.plan.pod import template_metadata
from sandkeeper.plan.pod_state import PodState
from sandkeeper.plan.tenant_text import harmless

if TYPE_CHECKING:
    from sandkeeper.api.environment import Environment
    from sandkeeper.plan.observed import Settings

_LONGEST: Final = 1000


def denial(environment: Environment, settings: Settings) -> PodState | None:
    """State of a sandbox that asks for what the installation denies to all, or what its layers exclude together.

    Returns
    -------
    PodState or None
        None where it asks for nothing of the kind.
    """
    message = (
        _reserved(environment)
        or _settled_otherwise(environment, settings)
        or _without_user_namespaces(environment, settings)
        or _unseen_secret(environment, settings)
    )
    if message:
        return PodState("PolicyDenied", harmless(message, _LONGEST), wrong=True, stalled=True)
    place = misplaced(environment.secrets, environment.workspace.path, environment.security.writable_paths or ())
    return PodState("Failed", harmless(place, _LONGEST), wrong=True, stalled=True) if place else None


def _reserved(environment: Environment) -> str:
    """Sentence on what admission keeps from every spec, and saw of none that was captured: a claim carries it."""
    labels, annotations = template_metadata(environment)
    for kind, wanted, is_reserved in (
        ("labels", labels, is_reserved_label),
        ("annotations", annotations, is_reserved_annotation),
    ):
        for name in wanted:
            if is_reserved(name):
                return f"podTemplate.metadata.{kind}: {name} is reserved, and can't be set by what was captured either."
    priority = environment.pod_template.spec.priority_class_name
    if priority is not None and not priority.startswith(PRIORITY_CLASS_PREFIX):
        return (
            f"podTemplate.spec.priorityClassName: {priority} is no PriorityClass for sandboxes, whose name begins with "
            f"{PRIORITY_CLASS_PREFIX}."
        )
    return ""


def _settled_otherwise(environment: Environment, settings: Settings) -> str:
    """Sentence on a label or annotation that the installation sets to something else.

    They keep service meshes and autoscalers away from sandboxes, so they are not a tenant's to change.
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
                return (
                    f"spec.podTemplate.metadata.{kind}: {name} is set to {settled[name]!r} for all sandboxes of this "
                    f"installation and can't be {value!r}."
                )
    return ""


def _without_user_namespaces(environment: Environment, settings: Settings) -> str:
    if settings.user_namespaces != "Never" or environment.security.user_namespace != "Required":
        return ""
    return (
        "spec.security.userNamespace: user namespaces are turned off for all sandboxes of this installation "
        "(sandboxPods.userNamespaces is Never), so it can't be Required; Auto and Never are allowed."
    )


def _unseen_secret(environment: Environment, settings: Settings) -> str:
    name = next((secret.name for secret in environment.secrets if secret.restarts), "")
    if settings.secrets_watched or not name:
        return ""
    return (
        f"spec.secrets: onChange of {name} can't be Restart, since the operator of this installation may not see "
        "changes of Secrets (secrets.restartOnChange of its chart is false); Ignore is allowed."
    )
