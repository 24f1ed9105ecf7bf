"""What is created: sandboxes, and raw pods that are the very pods which sandboxes get, without the sandbox."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from sandkeeper.api.names import (
    GROUP,
    MANAGED_LABEL,
    MANAGED_VALUE,
    SANDBOX_KIND,
    SANDBOX_PLURAL,
    VERSION,
    pod_name,
)
from sandkeeper.runtime.resource import PODS, Json, Key, Resource

SANDBOXES = Resource(GROUP, VERSION, SANDBOX_PLURAL, SANDBOX_KIND)
RAW_LABEL = "benchmark.example/raw"
RAW = "raw pod"
GUARDED = "sandbox"
UNGUARDED = "sandbox, no policies"

# What the apiserver and its admission fill in; a client would not send it.
_POD_DEFAULTS = {
    "dnsPolicy": "ClusterFirst",
    "restartPolicy": "Always",
    "schedulerName": "default-scheduler",
    "serviceAccount": "default",
    "serviceAccountName": "default",
    "terminationGracePeriodSeconds": 30,
    "preemptionPolicy": "PreemptLowerPriority",
    "enableServiceLinks": True,
}
_POD_ASSIGNED = ("nodeName", "priority", "tolerations")
_CONTAINER_DEFAULTS = {
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
    "imagePullPolicy": "IfNotPresent",
}


@dataclass(frozen=True)
class Part:
    """Objects of one kind that are watched for what is measured."""

    resource: Resource
    selector: str
    named: Callable[[str], str] = str


@dataclass(frozen=True)
class Target:
    """A kind of thing that is measured.

    Parameters
    ----------
    name
        How the table calls it.
    template
        The object without name and namespace.
    condition
        Its condition that has to become True.
    created
        What is created and waited for.
    gone
        Everything that has to be gone once it is deleted.
    series
        Part of the names of its objects, so that two targets of one kind share none.
    guarded
        Whether the chart's admission policies are in force meanwhile.
    """

    name: str
    template: Json
    condition: str
    created: Part
    gone: tuple[Part, ...]
    series: str = "r"
    guarded: bool = True

    @property
    def resource(self) -> Resource:
        """Return the kind that the client creates."""
        return self.created.resource

    def manifest(self, key: Key) -> Json:
        """Return the object that is sent for a key."""
        metadata = self.template["metadata"] | {"name": key.name, "namespace": key.namespace}
        return self.template | {"metadata": metadata}


def is_true(obj: Json, condition: str) -> bool:
    """Tell whether an object's condition is True."""
    conditions = obj.get("status", {}).get("conditions", ())
    return any(held["type"] == condition and held["status"] == "True" for held in conditions)


def sandboxes() -> Target:
    """Return the sandbox that is measured: nothing but defaults, without a volume."""
    template = {
        "apiVersion": SANDBOXES.api_version,
        "kind": SANDBOXES.kind,
        "metadata": {},
        "spec": {"workspace": {"type": "Ephemeral"}},
    }
    own = Part(SANDBOXES, "")
    pods = Part(PODS, f"{MANAGED_LABEL}={MANAGED_VALUE}", pod_name)
    return Target(GUARDED, template, "Running", own, (own, pods))


def unguarded(target: Target) -> Target:
    """Return sandboxes without the chart's admission policies."""
    return replace(target, name=UNGUARDED, series="u", guarded=False)


def raw_pods(template: Json) -> Target:
    """Return the raw pod that is measured."""
    own = Part(PODS, RAW_LABEL)
    return Target(RAW, template, "Ready", own, (own,))


def plain_pod() -> Json:
    """Return a pod like a sandbox's, for a run without the operator."""
    resources = {
        "requests": {"cpu": "500m", "memory": "1Gi", "ephemeral-storage": "2560Mi"},
        "limits": {"cpu": "2", "memory": "4Gi", "ephemeral-storage": "10Gi"},
    }
    container = {"name": "sandbox", "image": "ubuntu:22.04", "command": ["sleep", "infinity"], "resources": resources}
    spec = {"automountServiceAccountToken": False, "enableServiceLinks": False, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {RAW_LABEL: "true"}}, "spec": spec}


def raw_from(pod: Json) -> Json:
    """Return what a client would have to send to get the same pod as an operator made.

    Parameters
    ----------
    pod
        A sandbox's pod as the apiserver returns it.

    Returns
    -------
    Json
        Without what the server fills in, without an owner, and with the operator's labels and annotations under
        another prefix, so that the operator does not take it for one of its own.
    """
    metadata = {
        "labels": _foreign(pod["metadata"].get("labels", {})) | {RAW_LABEL: "true"},
        "annotations": _foreign(pod["metadata"].get("annotations", {})),
    }
    spec = _without(deepcopy(pod["spec"]), _POD_DEFAULTS)
    for field in _POD_ASSIGNED:
        spec.pop(field, None)
    for containers in ("containers", "initContainers"):
        if containers in spec:
            spec[containers] = [_without(container, _CONTAINER_DEFAULTS) for container in spec[containers]]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _foreign(entries: dict[str, str]) -> dict[str, str]:
    return {key.replace(f"{GROUP}/", "benchmark.example/"): value for key, value in entries.items()}


def _without(fields: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in defaults or value != defaults[name]}
