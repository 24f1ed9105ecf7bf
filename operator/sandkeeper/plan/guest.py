"""The guest: the program of ours that is the first process of a sandbox, and how it gets into any image.

It runs as the tenant does and may be replaced by the tenant at will: nothing outside trusts what it says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from sandkeeper.api.names import GUEST_ANNOTATION, GUEST_CONTAINER, GUEST_KEEPS, GUEST_RUNS
from sandkeeper.plan.made_from import is_restored, note_of
from sandkeeper.plan.origin import Origin, origin_of
from sandkeeper.plan.pod_security import least_rights
from sandkeeper.plan.pod_state import WAKING, condition
from sandkeeper.plan.pod_volumes import PROGRAMS, WORKSPACE_VOLUME
from sandkeeper.plan.secrets import sources_of_values
from sandkeeper.plan.workspace_choice import is_rolling_back

if TYPE_CHECKING:
    from sandkeeper.api.environment import Environment
    from sandkeeper.plan.observed import GuestSettings, Observed

Json = dict[str, Any]

_VOLUME: Final = "guest"
_SYSTEM: Final = "/.sandkeeper/system"
_GUEST: Final = f"{PROGRAMS}/guest"
PACK_COMMAND: Final = (_GUEST, "pack")
QUIESCE_COMMAND: Final = (_GUEST, "quiesce")
"""Packs where the sandbox keeps its root file system, and syncs its volume in any case."""
_AWAITED: Final = {"postStart": {"exec": {"command": [_GUEST, "await"]}}}
"""Keeps a container from being running until its guest knows what the image had: what changes before can't be told from
that. A probe would come up to a second later."""
_TINY: Final = {"cpu": "100m", "memory": "64Mi", "ephemeral-storage": "64Mi"}
"""Less than any sandbox asks for, so that it adds nothing to the pod; limits as requests, which keep any QoS class."""


def is_guided(environment: Environment) -> bool:
    """Whether the guest is the first process: it is not where the image's own entry point, unknown to us, has to be."""
    return not environment.runs_entry_point


def has_programs(environment: Environment) -> bool:
    """Whether the programs of the guest's image are in the sandbox: Git asks one of them for its login."""
    return is_guided(environment) or environment.git is not None


def guest_command(environment: Environment, settings: GuestSettings, *, reinstall: str = "") -> list[str]:
    """Command of the container: with no command of the sandbox's own the guest keeps it alive.

    Parameters
    ----------
    reinstall
        Mark that no former tenant of the volume knows: until it stands there, the guest uses no pack and installs anew.
        Empty where the pack is the sandbox's own.
    """
    words = (*(environment.command or ()), *(environment.args or ()))
    # The kubelet expands $(NAME) in commands and takes $$ for a $; what tenants write is to stay as it is.
    content = _given(environment, settings, reinstall)
    given = orjson.dumps(content, option=orjson.OPT_SORT_KEYS).decode().replace("$", "$$")
    return [_GUEST, "run", "--settings", given, "--", *words]


def _given(environment: Environment, settings: GuestSettings, reinstall: str) -> Json:
    given: Json = {"workspace": environment.workspace.path}
    packages = environment.packages.model_dump(exclude_defaults=True)
    if packages:
        given["packages"] = packages
    if environment.setup:
        given["setup"] = environment.setup
    secrets = sources_of_values(environment) if environment.installs else {}
    if secrets:
        given["secrets"] = secrets
    if environment.git:
        given["git"] = True
    if environment.workspace.keep_packages:
        given |= {"keep": True, "packLimit": settings.pack_limit}
        if reinstall:
            given["reinstall"] = reinstall
    return given


def guest_mounts(environment: Environment) -> list[Json]:
    """Render what the container has of the guest's: the programs, and where packs are kept."""
    if not has_programs(environment):
        return []
    mounts: list[Json] = [{"name": _VOLUME, "mountPath": PROGRAMS, "readOnly": True}]
    if environment.workspace.keep_packages:
        mounts.append({"name": WORKSPACE_VOLUME, "mountPath": _SYSTEM, "subPath": "system"})
    return mounts


