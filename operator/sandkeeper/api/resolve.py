"""Which layer wins: the one pure function that turns what was written into what everything downstream uses.

A layer is a SandboxSpec in which None means "not written". That is why nothing below ``spec`` has a schema default.
"""

from decimal import ROUND_CEILING
from functools import reduce
from itertools import chain
from typing import Final, TypeVar

from .compute import NATIVE, EffectiveResources, Resources
from .containers import EnvVar, Port
from .egress import EffectiveEgress, Egress
from .environment import EffectivePodMetadata, EffectivePodTemplate, Environment
from .git import EffectiveGit, Git
from .lifecycle import DELETE, RUNNING, EffectiveLifecycle, Lifecycle, seconds
from .model import Model
from .packages import EffectivePackages, Packages
from .pod_template import PodMetadata, PodSpec, PodTemplate
from .quantities import binary, canonical, decimal, parsed
from .sandbox import SandboxSpec
from .secrets import Secret, effective
from .security import EffectiveSecurity, Security
from .workspace import PERSISTENT, EffectiveWorkspace, Workspace

BUILT_IN: Final = SandboxSpec(
    image="ubuntu:22.04",
    resources=Resources(limits={"cpu": "2", "memory": "4Gi", "ephemeral-storage": "10Gi"}),
    workspace=Workspace(path="/workspace", type=PERSISTENT, size="10Gi", reclaim_policy="Delete"),
    lifecycle=Lifecycle(state=RUNNING, idle_timeout="15m", expiry_policy="Retain"),
)
"""The lowest layer: what a sandbox with an empty spec gets."""

_Part = TypeVar("_Part", bound=Model)
_Named = TypeVar("_Named", EnvVar, Port, Secret)


def resolve(*layers: SandboxSpec) -> Environment:
    """Resolve layers to the environment that a sandbox runs in.

    Parameters
    ----------
    layers
        Lowest first: policy, template, snapshot, the sandbox's own. ``BUILT_IN`` lies below them all, given or not.

    Returns
    -------
    Environment
        With a value wherever there is a built-in one.
    """
    spec = reduce(merge, layers, BUILT_IN)
    workspace = _resolved_workspace(spec)
    template = spec.pod_template or PodTemplate()
    metadata = template.metadata or PodMetadata()
    return Environment(
        image=spec.image or "",
        command=spec.command,
        args=spec.args,
        working_dir=spec.working_dir or workspace.path,
        env=spec.env or (),
        secrets=tuple(map(effective, spec.secrets or ())),
        ports=spec.ports or (),
        egress=EffectiveEgress(**(spec.egress or Egress()).model_dump(exclude_none=True)),
        resources=_resolved_resources(spec.resources or Resources()),
        packages=EffectivePackages(**(spec.packages or Packages()).model_dump(exclude_none=True)),
        setup=spec.setup or "",
        workspace=workspace,
        git=_resolved_git(spec.git or Git()),
        security=_resolved_security(spec.security or Security()),
        pod_template=EffectivePodTemplate(
            metadata=EffectivePodMetadata(labels=metadata.labels or {}, annotations=metadata.annotations or {}),
            spec=template.spec or PodSpec(),
        ),
    )


def resolve_lifecycle(*layers: SandboxSpec) -> EffectiveLifecycle:
    """Resolve layers to the lifecycle that a sandbox has; templates and snapshots have no part in it.

    Parameters
    ----------
    layers
        Lowest first, as for `resolve`.
    """
    # Of the layers no more than what counts is merged: this is asked beside `resolve`, in every pass.
    written = reduce(_laid_over, (layer.lifecycle for layer in layers), BUILT_IN.lifecycle) or Lifecycle()
    workspace = reduce(_laid_over, (layer.workspace for layer in layers), BUILT_IN.workspace) or Workspace()
    persistent = workspace.type == PERSISTENT
    return EffectiveLifecycle(
        state=written.state or RUNNING,
        # The work of one that is Ephemeral would be lost.
        idle_timeout=seconds(written.idle_timeout) if persistent else None,
        ttl=seconds(written.ttl),
        delete_after_sleep=seconds(written.delete_after_sleep),
        deletes=written.expiry_policy == DELETE,
    )


def captured_layer(*layers: SandboxSpec) -> SandboxSpec:
    """Give what a snapshot captures of a sandbox: the layer that lies below whatever is restored from it.

    It holds all that makes an environment, and neither a life of its own, nor where it came from, nor its branch.
    """
    return environment_part(reduce(merge, layers, BUILT_IN))


def environment_part(layer: SandboxSpec) -> SandboxSpec:
    """Give of a layer what makes an environment, and nothing that is a sandbox's own."""
    git = layer.git.model_copy(update={"branch": None}) if layer.git else None
    own = {"template_ref": None, "lifecycle": None, "source": None, "snapshots": None}
    return layer.model_copy(update={**own, "git": git})


def of_one_repository(layers: tuple[SandboxSpec, ...]) -> tuple[SandboxSpec, ...]:
    """Take from layers what they say of another repository than the highest of them that names one.

    Ref and login of a repository go to no other one: its server would be handed what is another's.
    """
    addresses = [each.git.repository for each in layers if each.git and each.git.repository]
    others = {*addresses[:-1]} - {*addresses[-1:]}
    return tuple(
        each.model_copy(update={"git": None}) if each.git and each.git.repository in others else each for each in layers
    )


