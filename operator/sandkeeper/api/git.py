"""The repository that the agent works on, and the branch that its work is on."""

import re
from typing import Final

from pydantic import Field

from .model import JsonSchema, Model, checks, object_name, rule

BRANCH_PREFIX: Final = "sandbox/"

_REPOSITORY: Final = r"^https://[a-zA-Z0-9]([-.a-zA-Z0-9]*[a-zA-Z0-9])?(:[1-9][0-9]{0,4})?(/[-._~%+!,=a-zA-Z0-9]+)+/?$"
_AMISS: Final = r"[\\x00-\\x20\\x7f~^:?*\\[\\\\]|[.][.]|@[{]|//|(^|/)[.]|[.](lock)?(/|$)|^[-/]|/$|^(@|HEAD)$|^$"
"""What git-check-ref-format(1) keeps out of names; HEAD is no name of a branch. Backslashes are doubled for CEL."""
_LONGEST_REF: Final = 200
_LONGEST_ADDRESS: Final = 1024


def _ref(what: str) -> JsonSchema:
    return checks(
        rule(
            f"!self.matches('{_AMISS}')",
            f"must be the name of {what}: no blanks, control characters, ~ ^ : ? * [ \\ .. // and @{{, no part that "
            "begins with '.' or ends with '.' or '.lock', no '-' or '/' in front and no '/' at the end",
        ),
        maxLength=_LONGEST_REF,
    )


class Git(Model):
    """The repository that the agent works on."""

    repository: str | None = Field(
        default=None,
        description="Address of the repository, by HTTPS and without a login in it. It is cloned into the workspace "
        "before the sandbox is ready, where no checkout is there yet; one of another repository is never overwritten. "
        "Default: none; must be given.",
        json_schema_extra=checks(
            rule(
                f"self.matches('{_REPOSITORY}')",
                "must be an address by HTTPS, without login, query and fragment, such as "
                "https://github.com/example/app.git",
            ),
            maxLength=_LONGEST_ADDRESS,
        ),
    )
    ref: str | None = Field(
        default=None,
        description="Branch, tag or commit that a new branch begins at when the repository is cloned. Default: the "
        "repository's own HEAD.",
        json_schema_extra=_ref("a branch, tag or commit, such as main or v1.2"),
    )
    branch: str | None = Field(
        default=None,
        description="Branch that the work is on. One that the repository has is gone on with; another name later takes "
        "the work to a new branch, without touching any file. Default: sandbox/NAME, with the sandbox's name.",
        json_schema_extra=_ref("a branch, such as agent/refactoring"),
    )
    credentials_secret: str | None = Field(
        default=None,
        description="Secret with username and password, or token, for the repository's server, and with ca.crt where "
        "its certificate is signed by an authority of one's own. Processes of the sandbox can read it. Default: none.",
        json_schema_extra=object_name("github"),
    )


class GitStatus(Model):
    """State of the checkout in the workspace."""

    branch: str | None = Field(default=None, description="Branch that was checked out; absent for none.")
    commit: str | None = Field(default=None, description="Commit that was checked out; absent before the first.")
    dirty_files: int | None = Field(
        default=None,
        description="Files with changes that were not committed; absent where they could not be counted in time.",
    )


class EffectiveGit(Model):
    """A repository with nothing left open but the branch of a sandbox that names none."""

    repository: str
    ref: str | None = None
    branch: str | None = None
    credentials_secret: str | None = None

    def branch_of(self, sandbox: str) -> str:
        """Branch that the work of a sandbox is on."""
        return self.branch or BRANCH_PREFIX + sandbox


def misnamed(git: Git) -> str:
    """Name the field that the apiserver would refuse, of what it has not judged; empty for none."""
    address = git.repository
    if address is not None and (len(address) > _LONGEST_ADDRESS or not re.fullmatch(_REPOSITORY, address)):
        return "git.repository"
    amiss = re.compile(_AMISS.replace("\\\\", "\\"))
    for field, name in (("git.ref", git.ref), ("git.branch", git.branch)):
        if name is not None and (len(name) > _LONGEST_REF or amiss.search(name)):
            return field
    return ""