def guest_annotation(environment: Environment) -> dict[str, str]:
    """Render the annotation that says what the guest of a pod does; none where there is no guest."""
    if not is_guided(environment):
        return {}
    return {GUEST_ANNOTATION: GUEST_KEEPS if environment.workspace.keep_packages else GUEST_RUNS}


def by_image_volume(observed: Observed) -> bool:
    """Whether a new pod gets its guest by an image volume.

    Medians of 20 side by side, POST to Ready: 0.69 s with an image volume, 0.70 s without any guest, and 1.41 s with an
    init container, whose end the kubelet notices within a second.
    """
    delivery = observed.settings.guest.delivery
    return observed.nodes.image_volumes if delivery == "Auto" else delivery == "ImageVolume"


def bring_guest(
    spec: Json, environment: Environment, settings: GuestSettings, *, image_volume: bool, work_first: bool
) -> None:
    """Add to a pod what its guest comes by, and what waits for it.

    Parameters
    ----------
    image_volume
        Whether it comes by an image volume, rather than by an init container that copies it.
    work_first
        Whether it has something to do before the pod is ready.
    """
    if not has_programs(environment):
        return
    if work_first:
        spec["containers"][0]["startupProbe"] = _ready_probe(settings)
    elif environment.workspace.keep_packages:
        spec["containers"][0]["lifecycle"] = _AWAITED
    if image_volume:
        source: Json = {"image": {"reference": settings.image, "pullPolicy": settings.pull_policy}}
    else:
        source = {"emptyDir": {"sizeLimit": _TINY["ephemeral-storage"]}}
        spec["initContainers"] = [_init_container(settings), *spec.get("initContainers", ())]
    spec["volumes"].append({"name": _VOLUME, **source})
    if settings.pull_secrets:
        own = spec.get("imagePullSecrets", [])
        added = [{"name": name} for name in settings.pull_secrets]
        spec["imagePullSecrets"] = [*own, *(each for each in added if each not in own)]


def _init_container(settings: GuestSettings) -> Json:
    return {
        "name": GUEST_CONTAINER,
        "image": settings.image,
        "imagePullPolicy": settings.pull_policy,
        "command": ["/guest", "install", PROGRAMS],
        "resources": {"limits": dict(_TINY), "requests": dict(_TINY)},
        "securityContext": least_rights(),
        "volumeMounts": [{"name": _VOLUME, "mountPath": PROGRAMS}],
    }


def _ready_probe(settings: GuestSettings) -> Json:
    """Render what keeps a pod from being ready until its guest is; the kubelet ends one that takes too long."""
    return {
        "exec": {"command": [_GUEST, "ready"]},
        "periodSeconds": 1,
        "timeoutSeconds": 5,
        "failureThreshold": max(1, round(settings.install_timeout.total_seconds())),
    }


def has_work_first(observed: Observed, environment: Environment) -> bool:
    """Whether the guest of a new pod has something to do before the pod is ready.

    See `left_a_pack` for what a former pod may have left to it.
    """
    if not is_guided(environment):
        return False
    if environment.installs:
        return True
    left = left_a_pack(observed.status) and not _is_untouched(observed)
    return bool(environment.workspace.keep_packages) and (left or _brings_one(observed))


def _is_untouched(observed: Observed) -> bool:
    """Whether no pod was on the workspace yet that may have left something: the status tells of another one's."""
    return is_rolling_back(observed) and observed.failure is None


def _brings_one(observed: Observed) -> bool:
    """Whether a workspace came with what may be a pack: it is made from something, or is to be."""
    if observed.claim is not None:
        return is_restored(observed.claim) and note_of(observed.claim).get("packed") is not False
    origin = origin_of(observed)
    return isinstance(origin, Origin) and origin.note.get("packed") is not False


def left_a_pack(status: Json) -> bool:
    """Whether a former pod of a sandbox may have left a pack.

    One that was lost may have left one that nobody heard of; one that was put to sleep left what the status says.
    """
    slept = "asleep" in status or condition({"status": status}, "Ready").get("reason") == WAKING
    return "pack" in status or ("startupSeconds" in status and not slept)
