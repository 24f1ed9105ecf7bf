"""Secrets that a sandbox takes by reference, as variables or as files; none of their values is ever read here."""

from typing import Annotated, Final

from pydantic import ConfigDict, Field

from .containers import DATA_KEY
from .directories import SECRET_PATH
from .model import MAX_NAME, JsonSchema, Model, checks, object_name, rule

ENV: Final = "Env"
FILES: Final = "Files"
IGNORE: Final = "Ignore"
RESTART: Final = "Restart"
MOUNT_ROOT: Final = "/run/secrets"

_KEY = Annotated[str, Field(json_schema_extra=checks(DATA_KEY, maxLength=MAX_NAME))]
# "as" is a reserved word of CEL, which the apiserver writes like this.
_IS_FILES: Final = "has({each}.__as__) && {each}.__as__ == 'Files'"
_WORKSPACE: Final = "(has(self.workspace) && has(self.workspace.path) ? self.workspace.path : '/workspace')"


def _only_as(form: str, field: str, check: str, what: str) -> JsonSchema:
    """Build the rule of a field that means nothing in the other form."""
    return rule(
        f"!has(self.{field}) || ({check})",
        f"is only for {what}; leave it out, or write as: {form}",
        fieldPath=f".{field}",
        reason="FieldValueForbidden",
    )


class Secret(Model):
    """A Secret of the sandbox's namespace, and how its keys come into the sandbox."""

    model_config = ConfigDict(
        json_schema_extra=checks(
            _only_as(ENV, "prefix", f"!({_IS_FILES.format(each='self')})", "variables"),
            _only_as(FILES, "mountPath", _IS_FILES.format(each="self"), "files"),
        )
    )

    name: str = Field(
        description="Name of the Secret, in the sandbox's namespace. While it is not there, the sandbox waits for it "
        "as SecretMissing.",
        json_schema_extra=object_name("openai"),
    )
    form: str | None = Field(
        default=None,
        alias="as",
        description="Env: each key is an environment variable. Files: each key is a file, and a changed Secret changes "
        "it within about a minute. Default: Env.",
        json_schema_extra=checks(enum=[ENV, FILES]),
    )
    keys: tuple[_KEY, ...] | None = Field(
        default=None,
        description="Keys that the sandbox gets, each of which has to be there. Default: all.",
        json_schema_extra=checks(
            rule("self.size() > 0", "is empty but must name at least one key; leave it out to take all"), maxItems=64
        )
        | {"x-kubernetes-list-type": "set"},
    )
    prefix: str | None = Field(
        default=None,
        description="What stands before each key in the name of its variable; only with as: Env. Default: nothing.",
        json_schema_extra=checks(
            rule(
                "self.matches('^[ -<>-~]+$')",
                "must be one or more printable ASCII characters other than '=', such as OPENAI_",
            ),
            maxLength=128,
        ),
    )
    mount_path: str | None = Field(
        default=None,
        description="Absolute path of the directory that has the files, outside of the workspace and of the system's "
        "own directories; only with as: Files. Default: /run/secrets/NAME, with the Secret's name.",
        json_schema_extra=SECRET_PATH,
    )
    on_change: str | None = Field(
        default=None,
        description="What a change of the Secret means for a sandbox that runs. Ignore: variables stay as they are "
        "until the next start. Restart: a new pod, as for a change of the spec; only where the chart's "
        "secrets.restartOnChange lets the operator see changes of Secrets. Default: Ignore.",
        json_schema_extra=checks(enum=[IGNORE, RESTART]),
    )


class EffectiveSecret(Model):
    """A Secret with nothing left open; no keys are all of them."""

    name: str
    form: str = Field(default=ENV, alias="as")
    keys: tuple[str, ...] = ()
    prefix: str = ""
    mount_path: str = ""
    on_change: str = IGNORE

    @property
    def restarts(self) -> bool:
        """Whether a change of it makes a new pod."""
        return self.on_change == RESTART


def effective(secret: Secret) -> EffectiveSecret:
    """Fill in the defaults of a Secret, and drop what means nothing in its form."""
    written = secret.model_dump(exclude_none=True)
    if secret.form == FILES:
        written |= {"prefix": "", "mount_path": secret.mount_path or f"{MOUNT_ROOT}/{secret.name}"}
    else:
        written |= {"mount_path": ""}
    if secret.keys:
        # Another order is the same environment, so it must not make another pod.
        written["keys"] = tuple(sorted(secret.keys))
    return EffectiveSecret.model_validate(written)


# What they have in common with files that have no mountPath, `misplaced` tells: the apiserver is to judge little.
SECRETS: Final = checks(
    rule(
        "self.all(one, !has(one.mountPath) || self.exists_one(other, has(other.mountPath) "
        "&& (other.mountPath + '/').startsWith(one.mountPath + '/')))",
        "each mountPath must be apart from the others, neither the same nor below one of them",
    ),
    maxItems=32,
) | {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
"""For a list of Secrets."""

SECRETS_APART: Final = (
    rule(
        "!has(self.secrets) || self.secrets.all(one, !has(one.mountPath) || "
        f"(!(one.mountPath + '/').startsWith({_WORKSPACE} + '/') "
        f"&& !({_WORKSPACE} + '/').startsWith(one.mountPath + '/')))",
        "each mountPath must be outside of the workspace, and not above it",
        fieldPath=".secrets",
    ),
    rule(
        "!has(self.secrets) || !has(self.security) || !has(self.security.writablePaths) || "
        "self.secrets.all(one, !has(one.mountPath) || !self.security.writablePaths.exists(path, "
        "(path + '/').startsWith(one.mountPath + '/')))",
        "no mountPath may be at or above one of security.writablePaths: what is mounted is read-only",
        fieldPath=".secrets",
    ),
)
"""Rules over the whole spec: where files of Secrets are not to be."""


def misplaced(secrets: tuple[EffectiveSecret, ...], workspace: str, writable_paths: tuple[str, ...]) -> str:
    """Tell what the rules above do not see: what comes from different layers or from a default; empty for nothing."""
    files = [each for each in secrets if each.form == FILES]
    for one in files:
        path = one.mount_path
        others = [*(each.mount_path for each in files if each is not one), *writable_paths, workspace]
        taken = next((each for each in others if _within(each, path)), workspace if _within(path, workspace) else "")
        if taken:
            return f"spec.secrets: Secret {one.name} can't be mounted at {path}, since {taken} is mounted too."
    return ""


def _within(path: str, above: str) -> bool:
    return f"{path}/".startswith(f"{above}/")
