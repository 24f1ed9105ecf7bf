"""The ConfigMap of Argo CD's settings: the Lua of every customization, word for word."""

from pathlib import Path
from textwrap import indent
from typing import Final

CUSTOMIZATIONS: Final = Path(__file__).parents[2] / "docs" / "argocd" / "resource_customizations"
"""In the layout of Argo CD's own repository: a folder a group, in it one a kind."""
_HEADER: Final = """\
# Generated from resource_customizations by hack/generate; a patch of the ConfigMap argocd-cm.
data:
"""


def rendered() -> str:
    """Write the patch as YAML."""
    return _HEADER + "".join(_of_kind(lua.parent) for lua in sorted(CUSTOMIZATIONS.glob("*/*/health.lua")))


def _of_kind(folder: Path) -> str:
    name = f"{folder.parent.name}_{folder.name}"
    found = f"  resource.customizations.health.{name}: |\n{_lua(folder / 'health.lua', 4)}"
    offered = folder / "actions"
    if not offered.exists():
        return found
    found += f"  resource.customizations.actions.{name}: |\n    discovery.lua: |\n{_lua(offered / 'discovery.lua', 6)}"
    return found + "    definitions:\n" + "".join(map(_action, sorted(offered.glob("*/action.lua"))))


def _action(lua: Path) -> str:
    return f"    - name: {lua.parent.name}\n      action.lua: |\n{_lua(lua, 8)}"


def _lua(file: Path, columns: int) -> str:
    return indent(file.read_text(), " " * columns)
