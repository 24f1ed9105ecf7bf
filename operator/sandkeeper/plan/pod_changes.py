"""What a changed sandbox means for its running pod: nothing, a change in place, or a new pod."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from sandkeeper.api.names import EGRESS_ANNOTATION, ENVIRONMENT_ANNOTATION, RESTART_ANNOTATION
from sandkeeper.api.quantities import parsed
from sandkeeper.plan.pod import RENDERING_ANNOTATION, TEMPLATE_KEYS_ANNOTATION, template_keys, template_metadata
from sandkeeper.plan.pod_state import condition
from sandkeeper.plan.secrets import changed_secret
from sandkeeper.plan.writes import Patch

if TYPE_CHECKING:
    from sandkeeper.api.environment import Environment

Json = dict[str, Any]
_RESIZABLE = ("cpu", "memory")
"""What the resize subresource can change (KEP-1287)."""


def replacement_cause(pod: Json, desired: Json) -> str:
    """Why a pod has to be replaced by a new one; empty where it can stay."""
    if _annotation(pod, ENVIRONMENT_ANNOTATION) != _annotation(desired, ENVIRONMENT_ANNOTATION):
        return "the environment changed"
    # One that is taken back has been granted already, or never will be.
    if _annotation(desired, RESTART_ANNOTATION) not in {"", _annotation(pod, RESTART_ANNOTATION)}:
        return "a restart was asked for"
    secret = changed_secret(pod, desired)
    if secret:
        return f"Secret {secret} changed"
    before, after = _resources(pod), _resources(desired)
    if _qos(before) != _qos(after):
        return "the resources change the pod's QoS class"
    for kind in ("limits", "requests"):
        for name in before[kind].keys() | after[kind].keys():
            if name not in _RESIZABLE and not _equal(before[kind].get(name), after[kind].get(name)):
                return f"{kind}.{name} can't be changed on a running pod"
    return ""


def resize(pod: Json, desired: Json) -> Patch | None:
    """Patch of the resize subresource that gives the pod its new CPU and memory; None where it has them."""
    before, after = _resources(pod), _resources(desired)
    changed = {
        kind: {name: after[kind][name] for name in _RESIZABLE if name in after[kind]}
        for kind in ("limits", "requests")
        if any(not _equal(before[kind].get(name), after[kind].get(name)) for name in _RESIZABLE)
    }
    if not changed:
        return None
    container = {"name": desired["spec"]["containers"][0]["name"], "resources": changed}
    return Patch(pod, {"spec": {"containers": [container]}}, subresource="resize")


def relabel(pod: Json, desired: Json, environment: Environment) -> Patch | None:
    """Patch that brings podTemplate's labels and annotations to the pod; None where they are there."""
    remembered = orjson.loads(_annotation(pod, TEMPLATE_KEYS_ANNOTATION) or "{}")
    metadata: Json = {}
    for kind, wanted in zip(("labels", "annotations"), template_metadata(environment), strict=True):
        present, rest = pod["metadata"].get(kind, {}), desired["metadata"][kind]
        # What the template drops goes, unless the installation sets it too.
        dropped = [name for name in remembered.get(kind, ()) if name not in wanted and name in present]
        target = {**{name: rest.get(name) for name in dropped}, **wanted}
        metadata[kind] = {name: value for name, value in target.items() if present.get(name) != value}
    if not metadata["labels"] and not metadata["annotations"]:
        return None
    metadata["annotations"] |= {TEMPLATE_KEYS_ANNOTATION: None, **template_keys(environment)}
    return Patch(pod, {"metadata": metadata})


def regrant(pod: Json, desired: Json) -> Patch | None:
    """Patch that tells the gateway what the pod may reach now; None where that is what it knows."""
    before, after = _annotation(pod, EGRESS_ANNOTATION), _annotation(desired, EGRESS_ANNOTATION)
    return Patch(pod, {"metadata": {"annotations": {EGRESS_ANNOTATION: after or None}}}) if before != after else None


def outdated(pod: Json, desired: Json) -> tuple[str, str] | None:
    """Reason and sentence where a running pod lacks something that it gets later; None where it is up to date."""
    pending = condition(pod, "PodResizePending")
    if pending.get("status") == "True":
        return "ResizePending", f"The new resources are not in force yet: {pending.get('message', 'no reason given')}"
    if _annotation(pod, RENDERING_ANNOTATION) != _annotation(desired, RENDERING_ANNOTATION):
        return "RenderingChanged", "The operator or its settings changed; the pod takes it at its next start."
    return None


def _annotation(pod: Json, name: str) -> str:
    return str(pod["metadata"].get("annotations", {}).get(name, ""))


def _resources(pod: Json) -> dict[str, dict[str, str]]:
    resources = pod["spec"]["containers"][0].get("resources", {})
    return {"limits": resources.get("limits", {}), "requests": resources.get("requests", {})}


def _qos(resources: dict[str, dict[str, str]]) -> str:
    """QoS class of a pod of one container, as the API server computes it from cpu and memory."""
    limits, requests = resources["limits"], resources["requests"]
    if all(name in limits and _equal(limits[name], requests.get(name, limits[name])) for name in _RESIZABLE):
        return "Guaranteed"
    return "Burstable" if any(name in limits or name in requests for name in _RESIZABLE) else "BestEffort"


def _equal(one: str | None, other: str | None) -> bool:
    return one == other or (one is not None and other is not None and parsed(one) == parsed(other))
