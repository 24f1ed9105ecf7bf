"""What a decision asks for: writes to children, and the smallest patch between two states of an object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Create:
    """Make a child; its kind, namespace and name stand in the object."""

    obj: Json


@dataclass(frozen=True)
class Patch:
    """Change a child by a merge patch, on the version that the decision was made on."""

    child: Json
    patch: Json
    subresource: str = ""


@dataclass(frozen=True)
class Delete:
    """Delete this incarnation of a child."""

    child: Json


@dataclass(frozen=True)
class Pack:
    """Let the guest of a running pod pack what changed in its root file system; takes as long as it takes."""

    child: Json


@dataclass(frozen=True)
class Quiesce:
    """Let the guest of a running pod bring all that was written onto the volume, which is then copied."""

    child: Json


Write = Create | Patch | Delete | Pack | Quiesce


def merge_patch(before: Json, after: Json) -> Json:
    """Smallest merge patch (RFC 7386) that turns one state into another.

    Returns
    -------
    dict
        Empty where the states are equal. Lists are replaced as a whole.
    """
    patch: Json = {}
    for name, value in after.items():
        old = before.get(name)
        if value == old:
            continue
        patch[name] = merge_patch(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    patch.update({name: None for name in before if name not in after})
    return patch
