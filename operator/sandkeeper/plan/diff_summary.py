"""What the pod of a diff says at its end.

The program is ours, but what it read was a tenant's: names of packages and branches may hold anything. They are read
strictly, bounded, and made fit to be shown.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sandkeeper.api.diff import Changes, DiffSummary, GitChange, GitState, PackageChanges, PackageNames
from sandkeeper.plan.tenant_text import harmless

Json = dict[str, Any]

_MOST: Final = 2**63 - 1
_LONGEST_NAME: Final = 300
_LONGEST_REF: Final = 255

_Number = Annotated[int, Field(ge=0, le=_MOST)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True)


class _Counts(_Strict):
    added: _Number
    changed: _Number
    deleted: _Number
    bytes_added: _Number = Field(alias="bytesAdded")
    bytes_deleted: _Number = Field(alias="bytesDeleted")

    def told(self) -> Changes:
        return Changes(**self.model_dump())


class _Names(_Strict):
    count: _Number
    names: list[str] = Field(default=[], max_length=100)

    def told(self) -> PackageNames | None:
        names = tuple(filter(None, (harmless(each, _LONGEST_NAME) for each in self.names)))
        return PackageNames(count=self.count, names=names) if self.count else None


_NO_NAMES: Final = _Names(count=0)


class _Packages(_Strict):
    added: _Names = _NO_NAMES
    changed: _Names = _NO_NAMES
    removed: _Names = _NO_NAMES

    def told(self) -> PackageChanges:
        return PackageChanges(added=self.added.told(), changed=self.changed.told(), removed=self.removed.told())


class _Head(_Strict):
    branch: str = ""
    commit: str = Field(default="", pattern="^([0-9a-f]{40}|[0-9a-f]{64})?$")

    def told(self) -> GitState:
        return GitState(branch=harmless(self.branch, _LONGEST_REF) or None, commit=self.commit or None)


class _Git(_Strict):
    old: _Head | None = None
    new: _Head | None = None

    def told(self) -> GitChange | None:
        if self.old == self.new:
            return None
        return GitChange(old=self.old and self.old.told(), new=self.new and self.new.told())


_Manager = Annotated[str, Field(pattern="^[a-z]{1,16}$")]


class _Said(_Strict):
    workspace: _Counts
    system: _Counts | None = None
    packages: dict[_Manager, _Packages] = Field(default={}, max_length=8)
    git: _Git | None = None
    unread: _Number


def summary_of(message: str) -> DiffSummary | None:
    """Read a termination message.

    Returns
    -------
    DiffSummary or None
        None where it is no summary.
    """
    try:
        said = _Said.model_validate_json(message)
    except ValidationError:
        return None
    return DiffSummary(
        workspace=said.workspace.told(),
        system=said.system.told() if said.system else None,
        packages={manager: each.told() for manager, each in said.packages.items()} or None,
        git=said.git.told() if said.git else None,
        unread=said.unread,
    )


def in_words(summary: DiffSummary) -> str:
    """Sum up a summary in a sentence's first half."""
    changes = summary.workspace
    counted = f"{changes.added} added, {changes.changed} changed and {changes.deleted} deleted in the workspace"
    return f"{counted}; {summary.unread} could not be compared" if summary.unread else counted
