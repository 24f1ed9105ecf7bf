"""The CustomResourceDefinitions, made from the models."""

from typing import Any

import yaml

from . import names
from .diff import SandboxDiff, SandboxDiffSpec, SandboxDiffStatus
from .kind import Column, Kind
from .model import JsonSchema, Model, rule
from .policy import SandboxPolicy, SandboxPolicySpec, SandboxPolicyStatus
from .reasons import diff, policy, sandbox, snapshot
from .sandbox import Sandbox, SandboxSpec, SandboxStatus
from .schema import structural
from .snapshot import SandboxSnapshot, SandboxSnapshotSpec, SandboxSnapshotStatus
from .template import SandboxTemplate, SandboxTemplateSpec

HEADER = "# Generated from the models in operator/sandkeeper/api by hack/generate.\n"

NAMES = "at most 52 lower-case letters, digits and hyphens, with a letter first and no hyphen last"
"""What names of our objects are."""
_PENDING = {
    "type": "Ready",
    "status": "Unknown",
    "reason": "Pending",
    "message": "Waiting for the operator.",
    "lastTransitionTime": "1970-01-01T00:00:00Z",
}


SANDBOX = Kind(
    kind=names.SANDBOX_KIND,
    plural=names.SANDBOX_PLURAL,
    singular=names.SANDBOX_SINGULAR,
    short=names.SANDBOX_SHORT,
    description=Sandbox.__doc__ or "",
    spec=SandboxSpec,
    status=SandboxStatus,
    conditions=sandbox.CONDITIONS,
    events=sandbox.EVENTS,
    columns=(
        Column("Status", '.status.conditions[?(@.type=="Ready")].reason', description="What the sandbox is doing."),
        Column("Ready", '.status.conditions[?(@.type=="Ready")].status', description="Whether it is as asked for."),
        Column("Age", ".metadata.creationTimestamp", type="date"),
        Column("Pod IP", ".status.podIP", wide=True),
        Column("Node", ".status.nodeName", wide=True),
        Column("Image", ".status.effective.image", wide=True),
        Column("Sleeps", ".status.sleepsAt", wide=True),
    ),
)
SNAPSHOT = Kind(
    kind=names.SNAPSHOT_KIND,
    plural=names.SNAPSHOT_PLURAL,
    singular=names.SNAPSHOT_SINGULAR,
    short=names.SNAPSHOT_SHORT,
    description=SandboxSnapshot.__doc__ or "",
    spec=SandboxSnapshotSpec,
    status=SandboxSnapshotStatus,
    conditions=snapshot.CONDITIONS,
    events=snapshot.EVENTS,
    columns=(
        Column("Sandbox", ".spec.sandboxRef.name", description="What it is a copy of."),
        Column("Status", '.status.conditions[?(@.type=="Ready")].reason', description="How far it is."),
        Column("Ready", '.status.conditions[?(@.type=="Ready")].status', description="Whether it can be restored."),
        Column("Age", ".metadata.creationTimestamp", type="date"),
        Column("Size", ".status.restoreSize", wide=True),
        Column("Pause", ".status.pauseSeconds", type="number", wide=True),
        Column("Expires", ".status.expiresAt", wide=True),
    ),
)
DIFF = Kind(
    kind=names.DIFF_KIND,
    plural=names.DIFF_PLURAL,
    singular=names.DIFF_SINGULAR,
    short=names.DIFF_SHORT,
    description=SandboxDiff.__doc__ or "",
    spec=SandboxDiffSpec,
    status=SandboxDiffStatus,
    conditions=diff.CONDITIONS,
    columns=(
        Column("From", ".spec.from.snapshotRef.name", description="The earlier state."),
        Column("To", ".status.to", description="The later state."),
        Column("Status", '.status.conditions[?(@.type=="Ready")].reason', description="How far it is."),
        Column("Added", ".status.summary.workspace.added", type="integer", description="New paths in the workspace."),
        Column("Changed", ".status.summary.workspace.changed", type="integer", description="Other ones."),
        Column("Deleted", ".status.summary.workspace.deleted", type="integer", description="Those that are gone."),
        Column("Age", ".metadata.creationTimestamp", type="date"),
        Column("Pod", ".status.podName", wide=True),
        Column("Expires", ".status.expiresAt", wide=True),
    ),
)
TEMPLATE = Kind(
    kind=names.TEMPLATE_KIND,
    plural=names.TEMPLATE_PLURAL,
    singular=names.TEMPLATE_SINGULAR,
    short=names.TEMPLATE_SHORT,
    description=SandboxTemplate.__doc__ or "",
    spec=SandboxTemplateSpec,
    columns=(
        Column("Image", ".spec.image", description="Container image; none for the default."),
        Column("CPU", ".spec.resources.limits.cpu", description="Most CPUs that a sandbox may use."),
        Column("Memory", ".spec.resources.limits.memory", description="Most memory that a sandbox may use."),
        Column("Workspace", ".spec.workspace.size", description="Size of the workspace."),
        Column("Repository", ".spec.git.repository", description="What is cloned into the workspace.", wide=True),
        Column("Runtime", ".spec.security.runtimeClassName", description="RuntimeClass of the pod.", wide=True),
        Column("Generation", ".metadata.generation", type="integer", description="Grows with each change."),
        Column("Age", ".metadata.creationTimestamp", type="date"),
    ),
)
POLICY = Kind(
    kind=names.POLICY_KIND,
    plural=names.POLICY_PLURAL,
    singular=names.POLICY_SINGULAR,
    short=names.POLICY_SHORT,
    description=SandboxPolicy.__doc__ or "",
    spec=SandboxPolicySpec,
    status=SandboxPolicyStatus,
    conditions=policy.CONDITIONS,
    columns=(
        Column("Status", '.status.conditions[?(@.type=="Ready")].reason', description="Whether it is in force."),
        Column("Ready", '.status.conditions[?(@.type=="Ready")].status', description="Whether it is as asked for."),
        Column("Used", ".status.usage", description="How much of the quota is used."),
        Column("Age", ".metadata.creationTimestamp", type="date"),
        Column("Images", ".spec.allowedImages", wide=True),
        Column("Max TTL", ".spec.maxTTL", wide=True),
    ),
)
FENCE = Kind(
    kind=names.FENCE_KIND,
    plural=names.FENCE_PLURAL,
    singular=names.FENCE_SINGULAR,
    description="Says that a namespace's sandboxes are fenced; made by the operator, and no one else needs it.",
    columns=(Column("Age", ".metadata.creationTimestamp", type="date"),),
)
KINDS = (SANDBOX, SNAPSHOT, DIFF, TEMPLATE, POLICY, FENCE)


