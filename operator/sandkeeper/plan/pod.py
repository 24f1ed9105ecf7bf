"""The pod of a sandbox: how an environment is rendered, and the hash by which a changed rendering is noticed."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import orjson

from sandkeeper.api.names import (
    CLAIM_ANNOTATION,
    ENVIRONMENT_ANNOTATION,
    LABEL_PREFIX,
    RESTART_ANNOTATION,
    ROLE_LABEL,
    SANDBOX_ROLE,
    child_labels,
    claim_name,
    pod_name,
)
from sandkeeper.plan.gateway import egress_annotation, name_proxy, name_service
from sandkeeper.plan.git import add_repository, give_room
from sandkeeper.plan.guest import (
    bring_guest,
    guest_annotation,
    guest_command,
    guest_mounts,
    has_programs,
    is_guided,
)
from sandkeeper.plan.node_affinity import keeping_off
from sandkeeper.plan.ownership import owner_reference
from sandkeeper.plan.pod_security import container_security_context, pod_security_context
from sandkeeper.plan.pod_volumes import limit_shared_memory, volume_mounts, volumes
from sandkeeper.plan.secrets import (
    environment_variables,
    secret_mounts,
    secret_volumes,
    secrets_annotation,
    whole_secrets,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandkeeper.api.egress import EgressGrant
    from sandkeeper.api.environment import Environment
    from sandkeeper.api.sandbox import Sandbox
    from sandkeeper.plan.base import Lower
    from sandkeeper.plan.observed import Settings

Json = dict[str, Any]

CONTAINER: Final = "sandbox"
RENDERING_ANNOTATION: Final = f"{LABEL_PREFIX}rendering"
"""Hash of what the operator and its settings put into the pod beside what the environment asks for."""
TEMPLATE_KEYS_ANNOTATION: Final = f"{LABEL_PREFIX}template-keys"
"""Keys of the labels and annotations that came from podTemplate, so that those it drops can be taken off the pod."""
LONGEST_REQUEST: Final = 64


@dataclass(frozen=True)
class Volume:
    """Where a Persistent workspace is.

    Attributes
    ----------
    claim
        Name of the claim.
    reinstall
        Mark without which no pack on it is trusted; empty where it is.
    """

    claim: str
    reinstall: str = ""


def sandbox_pod(
    sandbox: Sandbox,
    environment: Environment,
    settings: Settings,
    *,
    user_namespace: bool,
    avoided: tuple[str, ...] = (),
    image_volumes: bool = False,
    work_first: bool = False,
    workspace: Volume | None = None,
    secrets: Mapping[str, str] | None = None,
    grant: EgressGrant | None = None,
    gateway: tuple[str, ...] = (),
    lower: Lower | None = None,
) -> Json:
    """Render the pod of a sandbox, ready to be created.

    Parameters
    ----------
    user_namespace
        Whether root in the pod is to be an unprivileged user of the node (KEP-127).
    avoided
        Host names of nodes that must not run it.
    image_volumes
        Whether the guest comes by one.
    work_first
        Whether the guest installs or unpacks before the sandbox is ready.
    workspace
        Where a Persistent workspace is; None for the claim that begins empty.
    secrets
        Versions of the Secrets that are there, by name.
    grant
        What it may reach; None for nothing.
    gateway
        Addresses of the egress gateway's Service.
    lower
        What lies below the sandbox's own spec, for the pod to remember.
    """
    name = sandbox.metadata.name
    volume = workspace or Volume(claim_name(name))
    spec = _pod_spec(name, environment, settings, volume)
    spec.update(name_service(gateway))
    rendering = _rendering(spec, environment, settings)
    notes = _notes(name, environment, settings, volume) | secrets_annotation(environment, secrets or {})
    notes |= restart_annotation(sandbox) | (egress_annotation(grant) if grant else {}) | (lower.note() if lower else {})
    bring_guest(spec, environment, settings.guest, image_volume=image_volumes, work_first=work_first)
    name_proxy(spec, environment, gateway)
    # Resources and egress change in place; user namespace and image volume are what nodes allowed at the start, and
    # whether the guest has work is what it found there: none of them is rendering.
    _set_resources(spec, environment)
    _place(spec, avoided, user_namespace=user_namespace)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": pod_name(name),
            "namespace": sandbox.metadata.namespace,
            "labels": pod_labels(sandbox, environment, settings),
            "annotations": {**notes, ENVIRONMENT_ANNOTATION: environment.digest(), RENDERING_ANNOTATION: rendering},
            "ownerReferences": [owner_reference(sandbox)],
        },
        "spec": spec,
    }


def _notes(name: str, environment: Environment, settings: Settings, volume: Volume) -> dict[str, str]:
    """Annotations that are no digest: what the sandbox and the installation ask for, and what later passes read."""
    _, annotations = template_metadata(environment)
    elsewhere = environment.workspace.persistent and volume.claim != claim_name(name)
    return {
        **settings.pod_annotations,
        **annotations,
        **template_keys(environment),
        **guest_annotation(environment),
        **({CLAIM_ANNOTATION: volume.claim} if elsewhere else {}),
    }


def restart_annotation(sandbox: Sandbox) -> dict[str, str]:
    """Annotation that notes the restart for which a pod is made; empty where none was ever asked for."""
    asked = sandbox.metadata.annotations.get(RESTART_ANNOTATION, "")[:LONGEST_REQUEST]
    return {RESTART_ANNOTATION: asked} if asked else {}


def _set_resources(spec: Json, environment: Environment) -> None:
    spec["containers"][0]["resources"] = environment.resources.to_json()
    give_room(spec, environment)
    limit_shared_memory(spec["volumes"], environment)


def _place(spec: Json, avoided: tuple[str, ...], *, user_namespace: bool) -> None:
    if user_namespace:
        spec["hostUsers"] = False
    if avoided:
        spec["affinity"] = keeping_off(avoided, spec.get("affinity", {}))


def pod_labels(sandbox: Sandbox, environment: Environment, settings: Settings) -> dict[str, str]:
    """Labels of the pod; what the operator's own work hangs on can't be set by anyone else."""
    labels, _ = template_metadata(environment)
    return {**settings.pod_labels, **labels, **child_labels(sandbox.metadata.name), ROLE_LABEL: SANDBOX_ROLE}


def template_metadata(environment: Environment) -> tuple[dict[str, str], dict[str, str]]:
    """Labels and annotations that the sandbox asks for on its pod."""
    metadata = environment.pod_template.metadata
    return metadata.labels, metadata.annotations


def template_keys(environment: Environment) -> dict[str, str]:
    """Annotation that remembers which labels and annotations came from the sandbox; empty where none did."""
    labels, annotations = template_metadata(environment)
    if not labels and not annotations:
        return {}
    keys = {"labels": sorted(labels), "annotations": sorted(annotations)}
    return {TEMPLATE_KEYS_ANNOTATION: orjson.dumps(keys).decode()}


def _rendering(spec: Json, environment: Environment, settings: Settings) -> str:
    parts = {"spec": spec, "labels": dict(settings.pod_labels), "notes": dict(settings.pod_annotations)}
    return _hash({**parts, "guest": settings.guest.image} if has_programs(environment) else parts)


def _pod_spec(name: str, environment: Environment, settings: Settings, volume: Volume) -> Json:
    spec: Json = {
        "hostname": name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": "Always",
        "securityContext": pod_security_context(environment),
        "containers": [_container(environment, settings, volume)],
        "volumes": [*volumes(volume.claim, environment), *secret_volumes(environment)],
    }
    if settings.priority_class:
        spec["priorityClassName"] = settings.priority_class
    if environment.security.runtime_class_name:
        spec["runtimeClassName"] = environment.security.runtime_class_name
    spec.update(environment.pod_template.spec.to_json())
    add_repository(spec, name, environment, settings.guest)
    return spec


def _container(environment: Environment, settings: Settings, volume: Volume) -> Json:
    container: Json = {
        "name": CONTAINER,
        "image": environment.image,
        "workingDir": environment.working_dir,
        "securityContext": container_security_context(environment),
        "volumeMounts": [*volume_mounts(environment), *secret_mounts(environment), *guest_mounts(environment)],
    }
    if is_guided(environment):
        container["command"] = guest_command(environment, settings.guest, reinstall=volume.reinstall)
    else:
        container["args"] = list(environment.args or ())
    env, env_from = environment_variables(environment), whole_secrets(environment)
    if environment.security.home_is_workspace and not any(variable["name"] == "HOME" for variable in env):
        env.insert(0, {"name": "HOME", "value": environment.workspace.path})
    if env:
        container["env"] = env
    if env_from:
        container["envFrom"] = env_from
    return container


def _hash(value: Json) -> str:
    return sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