def captured_below(captured: SandboxSpec, own: SandboxSpec) -> SandboxSpec:
    """Give a captured layer as it lies below the spec of what is restored from it.

    A spec that writes ``secrets``, be it an empty list, gets none of the captured ones, nor the variables that were
    taken from Secrets, nor the login for Git: a clone to production is not to hold what the sandbox that was copied
    had.
    """
    captured, own = of_one_repository((captured, own))
    if own.secrets is None:
        return captured
    env = tuple(each for each in captured.env or () if not (each.value_from and each.value_from.secret_key_ref))
    git = captured.git and captured.git.model_copy(update={"credentials_secret": None})
    return captured.model_copy(update={"secrets": None, "env": env or None, "git": git})


def merge(lower: SandboxSpec, upper: SandboxSpec) -> SandboxSpec:
    """Lay one layer over another; associative, so that layers can be merged in any grouping.

    Objects are merged field by field, ``env``, ``secrets`` and ``ports`` by name, limits and requests by resource, and
    the domains of ``egress`` add up.
    Everything else, plain lists and maps of labels too, is replaced as a whole, so that a layer can take something
    away.
    """
    by_rule: dict[str, object] = {
        "env": _by_name(lower.env, upper.env),
        "secrets": _by_name(lower.secrets, upper.secrets),
        "ports": _by_name(lower.ports, upper.ports),
        "egress": _added(lower.egress, upper.egress),
        "resources": _merged_resources(lower.resources, upper.resources),
    }
    return lower.model_copy(update=_written(lower, upper) | by_rule)


def _laid_over(lower: _Part | None, upper: _Part | None) -> _Part | None:
    if lower is None or upper is None:
        return lower if upper is None else upper
    return lower.model_copy(update=_written(lower, upper))


def _written(lower: _Part, upper: _Part) -> dict[str, object]:
    fields: dict[str, object] = {}
    for name in upper.model_fields_set:
        value, below = getattr(upper, name), getattr(lower, name)
        if isinstance(value, Model) and isinstance(below, Model):
            fields[name] = below.model_copy(update=_written(below, value))
        elif value is not None:
            fields[name] = value
    return fields


def _by_name(lower: tuple[_Named, ...] | None, upper: tuple[_Named, ...] | None) -> tuple[_Named, ...] | None:
    if lower is None or upper is None:
        return lower if upper is None else upper
    # A dict keeps the place of the first with a name and the value of the last.
    return tuple({item.name: item for item in lower + upper}.values())


def _added(lower: Egress | None, upper: Egress | None) -> Egress | None:
    if lower is None or upper is None:
        return lower if upper is None else upper
    written = (each for each in (lower.domains, upper.domains) if each is not None)
    domains = tuple(dict.fromkeys(chain.from_iterable(written)))
    return Egress(domains=domains or None, cidrs=lower.cidrs if upper.cidrs is None else upper.cidrs)


def _merged_resources(lower: Resources | None, upper: Resources | None) -> Resources | None:
    if lower is None or upper is None:
        return lower if upper is None else upper
    limits, requests = upper.limits or {}, upper.requests or {}
    # Who sets a limit speaks for the request too, since one from below may be above it. The limit of an extended
    # resource equals its request, so whoever sets one of them speaks for both.
    kept_limits = {
        name: limit for name, limit in (lower.limits or {}).items() if name in NATIVE or name not in requests
    }
    kept_requests = {name: request for name, request in (lower.requests or {}).items() if name not in limits}
    return Resources(limits=kept_limits | limits, requests=kept_requests | requests)


def _resolved_resources(resources: Resources) -> EffectiveResources:
    limits = {name: canonical(limit) for name, limit in (resources.limits or {}).items()}
    requests = {name: canonical(request) for name, request in (resources.requests or {}).items()}
    for name, request in requests.items():
        # A request above the limit can only stand above a limit from a lower layer, which then gives way.
        if name not in limits or parsed(limits[name]) < parsed(request):
            limits[name] = request
    return EffectiveResources(
        limits=limits,
        requests={name: requests.get(name) or default_request(name, limit) for name, limit in limits.items()},
    )


def default_request(resource: str, limit: str) -> str:
    """Compute the request that goes with a limit for which none was given.

    A quarter, rounded up to what can be counted (a thousandth of a CPU, a byte). All of it for extended resources:
    they can't be overcommitted, so the apiserver wants both equal.
    """
    if resource not in NATIVE:
        return limit
    if resource == "cpu":
        return decimal((parsed(limit) * 250).to_integral_value(ROUND_CEILING) / 1000)
    return canonical(binary((parsed(limit) / 4).to_integral_value(ROUND_CEILING)))


def _resolved_workspace(spec: SandboxSpec) -> EffectiveWorkspace:
    workspace, security = spec.workspace or Workspace(), spec.security or Security()
    persistent = workspace.type == PERSISTENT
    changeable = security.root is not False and security.writable_paths is None
    # The guest that keeps them has to be the first process, which the image's own entry point is instead.
    guided = spec.command is not None or spec.args is None
    return EffectiveWorkspace(
        path=workspace.path or "",
        type=workspace.type or "",
        size=canonical(workspace.size or "0"),
        storage_class_name=workspace.storage_class_name,
        keep_packages=changeable and guided and workspace.keep_packages is not False if persistent else None,
        reclaim_policy=workspace.reclaim_policy if persistent else None,
    )


def _resolved_git(git: Git) -> EffectiveGit | None:
    # A branch alone is what a sandbox says that takes its repository from a lower layer.
    return EffectiveGit.model_validate(git.model_dump(exclude_none=True)) if git.repository else None


def _resolved_security(security: Security) -> EffectiveSecurity:
    written = security.model_dump(exclude_none=True)
    if security.writable_paths is not None:
        # Another order is the same environment, so it must not make another pod.
        written["writable_paths"] = tuple(sorted(security.writable_paths))
    return EffectiveSecurity.model_validate(written)
