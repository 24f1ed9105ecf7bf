"""What it means for a sandbox that its template changed, or is not there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sandkeeper.api.names import RETAINED_LABEL
from sandkeeper.api.resolve import resolve
from sandkeeper.api.workspace import RETAIN
from sandkeeper.plan.layers import layers_of
from sandkeeper.plan.lifecycle import Life, Phase
from sandkeeper.plan.pod_state import PodState
from sandkeeper.plan.sleep import end, fall_asleep
from sandkeeper.plan.writes import Patch

if TYPE_CHECKING:
    from datetime import datetime

    from sandkeeper.api.environment import Environment
    from sandkeeper.plan.base import Lower
    from sandkeeper.plan.observed import Observed
    from sandkeeper.plan.writes import Write

Json = dict[str, Any]

NOT_FOUND = "TemplateNotFound"


def environment_of(observed: Observed) -> Environment:
    """Resolve what a sandbox is to run in.

    Of a template that is not there nobody knows whether it retains workspaces: what was said of the claim stands.
    """
    environment = resolve(*layers_of(observed))
    claim = observed.claim
    if not observed.base.missing or claim is None or RETAINED_LABEL not in claim["metadata"].get("labels", {}):
        return environment
    workspace = environment.workspace.model_copy(update={"reclaim_policy": RETAIN})
    return environment.model_copy(update={"workspace": workspace})


def without_template(
    observed: Observed, environment: Environment, life: Life, now: datetime
) -> tuple[PodState, tuple[Write, ...]]:
    """Decide on a sandbox of whose template nothing is known: it may rest and end, and else is left as it is."""
    if life.phase is Phase.ENDED:
        return end(observed, environment, life, now)
    if life.phase is Phase.ASLEEP:
        return fall_asleep(observed, life, now)
    message = (
        f"spec.templateRef.name: SandboxTemplate {observed.base.absent} is not there; the start goes on once it is."
    )
    return PodState(NOT_FOUND, message, wrong=True), ()


def newer_base(observed: Observed, environment: Environment) -> tuple[str, str] | None:
    """Reason and sentence where a pod made now would be another one; None where it would not, by template or policy."""
    base = observed.base
    if base.absent:
        message = (
            f"SandboxTemplate {base.absent} is not there any more; the pod goes on with what it was made from, and "
            "another one is made only once the template is there."
        )
        return NOT_FOUND, message
    if base.used == base.latest:
        return None
    return _of_template(observed, environment) or _of_policy(observed, environment)


def _of_template(observed: Observed, environment: Environment) -> tuple[str, str] | None:
    used, latest = observed.base.used, observed.base.latest
    fields = _differing(observed, environment, replace(used, template=latest.template))
    if not fields or not used.used or not latest.used:
        return None
    message = (
        f"SandboxTemplate {latest.used.name} changed in {fields}: the pod was made from generation "
        f"{used.used.generation} and takes generation {latest.used.generation} at its next start."
    )
    return "TemplateChanged", message


def _of_policy(observed: Observed, environment: Environment) -> tuple[str, str] | None:
    fields = _differing(observed, environment, observed.base.latest)
    message = f"The defaults of SandboxPolicy default changed in {fields}: the pod takes them at its next start."
    return ("PolicyChanged", message) if fields else None


def _differing(observed: Observed, environment: Environment, lower: Lower) -> str:
    """Name the fields in which an environment would be another one on other lower layers; empty for none."""
    base = replace(observed.base, used=lower)
    other = resolve(*layers_of(replace(observed, base=base)))
    kind = type(environment)
    names = (name for name in kind.model_fields if getattr(environment, name) != getattr(other, name))
    return ", ".join(kind.model_fields[name].alias or name for name in names)


def remember(pod: Json, observed: Observed) -> Patch | None:
    """Patch that lets a pod remember the lower layers that it was brought to in place; None where it does."""
    note, noted = observed.base.used.note(), pod["metadata"].get("annotations", {})
    changed = {name: text for name, text in note.items() if noted.get(name) != text}
    return Patch(pod, {"metadata": {"annotations": changed}}) if changed else None
