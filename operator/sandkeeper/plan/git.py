"""The repository of a sandbox: what brings it into the workspace, and what Git in the sandbox is told of its server.

A login stands in no argument, no variable and no file of the workspace: it is a mounted Secret, which a program of ours
reads at the moment that Git asks for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from sandkeeper.api.names import WORKTREE_CONTAINER
from sandkeeper.plan.pod_security import least_rights
from sandkeeper.plan.pod_volumes import LOGIN_FOLDER, PROGRAMS, workspace_mount

if TYPE_CHECKING:
    from sandkeeper.api.environment import Environment
    from sandkeeper.api.git import EffectiveGit
    from sandkeeper.plan.observed import GuestSettings

Json = dict[str, Any]

_SECRET_VOLUME: Final = "git-secret"  # noqa: S105
_CONFIG_VOLUME: Final = "git-config"
_CONFIG: Final = "/.sandkeeper/git-config"
_CONFIG_FILE: Final = f"{_CONFIG}/config"
_WORKSPACE: Final = "/workspace"
_READABLE: Final = 0o440
_COUNT: Final = "GIT_CONFIG_COUNT"
_COUNT_DIGITS: Final = 3
_PROXIES: Final = frozenset({"HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"})
_USED: Final = frozenset({"cpu", "memory", "ephemeral-storage"})


def add_repository(spec: Json, sandbox: str, environment: Environment, settings: GuestSettings) -> None:
    """Add to a pod what its repository comes by; nothing where it has none.

    Parameters
    ----------
    spec
        Of the pod, with the sandbox's container in it.
    sandbox
        Name of the sandbox.
    """
    git, container = environment.git, spec["containers"][0]
    if git is None:
        return
    container["env"] = _configured(container.get("env", []), git, environment)
    if git.credentials_secret:
        spec["volumes"] += _volumes(git.credentials_secret)
        container["volumeMounts"] += _mounts(read_only=True)
    spec["initContainers"] = [_init_container(sandbox, git, environment, settings)]


def give_room(spec: Json, environment: Environment) -> None:
    """Let the clone use what its sandbox may use, which adds nothing to the pod and keeps its QoS class."""
    for container in spec.get("initContainers", ()):
        if container["name"] == WORKTREE_CONTAINER:
            container["resources"] = {
                kind: {name: amount for name, amount in amounts.items() if name in _USED}
                for kind, amounts in environment.resources.to_json().items()
            }


def _volumes(secret: str) -> list[Json]:
    return [
        {"name": _SECRET_VOLUME, "secret": {"secretName": secret, "optional": False, "defaultMode": _READABLE}},
        {"name": _CONFIG_VOLUME, "emptyDir": {"sizeLimit": "1Mi"}},
    ]


def _mounts(*, read_only: bool) -> list[Json]:
    config = {"name": _CONFIG_VOLUME, "mountPath": _CONFIG}
    return [
        {"name": _SECRET_VOLUME, "mountPath": LOGIN_FOLDER, "readOnly": True},
        config | {"readOnly": True} if read_only else config,
    ]


def _init_container(sandbox: str, git: EffectiveGit, environment: Environment, settings: GuestSettings) -> Json:
    mounts = [workspace_mount(environment, _WORKSPACE)]
    if git.credentials_secret:
        mounts += _mounts(read_only=False)
    room = {"name": "GOMEMLIMIT", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory"}}}
    proxies = [variable.to_json() for variable in environment.env if variable.name in _PROXIES]
    # As root it works on files of whatever user the sandbox's image has.
    rights = ("CHOWN", "DAC_OVERRIDE", "FOWNER") if environment.security.root else ()
    return {
        "name": WORKTREE_CONTAINER,
        "image": settings.image,
        "imagePullPolicy": settings.pull_policy,
        "command": ["/worktree", "prepare", *map(_literal, _arguments(sandbox, git)), _WORKSPACE],
        "env": [room, *proxies],
        "securityContext": least_rights(*rights),
        "volumeMounts": mounts,
    }


def _arguments(sandbox: str, git: EffectiveGit) -> list[str]:
    given = {"--repository": git.repository, "--branch": git.branch_of(sandbox)}
    if git.ref:
        given["--ref"] = git.ref
    if git.credentials_secret:
        given |= {"--secret": LOGIN_FOLDER, "--config": _CONFIG_FILE}
    return [f"{name}={value}" for name, value in given.items()]


def _configured(env: list[Json], git: EffectiveGit, environment: Environment) -> list[Json]:
    """Add to the variables those that configure Git, after what they configure themselves (git-config(1))."""
    own = next((variable.get("value", "") for variable in env if variable["name"] == _COUNT), "")
    # Admission bounds it beside git, which may come from another layer.
    first = int(own) if own.isascii() and own.isdecimal() and len(own) <= _COUNT_DIGITS else 0
    entries = _entries(git, environment)
    added: list[Json] = []
    for number, (key, value) in enumerate(entries, first):
        added.append({"name": f"GIT_CONFIG_KEY_{number}", "value": key})
        added.append({"name": f"GIT_CONFIG_VALUE_{number}", "value": _literal(value)})
    total = {"name": _COUNT, "value": str(first + len(entries))}
    names = {total["name"], *(each["name"] for each in added)}
    return [*(variable for variable in env if variable["name"] not in names), total, *added]


def _entries(git: EffectiveGit, environment: Environment) -> list[tuple[str, str]]:
    """Configuration of Git: keys and values, in their order."""
    # The workspace itself belongs to root, also where the sandbox is run as somebody else.
    entries = [("safe.directory", environment.workspace.path)]
    if git.credentials_secret:
        helper = f"credential.https://{urlsplit(git.repository).netloc}.helper"
        program = f"{PROGRAMS}/worktree credential --repository='{git.repository}' --secret={LOGIN_FOLDER}"
        # The empty one drops all others: none of them is to store what ours answers. A file that is not there is
        # included without a word, and it is there where the Secret holds an authority.
        entries += [(helper, ""), (helper, program), ("include.path", _CONFIG_FILE)]
    return entries


def _literal(text: str) -> str:
    """Keep the kubelet from taking $(NAME) for a variable."""
    return text.replace("$", "$$")
