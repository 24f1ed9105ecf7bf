"""What is mounted in a sandbox: the workspace, shared memory, and what is writable on a read-only root file system."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sandkeeper.api.directories import SHARED_MEMORY
from sandkeeper.api.quantities import binary, canonical, parsed

if TYPE_CHECKING:
    from sandkeeper.api.environment import Environment

Json = dict[str, Any]

PROGRAMS: Final = "/.sandkeeper/bin"
"""Where a sandbox has the programs of the guest's image."""
LOGIN_FOLDER: Final = "/.sandkeeper/git-secret"
"""Where it has its login for Git, if it has one."""
WORKSPACE_VOLUME: Final = "workspace"
WORKSPACE_SUB_PATH: Final = "workspace"
"""Directory of a claim's volume that is mounted: a file system's own ``lost+found`` stays out of sight."""
_SHARED_MEMORY_VOLUME: Final = "shared-memory"


def volumes(claim: str, environment: Environment) -> list[Json]:
    """Render the pod's volumes.

    Parameters
    ----------
    claim
        Name of the claim that a Persistent workspace is on.

    Notes
    -----
    Those of writable paths have no limit of their own: together with the root file system they are held to the limit of
    ephemeral storage, beyond which the kubelet evicts the pod.
    """
    return [
        {"name": WORKSPACE_VOLUME, **_workspace(claim, environment)},
        # Runtimes give 64Mi, with which browsers and PyTorch's data loaders crash.
        {"name": _SHARED_MEMORY_VOLUME, "emptyDir": {"medium": "Memory"}},
        *({"name": name, "emptyDir": {}} for name in _writable(environment)),
    ]


def volume_mounts(environment: Environment) -> list[Json]:
    """Render where the container has the volumes."""
    return [
        workspace_mount(environment, environment.workspace.path),
        {"name": _SHARED_MEMORY_VOLUME, "mountPath": SHARED_MEMORY},
        *({"name": name, "mountPath": path} for name, path in _writable(environment).items()),
    ]


def workspace_mount(environment: Environment, path: str) -> Json:
    """Render where a container has the workspace."""
    mount = {"name": WORKSPACE_VOLUME, "mountPath": path}
    return mount | {"subPath": WORKSPACE_SUB_PATH} if environment.workspace.persistent else mount


def limit_shared_memory(volumes: list[Json], environment: Environment) -> None:
    """Set the size of the shared memory: half the memory limit, as Linux gives half the memory of a machine.

    What is in it counts against that limit and outlives a container that was killed for it. With half, one that starts
    again has room to delete it.
    """
    half = canonical(binary(parsed(environment.resources.limits["memory"]) // 2))
    for volume in volumes:
        if volume["name"] == _SHARED_MEMORY_VOLUME:
            volume["emptyDir"]["sizeLimit"] = half


def _workspace(claim: str, environment: Environment) -> Json:
    if environment.workspace.persistent:
        return {"persistentVolumeClaim": {"claimName": claim}}
    return {"emptyDir": {"sizeLimit": environment.workspace.size}}


def _writable(environment: Environment) -> dict[str, str]:
    """Paths that need a volume of their own, by its name; those in the workspace are writable with it."""
    workspace = environment.workspace.path
    paths = [
        path
        for path in environment.security.writable_paths or ()
        if path not in {workspace, SHARED_MEMORY} and not path.startswith(f"{workspace}/")
    ]
    return {f"writable-{number}": path for number, path in enumerate(paths)}
