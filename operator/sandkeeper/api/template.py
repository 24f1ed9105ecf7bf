"""The kind SandboxTemplate: a named environment that sandboxes share."""

from typing import Final

from pydantic import ConfigDict, Field

from .exclusions import ENVIRONMENT_EXCLUSIONS
from .metadata import ObjectMeta
from .model import Model, checks, rule
from .sandbox import EnvironmentSpec
from .secrets import SECRETS_APART
from .workspace import SAME_TYPE, kept

_NO_BRANCH: Final = rule(
    "!has(self.git) || !has(self.git.branch)",
    "is each sandbox's own, by default sandbox/ and its name; leave it out of what sandboxes share",
    fieldPath=".git.branch",
    reason="FieldValueForbidden",
)
_REPOSITORY: Final = rule(
    "!has(self.git) || has(self.git.repository)",
    "must be given with git: the address of what is to be cloned, such as https://github.com/example/app.git",
    fieldPath=".git.repository",
    reason="FieldValueRequired",
)
_SAME_TYPE: Final = kept("type", "what is in the sandboxes' workspaces can't follow; make another template", SAME_TYPE)


class SandboxTemplateSpec(EnvironmentSpec):
    """The environment. A sandbox that names the template may write any of these fields itself, which then counts."""

    model_config = ConfigDict(
        json_schema_extra=checks(*ENVIRONMENT_EXCLUSIONS, _SAME_TYPE, *SECRETS_APART, _NO_BRANCH, _REPOSITORY)
    )


class SandboxTemplate(Model):
    """A named environment that sandboxes share."""

    metadata: ObjectMeta
    spec: SandboxTemplateSpec = Field(
        description="The environment. A sandbox that names the template may write any of these fields itself, which "
        "then counts."
    )
