"""Which template a sandbox is of, and when it takes what changes in that."""

from typing import Final

from pydantic import Field

from .model import Model, checks, object_name

ON_RESTART: Final = "OnRestart"
IMMEDIATE: Final = "Immediate"


class TemplateReference(Model):
    """A SandboxTemplate of the namespace."""

    name: str = Field(description="Its name.", json_schema_extra=object_name("python"))
    rollout: str | None = Field(
        default=None,
        description="When a later change of the template is taken. OnRestart: when the pod is started anew for another "
        "reason, as after sleep. Immediate: at once, by a new pod where the change takes one. Default: OnRestart.",
        json_schema_extra=checks(enum=[ON_RESTART, IMMEDIATE]),
    )

    @property
    def at_once(self) -> bool:
        """Whether a change of the template is taken at once."""
        return self.rollout == IMMEDIATE
