"""What admission keeps from every spec and saw of none that was captured, for tenants may write the notes it stands in.

Here is what would let the operator fail, or a command be hidden in a name. Reserved names are `denial`'s, of all layers
together; the rest is judged by the apiserver when it sees the pod.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sandkeeper.api.directories import hides_system
from sandkeeper.api.egress import fault
from sandkeeper.api.git import misnamed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandkeeper.api.sandbox import SandboxSpec

_COUNT: Final = "GIT_CONFIG_COUNT"


def fault_of(layer: SandboxSpec) -> str:
    """Say which field of a captured layer no spec may have like that; empty where there is none."""
    field = next(_faults(layer), "")
    return f"{field} is nothing that a spec may have" if field else ""


def _faults(layer: SandboxSpec) -> Iterator[str]:
    if layer.workspace and layer.workspace.path is not None and hides_system(layer.workspace.path):
        yield "workspace.path"
    if layer.security and any(map(hides_system, layer.security.writable_paths or ())):
        yield "security.writablePaths"
    if any(each.mount_path is not None and hides_system(each.mount_path) for each in layer.secrets or ()):
        yield "secrets.mountPath"
    if layer.git and misnamed(layer.git):
        yield misnamed(layer.git)
    if layer.egress and fault(layer.egress):
        yield fault(layer.egress)
    if any(each.name == _COUNT and len(each.value or "") > 3 for each in layer.env or ()):
        yield f"env.{_COUNT}"
