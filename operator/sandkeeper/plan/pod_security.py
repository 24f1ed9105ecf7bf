"""What processes of a sandbox may do: as whom they run, and with which privileges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sandkeeper.plan.secrets import has_files

if TYPE_CHECKING:
    from sandkeeper.api.environment import Environment

Json = dict[str, Any]

CAPABILITIES: Final = (
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
)
"""What dpkg, pip, npm and useradd need as root: a subset of every runtime's default, without NET_RAW and MKNOD."""
USER: Final = 1000
"""User and group of a sandbox without root: the first ordinary user of most images, where they have one at all."""


def least_rights(*capabilities: str) -> Json:
    """Render the security context of a container that runs a program of ours, and takes only what that works by."""
    added = {"add": list(capabilities)} if capabilities else {}
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"], **added},
    }


def pod_security_context(environment: Environment) -> Json:
    """Render the security context of the pod."""
    context: Json = {"seccompProfile": {"type": "RuntimeDefault"}}
    if not environment.security.root:
        context |= {"runAsNonRoot": True, "runAsUser": USER, "runAsGroup": USER}
    if _is_for_others(environment):
        # A new volume, a checkout and a Secret belong to root, and an image may run as another user of its own. A
        # volume that has the group already is not walked through at every start.
        context |= {"fsGroup": USER, "fsGroupChangePolicy": "OnRootMismatch"}
    return context


def _is_for_others(environment: Environment) -> bool:
    """Whether something is mounted that belongs to root, or that somebody else than root is to write."""
    mounted = environment.workspace.persistent or environment.git is not None or has_files(environment)
    return mounted or not environment.security.root


def container_security_context(environment: Environment) -> Json:
    """Render the security context of the container.

    With root, gaining privileges by set-uid programs stays allowed: agents run `sudo` and `su` as users that they add,
    and a program that becomes root has no more than root in the sandbox had anyway, since the capabilities above bound
    it. Without root there is nobody to become.
    """
    if environment.security.root:
        context: Json = {"capabilities": {"drop": ["ALL"], "add": list(CAPABILITIES)}}
    else:
        context = {"capabilities": {"drop": ["ALL"]}, "allowPrivilegeEscalation": False}
    if environment.security.writable_paths is not None:
        context["readOnlyRootFilesystem"] = True
    return context
