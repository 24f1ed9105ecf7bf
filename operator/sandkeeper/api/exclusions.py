"""What the fields of a spec can't ask for together: those of every environment, and those of a Sandbox alone."""

from typing import Final

from .model import JsonSchema, rule

_ROOTLESS: Final = "has(self.security) && has(self.security.root) && !self.security.root"
_READ_ONLY: Final = "has(self.security) && has(self.security.writablePaths)"
_ENTRY_POINT: Final = "!has(self.command) && has(self.args)"
_EPHEMERAL: Final = "has(self.workspace) && has(self.workspace.type) && self.workspace.type == 'Ephemeral'"
_KEEPS: Final = "has(self.workspace) && has(self.workspace.keepPackages) && self.workspace.keepPackages"
_IDLES: Final = (
    "has(self.lifecycle) && has(self.lifecycle.idleTimeout) && !self.lifecycle.idleTimeout.matches('^(0+(h|m|s|ms))+$')"
)
_SCHEDULED: Final = "has(self.snapshots) && has(self.snapshots.schedule)"
_BEFORE_THE_COMMAND: Final = (
    "before the command, and args alone leave that to the image; write its entry point as command"
)


def _exclusion(field: str, asked: str, other: str, message: str) -> JsonSchema:
    """Build the rule that a field is not given together with something else."""
    return rule(f"!({asked} && {other})", message, fieldPath=f".{field}", reason="FieldValueForbidden")


_REPOSITORY: Final = "!has(self.git) || has(self.git.repository) || has(self.source) || has(self.templateRef)"
_OWN_CONFIGURATION: Final = (
    "!has(self.git) || !has(self.env) || self.env.all(one, one.name != 'GIT_CONFIG_COUNT' "
    "|| (has(one.value) && one.value.size() < 4))"
)

ENVIRONMENT_EXCLUSIONS: Final = (
    _exclusion(
        "packages",
        "has(self.packages)",
        _ROOTLESS,
        "need root to be installed; leave out packages or security.root: false",
    ),
    _exclusion(
        "packages",
        "has(self.packages)",
        _READ_ONLY,
        "need a writable root file system; leave out packages or security.writablePaths",
    ),
    _exclusion("packages", "has(self.packages)", _ENTRY_POINT, f"are installed {_BEFORE_THE_COMMAND}"),
    _exclusion("setup", "has(self.setup)", _ENTRY_POINT, f"is run {_BEFORE_THE_COMMAND}"),
    _exclusion(
        "workspace.keepPackages",
        _KEEPS,
        f"({_ROOTLESS} || {_READ_ONLY})",
        "keeps what root changes outside of the workspace; leave it out, or security.root: false and writablePaths",
    ),
    rule(
        _OWN_CONFIGURATION,
        "must give GIT_CONFIG_COUNT as a value, a number below 1000, beside git, which adds to that configuration",
        fieldPath=".env",
        reason="FieldValueForbidden",
    ),
)
"""Rules over what makes an environment."""

EXCLUSIONS: Final = (
    *ENVIRONMENT_EXCLUSIONS,
    _exclusion(
        "lifecycle.idleTimeout",
        _IDLES,
        _EPHEMERAL,
        "would lose an Ephemeral workspace; leave it out, or make the workspace Persistent",
    ),
    _exclusion(
        "snapshots.schedule",
        _SCHEDULED,
        _EPHEMERAL,
        "would copy a workspace that has no volume; leave it out, or make the workspace Persistent",
    ),
    rule(
        _REPOSITORY,
        "must be given with git where neither source nor templateRef is: the address of what is to be cloned, such as "
        "https://github.com/example/app.git",
        fieldPath=".git.repository",
        reason="FieldValueRequired",
    ),
)
"""Rules over the whole spec of a Sandbox."""