def definition(kind: Kind) -> JsonSchema:
    """Build the CustomResourceDefinition of a kind."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{names.GROUP}"},
        "spec": {
            "group": names.GROUP,
            "scope": "Namespaced",
            "names": _names(kind),
            "versions": [
                {
                    "name": names.VERSION,
                    "served": True,
                    "storage": True,
                    **({"subresources": {"status": {}}} if kind.status else {}),
                    "additionalPrinterColumns": [column.to_json() for column in kind.columns],
                    "schema": {"openAPIV3Schema": object_schema(kind)},
                }
            ],
        },
    }


def _names(kind: Kind) -> JsonSchema:
    found: JsonSchema = {
        "kind": kind.kind,
        "listKind": f"{kind.kind}List",
        "plural": kind.plural,
        "singular": kind.singular,
    }
    # The category is for what users work with.
    return found | ({"shortNames": [kind.short], "categories": [names.CATEGORY]} if kind.short else {})


def object_schema(kind: Kind) -> JsonSchema:
    """Build the schema of a kind's objects.

    ``spec`` is required, so that an object without one is a mistake that is told. The default of ``status`` makes sure
    that a fresh object is never taken for a finished one.
    """
    schema: JsonSchema = {
        "type": "object",
        "description": kind.description,
        "properties": {
            "apiVersion": {"type": "string", "description": "Version of the schema: " + names.API_VERSION + "."},
            "kind": {"type": "string", "description": f"Kind of the object: {kind.kind}."},
            "metadata": {"type": "object", "properties": {"name": {"type": "string"}}},
        },
    }
    return _with_models(schema, kind.spec, kind.status) if kind.spec else schema


def _with_models(schema: JsonSchema, spec: type[Model], status: type[Model] | None) -> JsonSchema:
    properties = {**schema["properties"], "spec": structural(spec)}
    if status:
        properties["status"] = structural(status) | {"default": {"conditions": [_PENDING]}}
    name = rule(
        f"self.metadata.name.matches('{names.NAME_PATTERN}')",
        f"must be {NAMES}",
        messageExpression=f"'\"' + self.metadata.name + '\" must be {NAMES}'",
        fieldPath=".metadata.name",
    )
    return {
        "type": "object",
        "description": schema["description"],
        "required": ["spec"],
        "properties": properties,
        "x-kubernetes-validations": [name],
    }


def rendered(kind: Kind) -> str:
    """Write a kind's CRD as YAML."""
    return HEADER + yaml.dump(definition(kind), Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    """Without anchors: what occurs twice is written twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
