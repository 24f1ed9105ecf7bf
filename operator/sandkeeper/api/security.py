"""How strongly a sandbox is walled off from its node, and what it may do inside."""

from typing import Annotated, Final

from pydantic import Field

from .directories import WRITABLE_PATH
from .model import Model, checks, object_name, rule

USER_NAMESPACE: Final = ("Auto", "Required", "Never")
_PATH = Annotated[str, Field(json_schema_extra=WRITABLE_PATH)]


class Security(Model):
    """How strongly the sandbox is walled off from its node."""

    runtime_class_name: str | None = Field(
        default=None,
        description="RuntimeClass of the pod, such as the cluster's one for gVisor or Kata Containers. Default: the "
        "container runtime's own.",
        json_schema_extra=object_name("gvisor"),
    )
    root: bool | None = Field(
        default=None,
        description="Whether the sandbox is run as root. With false it is run as user and group 1000, without any "
        "capability and without a way to gain one; HOME is then the workspace unless env sets it. Default: true.",
    )
    user_namespace: str | None = Field(
        default=None,
        description="Whether users of the sandbox are other, unprivileged users on its node. Auto: where all nodes "
        "that may run the pod can do that. Required: only on nodes that can; while there is none, no pod is made and "
        "the reason is NoUserNamespace. Never: root in the sandbox is root on its node, but for what capabilities and "
        "seccomp keep from it. Default: Auto.",
        json_schema_extra=checks(enum=[*USER_NAMESPACE]),
    )
    writable_paths: tuple[_PATH, ...] | None = Field(
        default=None,
        description="Makes the root file system read-only but for these directories, which begin empty and are lost "
        "with the pod. The workspace and /dev/shm are always writable; HOME is then the workspace unless env sets it. "
        "With an empty list nothing else is writable. Default: all is writable.",
        json_schema_extra=checks(
            rule(
                "!self.exists(one, self.exists(other, one.startsWith(other + '/')))",
                "must not name a directory below another, which is writable as a whole",
            ),
            maxItems=16,
        )
        | {"x-kubernetes-list-type": "set"},
    )


class EffectiveSecurity(Model):
    """Security with nothing left open but what the runtime and the image decide."""

    runtime_class_name: str | None = None
    root: bool = True
    user_namespace: str = "Auto"
    writable_paths: tuple[str, ...] | None = None

    @property
    def home_is_workspace(self) -> bool:
        """Whether the image's own home directory is of no use: somebody else's, or read-only."""
        return not self.root or self.writable_paths is not None
